"""From neighbouring layers to one stage that is computed by rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from edgecomp.ir import Graph, Node, Tensor
from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.rows import (
    ELEMENT_OPS,
    RowWindow,
    is_mean_of_all,
    row_layer,
    row_refusal,
    row_window,
)
from edgecomp.plan.rows import COPY, MEAN, Line, Read, RowProgram, RowStep
from edgecomp.plan.rows_layout import laid_out
from edgecomp.plan.types import BUFFER_ALIGN

Pick = Callable[[Layer], Kernel]
"""Which kernel computes a layer that was cut to some rows."""
MAX_DELAY = 8
"""Turns by which a layer may be later than it could."""
SUM_BYTES = 4
"""Bytes of the sum of a channel."""


class Unfusable(Exception):
    """These layers cannot be one stage: `fused` returns why."""


@dataclass(frozen=True)
class _Clock:
    """The turn of a tensor's first band, turns from band to band, rows of each."""

    first: int
    every: int
    each: int

    def rows_before(self, turn: int) -> int:
        """The newest row at the end of a turn."""
        return ((turn - self.first) // self.every + 1) * self.each - 1


def fused(
    graph: Graph,
    nodes: Sequence[Node],
    pick: Pick,
    *,
    copy: bool = False,
    streamed: bool = False,
    band: int = 1,
) -> RowProgram | str:
    """Fuse layers to one stage.

    Args:
        graph: the network.
        nodes: the layers, in the order of execution; one tensor enters and one leaves.
        pick: chooses the kernel of each layer, or raises `Unfusable`.
        copy: bring rows of the input into a line before they are read, even where they could be
            read where they lie; needed where they are padded.
        streamed: the caller hands over the rows.
        band: rows of the input that a turn brings.

    Returns:
        The stage, or the reason why there is none.
    """
    try:
        return _Fusion(graph, nodes, pick, copy or streamed, band).program(streamed)
    except Unfusable as reason:
        return str(reason)


class _Fusion:
    """The layers of a stage, and what follows for each of them."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Node], pick: Pick, copy: bool, band: int
    ) -> None:
        self.graph, self.nodes, self.band = graph, nodes, band
        self.layers = [Layer(graph, node) for node in nodes]
        made = {node.output for node in nodes}
        entering = dict.fromkeys(
            name for node in nodes for name in self._computed(node) if name not in made
        )
        if len(entering) != 1:
            raise Unfusable("several tensors enter")
        (self.source,) = entering
        self.result = nodes[-1].output
        self.windows = [self._window(layer) for layer in self.layers]
        self.copy = copy or self._is_padded()
        self.clocks = self._clocks({})
        self.lines = self._lines()
        self._delay()
        self.bands = [self.clocks[layer.output.name].each for layer in self.layers]
        self.picked = [
            None if is_mean_of_all(layer) else pick(row_layer(layer, each))
            for layer, each in zip(self.layers, self.bands, strict=True)
        ]

    def _computed(self, node: Node) -> tuple[str, ...]:
        return tuple(name for name in node.inputs if not self.graph.tensors[name].is_const)

    def _window(self, layer: Layer) -> RowWindow:
        reason = row_refusal(layer)
        if reason:
            raise Unfusable(f"{layer.node.name}: {reason}")
        if is_mean_of_all(layer) and layer.output.name != self.result:
            raise Unfusable(f"{layer.node.name}: a mean over everything ends a stage")
        return row_window(layer)

    def _is_padded(self) -> bool:
        """Whether rows outside the source are read."""
        height = self.graph.tensors[self.source].shape[1]
        return any(
            window.pad_top or window.first(self._rows_made(layer) - 1) + window.rows > height
            for layer, window in zip(self.layers, self.windows, strict=True)
            if self.source in layer.node.inputs
        )

    def _rows_made(self, layer: Layer) -> int:
        """Rows that the layer computes; a mean takes as many as its input has."""
        tensor = layer.inputs[0] if is_mean_of_all(layer) else layer.output
        return tensor.shape[1]

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

    def _clocks(self, delays: Mapping[str, int]) -> dict[str, _Clock]:
        """When rows come: each `delays` turns after what it reads is there."""
        clocks = {self.source: self._clock(self.source, 0, 1, self.band)}
        for layer, window in zip(self.layers, self.windows, strict=True):
            inputs = [clocks[name] for name in self._computed(layer.node)]
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

    def _clock(self, name: str, first: int, every: int, each: int) -> _Clock:
        if each > 1 and self.graph.tensors[name].shape[1] % each:
            raise Unfusable(f"{name}: rows that are no whole bands of {each}")
        return _Clock(first, every, each)

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
                last = reader.first + reader.every * (self._rows_made(layer) // reader.each - 1)
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

    def _read(self, name: str, layer: Layer, window: RowWindow) -> Read:
        slot, line = 0, self.lines.get(name)
        if line:
            reader = self.clocks[layer.output.name].first
            back = self.clocks[name].rows_before(reader) + window.pad_top + 1
            slot = line.rows - back
            _require_aligned(slot * line.row_bytes)
        else:
            row_bytes = _row_bytes(self.graph.tensors[name])
            _require_aligned(window.stride * row_bytes)
        return Read(name, window.rows, window.stride, window.pad_top, slot)

    def _step(self, index: int) -> RowStep:
        layer, window, kernel = self.layers[index], self.windows[index], self.picked[index]
        clock = self.clocks[layer.output.name]
        window = window.of_band(clock.each)
        reads = tuple(self._read(n, layer, window) for n in self._computed(layer.node))
        if kernel is None:
            name, scratch = MEAN, SUM_BYTES * layer.output.shape[-1]
        else:
            name, scratch = kernel.name, kernel.scratch_bytes(row_layer(layer, clock.each))
            line = self.lines.get(layer.output.name)
            row_bytes = _row_bytes(layer.output)
            _require_aligned(0 if line and line.rows == 1 else row_bytes)
        bands = self._rows_made(layer) // clock.each
        return RowStep(
            layer.output.name, name, clock.first, clock.every, bands, reads, scratch,
            each=clock.each,
        )  # fmt: skip

    def _host_lines(self) -> None:
        """Write rows that only an element-wise layer reads where that one writes its own."""
        for layer, each, kernel in zip(self.layers, self.bands, self.picked, strict=True):
            host = self.lines.get(layer.output.name)
            if kernel is None or host is None or host.within or layer.node.op not in ELEMENT_OPS:
                continue
            cut = row_layer(layer, each)
            for index, tensor in enumerate(layer.inputs):
                if self._is_guest(tensor, layer) and kernel.overlap(cut, index) == 0:
                    guest = replace(self.lines[tensor.name], within=host.tensor)
                    self.lines[tensor.name] = guest
                    break

    def _is_guest(self, tensor: Tensor, layer: Layer) -> bool:
        """Whether rows of `tensor` are read by `layer` alone, in the turn that makes them."""
        line = self.lines.get(tensor.name)
        if line is None or line.lasting or line.pad_bottom or tensor.name == self.source:
            return False
        if any(other.within == tensor.name for other in self.lines.values()):
            return False
        readers = [one for one in self.layers if tensor.name in one.node.inputs]
        once = self._computed(layer.node).count(tensor.name) == 1
        return (
            once
            and readers == [layer]
            and self.clocks[tensor.name] == self.clocks[layer.output.name]
        )

    def program(self, streamed: bool) -> RowProgram:
        """Put the steps together and lay out the scratch."""
        self._host_lines()
        steps = [self._step(index) for index in range(len(self.layers))]
        source, result = self.graph.tensors[self.source], self.graph.tensors[self.result]
        if self.copy:
            bands = source.shape[1] // self.band
            steps.insert(0, RowStep(self.source, COPY, 0, 1, bands, (), each=self.band))
        mean = steps[-1].kernel == MEAN
        return laid_out(
            RowProgram(
                self.source,
                self.result,
                tuple(steps),
                self.lines,
                _row_bytes(source),
                source.shape[1],
                result.size_bytes if mean else _row_bytes(result),
                streamed,
                band=self.band,
            ),
            self._overlaps(),
        )

    def _overlaps(self) -> dict[tuple[str, str], int]:
        """Rows that may be written over rows that nobody reads again."""
        found = {}
        for layer, each, kernel in zip(self.layers, self.bands, self.picked, strict=True):
            names = self._computed(layer.node)
            for index, tensor in enumerate(layer.inputs):
                readers = [one for one in self.layers if tensor.name in one.node.inputs]
                if kernel and names.count(tensor.name) == 1 and len(readers) == 1:
                    distance = kernel.overlap(row_layer(layer, each), index)
                    if distance is not None:
                        found[tensor.name, layer.output.name] = distance
        return found


def _row_bytes(tensor: Tensor) -> int:
    return tensor.size_bytes // tensor.shape[1]


def _require_aligned(offset: int) -> None:
    if offset % BUFFER_ALIGN:
        raise Unfusable("rows that do not begin at whole words")
