"""When each row of a stage that is fused by rows is made, and how many are kept in lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecomp.ir import Graph
from edgecomp.kernels import Layer
from edgecomp.kernels.rows import RowWindow, is_mean_of_all
from edgecomp.plan.rows import Line

MAX_DELAY = 8
"""Turns by which a layer may be later than it could."""


class Unfusable(Exception):
    """These layers cannot be one stage: `fuse.fused` returns why."""


@dataclass(frozen=True)
class Clock:
    """The turn of a tensor's first band, turns from band to band, rows of each."""

    first: int
    every: int
    each: int

    def rows_before(self, turn: int) -> int:
        """The newest row at the end of a turn."""
        return ((turn - self.first) // self.every + 1) * self.each - 1


def rows_made(layer: Layer) -> int:
    """Rows that the layer computes; a mean takes as many as its input has."""
    tensor = layer.inputs[0] if is_mean_of_all(layer) else layer.output
    return tensor.shape[1]


class Turns:
    """The clocks and the lines of a stage.

    Attributes:
        clocks: when the rows of each tensor come.
        lines: the rows of each that are kept; without the source where it is read where it lies.
    """

    def __init__(
        self, graph: Graph, layers: Sequence[Layer], windows: Sequence[RowWindow],
        source: str, *, copy: bool, band: int,
    ) -> None:  # fmt: skip
        """Let `band` rows of `source` come each turn, and keep them in a line with `copy`.

        Raises:
            Unfusable: rows come at different rates, or are no whole bands.
        """
        self.graph, self.layers, self.windows = graph, layers, windows
        self.source, self.copy, self.band = source, copy, band
        self.clocks = self._clocks({})
        self.lines = self._lines()
        self._delay()

    def _read(self, layer: Layer) -> list[str]:
        return [tensor.name for tensor in layer.inputs if not tensor.is_const]

    def _delay(self) -> None:
        """Let rows come later where that keeps fewer of them.

        A branch that is ready long before it is needed costs rows of its own line; computed later
        it may cost none, as long as what it reads is still there.
        """
        delays: dict[str, int] = {}
        for layer in reversed(self.layers[:-1]):
            name = layer.output.name
            if self.lines[name].rows <= self._most_rows_read(name):
                continue
            best, turns = self._line_bytes(), 0
            for delay in range(1, MAX_DELAY + 1):
                self.clocks = self._clocks({**delays, name: delay})
                self.lines = self._lines()
                if self._line_bytes() < best:
                    best, turns = self._line_bytes(), delay
            if turns:
                delays[name] = turns
            self.clocks = self._clocks(delays)
            self.lines = self._lines()

    def _most_rows_read(self, name: str) -> int:
        """Rows of the largest window on a tensor: fewer cannot be kept."""
        return max(
            window.rows
            for layer, window in zip(self.layers, self.windows, strict=True)
            if name in layer.node.inputs
        )

    def _line_bytes(self) -> int:
        return sum(line.size_bytes for line in self.lines.values())

    def _clocks(self, delays: Mapping[str, int]) -> dict[str, Clock]:
        """When rows come: each `delays` turns after what it reads is there."""
        clocks = {self.source: self._clock(self.source, 0, 1, self.band)}
        for layer, window in zip(self.layers, self.windows, strict=True):
            inputs = [clocks[name] for name in self._read(layer)]
            if len({(clock.every, clock.each) for clock in inputs}) != 1:
                raise Unfusable(f"{layer.node.name}: rows that come at different rates")
            every, rows = inputs[0].every, inputs[0].each
            if is_mean_of_all(layer) and rows > 1:
                raise Unfusable(f"{layer.node.name}: a mean over everything takes single rows")
            each, rest = divmod(rows, window.stride)
            if rows == 1:  # rows of which some make none
                each, every = 1, every * window.stride
            elif rest:
                raise Unfusable(f"{layer.node.name}: bands of {rows} with stride {window.stride}")
            last_read = (each - 1) * window.stride + window.rows - 1 - window.pad_top
            first = max(c.first + last_read // c.each * c.every for c in inputs)
            name = layer.output.name
            clocks[name] = self._clock(name, first + delays.get(name, 0), every, each)
        return clocks

    def _clock(self, name: str, first: int, every: int, each: int) -> Clock:
        if each > 1 and self.graph.tensors[name].shape[1] % each:
            raise Unfusable(f"{name}: rows that are no whole bands of {each}")
        return Clock(first, every, each)

    def _lines(self) -> dict[str, Line]:
        """How many rows of each tensor are kept."""
        lines = {}
        names = [self.source] if self.copy else []
        for name in (*names, *(layer.output.name for layer in self.layers[:-1])):
            tensor, own = self.graph.tensors[name], self.clocks[name]
            rows = pad_top = pad_bottom = 0
            lasting, readings = False, []
            for layer, window in zip(self.layers, self.windows, strict=True):
                if name not in layer.node.inputs:
                    continue
                reader = self.clocks[layer.output.name]
                rows = max(rows, own.rows_before(reader.first) + window.pad_top + 1)
                pad_top = max(pad_top, window.pad_top)
                last = reader.first + reader.every * (rows_made(layer) // reader.each - 1)
                beyond = own.rows_before(last) + 1 - tensor.shape[1]
                pad_bottom = max(pad_bottom, beyond // own.each)
                lasting |= (reader.first - own.first) % own.every != 0
                readings.append(own.rows_before(reader.first))
            if rows == 0:
                raise Unfusable(f"{name} is not read here")
            assert tensor.qparams is not None
            waits = min(readings) + pad_top >= rows - 1
            lines[name] = Line(
                name, rows, tensor.size_bytes // tensor.shape[1], tensor.shape[1], pad_top,
                pad_bottom, tensor.qparams.zero_point, lasting or rows > own.each,
                fills=waits and (rows - pad_top) % own.each == 0, each=own.each,
            )  # fmt: skip
        return lines
