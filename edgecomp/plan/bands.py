"""Neighbouring layers that become one stage, computed by bands of rows, where that saves memory.

Between the layers lie a few rows instead of whole tensors.  Unlike single rows, a band of two or
four is enough for the kernels that are fast on whole layers, Winograd's among them: little is lost
but the copying of rows from turn to turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecomp.ir import Graph
from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.rows import row_refusal
from edgecomp.plan.buffers import layer_stage
from edgecomp.plan.costs import BANDS, CostTable
from edgecomp.plan.fuse import fused
from edgecomp.plan.rows import RowProgram
from edgecomp.plan.select import estimated_cycles
from edgecomp.plan.turns import Unfusable
from edgecomp.plan.types import Stage
from edgecomp.plan.ways import Ways, row_key, row_stage
from edgecomp.targets.cores import Core

MAX_LAYERS = 6
"""Layers of one stage at most."""
LOOP_BYTES, STEP_BYTES = 100, 60
"""Code of a stage beside its kernels, and of each of its steps."""


@dataclass(frozen=True)
class Band:
    """Layers that are one stage.

    Attributes:
        first: position of the first one.
        last: position behind the last one.
        rows: of the stage's input, which a turn brings.
    """

    first: int
    last: int
    rows: int

    @property
    def positions(self) -> range:
        """Of its layers."""
        return range(self.first, self.last)


class Bands:
    """What layers of a network can be fused, and what that costs."""

    def __init__(self, graph: Graph, layers: Sequence[Layer], core: Core, table: CostTable) -> None:
        """Know nothing yet; `layers` are those of `graph`, in the order of execution."""
        self.graph, self.layers, self.table = graph, layers, table
        self._ways = Ways(graph, core, table)
        self._programs: dict[tuple[Band, tuple[str, ...]], RowProgram | None] = {}
        self._alone: dict[tuple[int, str], Stage] = {}

    def around(self, peak: set[int], taken: Sequence[Band]) -> Iterator[Band]:
        """Every run of layers with one of `peak` and none of another band; not all can be fused."""
        used = {position for band in taken for position in band.positions}
        if self.graph.states or self.graph.has_int16:
            return
        for first in range(len(self.layers)):
            for last in range(first + 2, min(first + MAX_LAYERS, len(self.layers)) + 1):
                if row_refusal(self.layers[last - 1]) or row_refusal(self.layers[first]):
                    break
                positions = set(range(first, last))
                if peak & positions and not used & positions:
                    yield from (Band(first, last, rows) for rows in BANDS)

    def moves(self, peak: set[int], taken: Sequence[Band]) -> Iterator[tuple[Band, ...]]:
        """Bands that may be fused at once: each alone, and with all others that are alike.

        Where many blocks of the same shape need the most memory, it does not help to fuse one.
        """
        keys: dict[object, None] = {}
        for band in self.around(peak, taken):
            keys[self._shape_of(band)] = None
            yield (band,)
        alike: dict[object, list[Band]] = {}
        for band in self.around(set(range(len(self.layers))), taken):
            several = alike.setdefault(self._shape_of(band), [])
            if not several or band.first >= several[-1].last:
                several.append(band)
        yield from (tuple(alike[key]) for key in keys if len(alike[key]) > 1)

    def _shape_of(self, band: Band) -> object:
        """What bands alike have in common."""
        layers = [self.layers[position] for position in band.positions]
        shapes = [tuple(x.shape for x in (*layer.inputs, layer.output)) for layer in layers]
        return band.rows, tuple(layer.node.op for layer in layers), tuple(shapes)

    def program(self, band: Band, kernels: Sequence[Kernel]) -> RowProgram | None:
        """The stage of a band with the kernels of all layers; None if there is none."""
        own = {self.layers[i].output.name: kernels[i] for i in band.positions}
        key = band, tuple(kernel.name for kernel in own.values())
        if key not in self._programs:
            self._programs[key] = self._fused(band, own)
        return self._programs[key]

    def _fused(self, band: Band, kernels: Mapping[str, Kernel]) -> RowProgram | None:
        def pick(cut: Layer) -> Kernel:
            kernel = kernels[cut.output.name]
            if all(kernel is not other for _, _, other in self._ways.options(cut, row_key(cut))):
                raise Unfusable(f"{kernel.name} does not compute {cut.output.shape[1]} rows")
            return kernel

        nodes = [self.layers[i].node for i in band.positions]
        program = fused(self.graph, nodes, pick, band=band.rows)
        return None if isinstance(program, str) else program

    def stages(self, kernels: Sequence[Kernel], bands: Sequence[Band]) -> list[Stage] | None:
        """The stages of the network, not yet numbered; None if a band cannot be one."""
        found, beginning = [], {band.first: band for band in bands}
        position = 0
        while position < len(self.layers):
            band = beginning.get(position)
            if band is None:
                found.append(self._stage_of(position, kernels[position]))
                position += 1
                continue
            program = self.program(band, kernels)
            if program is None:
                return None
            found.append(row_stage([self.layers[i].node for i in band.positions], program))
            position = band.last
        return found

    def _stage_of(self, position: int, kernel: Kernel) -> Stage:
        """The stage of one layer; made once, as a kernel lays out its weights for it."""
        key = position, kernel.name
        if key not in self._alone:
            self._alone[key] = layer_stage(self.layers[position], kernel)
        return self._alone[key]

    def cycles(self, band: Band, kernels: Sequence[Kernel]) -> int:
        """What the stage of a band takes, estimated."""
        program = self.program(band, kernels)
        assert program is not None
        return self._ways.program_cycles(program, [self.layers[i].node for i in band.positions])

    def total_cycles(self, kernels: Sequence[Kernel], bands: Sequence[Band]) -> int:
        """What the whole network takes, estimated."""
        inside = {position for band in bands for position in band.positions}
        alone = [layer for index, layer in enumerate(self.layers) if index not in inside]
        known = {layer.output.name: k for layer, k in zip(self.layers, kernels, strict=True)}
        fused_cycles = sum(self.cycles(band, kernels) for band in bands)
        return estimated_cycles(alone, known, self.table) + fused_cycles

    def code_bytes(self, band: Band) -> int:
        """What its loop takes beside the kernels, roughly."""
        return LOOP_BYTES + STEP_BYTES * len(band.positions)
