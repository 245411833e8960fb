"""The ways to compute a layer, whole or by rows: each kernel with its scratch and its cycles."""

import math
from collections.abc import Sequence

from edgecomp.ir import Graph, Node
from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.rows import is_mean_of_all, row_layer
from edgecomp.plan.costs import CostTable
from edgecomp.plan.decoding import cost_of
from edgecomp.plan.rows import COPY, RowProgram
from edgecomp.plan.select import applicable
from edgecomp.plan.types import ROWS, Stage
from edgecomp.targets.cores import Core

GENERIC_CYCLES = 12.0
"""Cycles of a multiply-accumulate by a kernel of which nothing was measured."""
RANK_CYCLES = 0.5
"""The same by the first kernel of the table on a core where none was measured; 1.0 by the next."""
TURN_CYCLES = 40
"""Cycles of a row beside its kernel."""
WORD_CYCLES = 4
"""Cycles of moving four bytes of a line."""
MEAN_CYCLES = 10.0
"""Cycles of a code that is added up for a mean."""


class Ways:
    """The kernels of a network's layers and rows, priced when they are first asked for."""

    def __init__(self, graph: Graph, core: Core, table: CostTable) -> None:
        """Know nothing yet."""
        self.graph, self.core, self.table = graph, core, table
        self._options: dict[str, list[tuple[int, int, Kernel]]] = {}

    def options(self, layer: Layer, key: str) -> list[tuple[int, int, Kernel]]:
        """Scratch, cycles and kernel of each way to compute a layer, the fastest first."""
        if key not in self._options:
            kernels = applicable(layer, self.core)
            costs = [cost_of(kernel, layer, self.table) for kernel in kernels]
            found = []
            for rank, (kernel, cost) in enumerate(zip(kernels, costs, strict=True)):
                # Where nothing was measured, the order of the table must do.
                is_last = any(costs) or kernel.name.endswith("_generic")
                each = GENERIC_CYCLES if is_last else RANK_CYCLES * (rank + 1)
                cycles = math.ceil(each * max(layer.macs, layer.output.size))
                cycles = cost.cycles if cost else cycles
                found.append((kernel.scratch_bytes(layer), cycles, kernel))
            self._options[key] = sorted(found, key=lambda option: option[1])
        return self._options[key]

    def pick(self, layer: Layer, key: str, limit: int) -> tuple[int, int, Kernel]:
        """The fastest way with scratch up to `limit`, or else the one with the least scratch."""
        options = self.options(layer, key)
        fitting = [option for option in options if option[0] <= limit]
        return fitting[0] if fitting else min(options, key=lambda option: option[0])

    def program_cycles(self, program: RowProgram, nodes: Sequence[Node]) -> int:
        """Cycles of a stage that computes `nodes` by rows."""
        layers = {node.output: Layer(self.graph, node) for node in nodes}
        total = 0
        for step in program.steps:
            line = program.lines.get(step.tensor)
            moved = 0
            if line and not line.within:
                moved = round((line.size_bytes - line.band_bytes) * WORD_CYCLES / 4)
            own = step.each * program.source_row_bytes if step.kernel == COPY else 0
            if step.tensor in layers:
                layer = layers[step.tensor]
                if is_mean_of_all(layer):
                    own = round(MEAN_CYCLES * layer.inputs[0].size / step.rows)
                else:
                    cut = row_layer(layer, step.each)
                    options = self.options(cut, row_key(cut))
                    own = next(c for _, c, kernel in options if kernel.name == step.kernel)
            total += step.bands * (own + moved + TURN_CYCLES)
        return total


def row_key(cut: Layer) -> str:
    """The key among the ways of a layer that was cut to rows."""
    return f"{cut.output.shape[1]} rows of {cut.output.name}"


def row_stage(nodes: Sequence[Node], program: RowProgram) -> Stage:
    """The stage that is a program of rows; it has no number yet."""
    return Stage(
        index=-1,
        nodes=tuple(nodes),
        kernel=ROWS,
        storage="dense8" if any(len(node.inputs) > 1 for node in nodes) else "",
        inputs=(program.source,),
        output=program.result,
        scratch_bytes=program.scratch_bytes,
        rows=program,
    )
