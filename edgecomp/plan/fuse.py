"""From neighbouring layers to one stage that is computed by rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace

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
from edgecomp.plan.rows import COPY, MEAN, Read, RowProgram, RowStep
from edgecomp.plan.rows_layout import laid_out
from edgecomp.plan.turns import Turns, Unfusable, rows_made
from edgecomp.plan.types import BUFFER_ALIGN

Pick = Callable[[Layer], Kernel]
"""Which kernel computes a layer that was cut to some rows."""
SUM_BYTES = 4
"""Bytes of the sum of a channel."""


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
        read = {name for node in graph.nodes if node.output not in made for name in node.inputs}
        if left := (made - {self.result}) & (read | set(graph.outputs)):
            raise Unfusable(f"{min(left)} is read elsewhere, too")
        self.windows = [self._window(layer) for layer in self.layers]
        self.copy = copy or self._is_padded()
        turns = Turns(graph, self.layers, self.windows, self.source, copy=self.copy, band=band)
        self.clocks, self.lines = turns.clocks, dict(turns.lines)
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
            window.pad_top or window.first(rows_made(layer) - 1) + window.rows > height
            for layer, window in zip(self.layers, self.windows, strict=True)
            if self.source in layer.node.inputs
        )

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
        bands = rows_made(layer) // clock.each
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
