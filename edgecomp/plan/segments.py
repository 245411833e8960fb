"""Which layers become one stage when memory matters most, and which kernels compute them.

The network is cut wherever a single tensor is alive.  Between two cuts lies a *segment*: its layers
one by one, or fused by rows.  The arena cannot be smaller than the largest segment by itself; among
all ways to put segments together that need no more, the one with the fewest cycles is taken.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgecomp.errors import UserError
from edgecomp.ir import Graph, Node
from edgecomp.kernels import Layer
from edgecomp.kernels.rows import is_mean_of_all, row_layer, row_refusal
from edgecomp.plan.arena import ATTEMPTS
from edgecomp.plan.buffers import Blocks, Distances, Pair, arena_bytes_of, layer_stage, numbered
from edgecomp.plan.costs import BANDS, CostTable
from edgecomp.plan.fuse import fused
from edgecomp.plan.rows import MEAN
from edgecomp.plan.schedule import activation_aliases
from edgecomp.plan.types import ARENA_ALIGN, Plan, Stage
from edgecomp.plan.ways import Ways, row_key, row_stage
from edgecomp.targets.cores import Core

WAYS = (0, 1, min(BANDS))
"""Layers one by one, by rows, by bands of rows; larger bands want more memory than they save."""
MAX_FUSED = 40
"""Layers that one stage may have at most."""
MAX_ARENA = 1 << 28
SLACK = 1.01
"""How many times the least arena are given for fewer cycles."""
FEW_ATTEMPTS = 20
"""Orders of placement that are tried for a plan among many."""
MAX_FORBIDDEN = 12
"""Ways to compute a stage that are given up because neighbours leave no room for them."""
PATIENCE = 4
"""Such ways one after the other that may be given up in vain."""
RESTARTS = 4
"""Ways that are given up first, each in turn, where all others did not help."""
NEIGHBOURS = 4
"""Stages behind those at the peak that are looked at."""


@dataclass(frozen=True)
class Choice:
    """One way to compute a segment.

    Attributes:
        stages: not yet numbered.
        arena_bytes: what they need by themselves.
        cycles: what they take, estimated.
    """

    stages: tuple[Stage, ...]
    arena_bytes: int
    cycles: int

    @cached_property
    def most_scratch(self) -> int:
        """The most that one of its kernels has: with less for each, there would be another."""
        steps = (step for stage in self.stages if stage.rows for step in stage.rows.steps)
        whole = (stage.scratch_bytes for stage in self.stages if not stage.rows)
        return max(
            (*whole, *(step.scratch_bytes for step in steps if step.kernel != MEAN)), default=0
        )


class Segments:
    """The segments of a network, each computed when it is first asked for."""

    def __init__(
        self,
        graph: Graph,
        core: Core,
        table: CostTable,
        *,
        keep_input: bool = False,
        stream_input: bool = False,
    ) -> None:
        """Cut `graph`, whose nodes are in the order of execution."""
        self.graph, self.ways = graph, Ways(graph, core, table)
        self.keep_input, self.stream_input = keep_input, stream_input
        self.aliases = activation_aliases(graph)
        self._scratch_sizes: dict[str, set[int]] = {}
        self._forbidden: list[tuple[Pair, ...]] = []
        self._known: Distances = {}
        self._choices: dict[tuple[int, int, int], list[tuple[int, Choice | None]]] = {}

    @cached_property
    def cuts(self) -> list[int]:
        """Positions between nodes, both ends included, at which one tensor is alive."""
        nodes, found = self.graph.nodes, [0]
        last_use = {self.aliases[n]: i for i, node in enumerate(nodes) for n in self._read(node)}
        alive = {self.aliases[name] for name in self.graph.inputs}
        for index, node in enumerate(nodes[:-1]):
            alive.add(self.aliases[node.output])
            alive = {name for name in alive if last_use.get(name, -1) > index}
            if len(alive) == 1:
                found.append(index + 1)
        return [*found, len(nodes)]

    def _read(self, node: Node) -> list[str]:
        return [name for name in node.inputs if not self.graph.tensors[name].is_const]

    def choice(self, first: int, last: int, limit: int, *, band: int) -> Choice | None:
        """One way to compute the nodes from `first` up to `last`.

        Args:
            first: position of the first node.
            last: position behind the last node.
            limit: scratch of a kernel.
            band: rows that a turn brings where they are fused by rows; 0 for one by one.
        """
        known = self._choices.setdefault((first, last, band), [])
        for asked, found in known:
            if found is None or (found.most_scratch <= limit <= asked):
                return found
        nodes = self.graph.nodes[first:last]
        made = (
            self._by_rows(nodes, limit, band)
            if band
            else self._one_by_one(nodes, limit)
            if self.cuts.index(last) == self.cuts.index(first) + 1 and not self._streams(nodes)
            else None
        )
        known.append((limit, made))
        return made

    def _part(self, nodes: Sequence[Node]) -> Graph:
        """The network of some nodes alone."""
        made = {node.output for node in nodes}
        read = dict.fromkeys(n for node in nodes for n in self._read(node) if n not in made)
        return self.graph.replace(inputs=tuple(read), outputs=(nodes[-1].output,), nodes=nodes)

    def _one_by_one(self, nodes: tuple[Node, ...], limit: int) -> Choice:
        stages, cycles = [], 0
        for node in nodes:
            if node.op != "reshape":
                layer = Layer(self.graph, node)
                _, cost, kernel = self.ways.pick(layer, node.output, limit)
                stages.append(layer_stage(layer, kernel))
                cycles += cost
        return Choice(tuple(stages), self._bytes(nodes, stages), cycles)

    def _streams(self, nodes: tuple[Node, ...]) -> bool:
        """Whether these nodes read rows that the caller hands over."""
        return self.stream_input and nodes[0] is self.graph.nodes[0]

    def _bytes(self, nodes: tuple[Node, ...], stages: Sequence[Stage]) -> int:
        if not stages:
            return 0
        keep = self.keep_input and nodes[0] is self.graph.nodes[0]
        return arena_bytes_of(self._part(nodes), stages, self._known, keep_input=keep)

    def _read_outside(self, nodes: tuple[Node, ...]) -> set[str]:
        """What other nodes and the caller read: it must exist as a whole."""
        made = {node.output for node in nodes}
        others = (node for node in self.graph.nodes if node.output not in made)
        return {name for node in others for name in node.inputs} | set(self.graph.outputs)

    def _by_rows(self, nodes: tuple[Node, ...], limit: int, band: int) -> Choice | None:
        inner = {node.output for node in nodes[:-1]}
        streamed = self._streams(nodes)
        if streamed and band > 1:  # the caller hands over single rows
            return None
        least = 1 if streamed else 2
        if not least <= len(nodes) <= MAX_FUSED or inner & self._read_outside(nodes):
            return None
        program = fused(
            self.graph,
            nodes,
            lambda cut: self.ways.pick(cut, row_key(cut), limit)[2],
            streamed=streamed,
            band=band,
        )
        if isinstance(program, str):
            return None
        stage = row_stage(nodes, program)
        return Choice(
            (stage,), self._bytes(nodes, [stage]), self.ways.program_cycles(program, nodes)
        )

    def least_arena_plan(self, limit: float) -> Plan:
        """Plan with the least arena that takes at most `limit` estimated cycles."""
        low, high = self._least_possible(), self._least_possible()
        while self._cheapest_stages(high)[0] > limit and high < MAX_ARENA:
            low, high = high, 2 * high
        if high >= MAX_ARENA:
            high = low = self._least_possible()
        while low < high:
            middle = (low + high) // 2
            if self._cheapest_stages(middle)[0] <= limit:
                high = middle
            else:
                low = middle + 1
        high = math.ceil(high * SLACK)
        best = self._without_drift(self._plan(high), high, limit)
        more = self._plan(max(best.arena_bytes, high))
        return more if more.arena_bytes <= best.arena_bytes else best

    def _plan(self, arena_bytes: int, attempts: int = ATTEMPTS) -> Plan:
        stages = numbered(self._cheapest_stages(arena_bytes)[1])
        return Blocks(self.graph, stages, self.keep_input, self._known).plan(attempts)

    def _without_drift(self, first: Plan, arena_bytes: int, limit: float) -> Plan:
        """Better a plan whose stages fit `arena_bytes` each by itself, but not together.

        Each stage pushes its output a little before its input; several in a row may push it too
        far.  One way to compute a stage after the other is given up; where that is not enough,
        again with another one given up at the very beginning.
        """
        best = self._descend(first, arena_bytes, limit)
        given_up = list(self._forbidden)
        starts = [way for stage in self._around_peak(first) for way in _ways_of(stage)[1:]]
        for way in starts[:RESTARTS]:
            if best.arena_bytes <= arena_bytes + ARENA_ALIGN:
                break
            self._forbidden = [way]
            if self._cheapest_stages(arena_bytes, tolerant=True)[0] <= limit:
                found = self._descend(self._plan(arena_bytes, FEW_ATTEMPTS), arena_bytes, limit)
                if found.arena_bytes < best.arena_bytes:
                    best, given_up = found, list(self._forbidden)
        self._forbidden = given_up
        return best

    def _descend(self, best: Plan, arena_bytes: int, limit: float) -> Plan:
        """Give up one way after the other, that which helps most, as long as it helps."""
        plan, fruitless = best, 0
        for _ in range(MAX_FORBIDDEN):
            if best.arena_bytes <= arena_bytes + ARENA_ALIGN or fruitless > PATIENCE:
                break
            found: list[tuple[int, tuple[Pair, ...], Plan]] = []
            ways = [way for stage in self._around_peak(plan) for way in _ways_of(stage)]
            for way in dict.fromkeys(ways):
                self._forbidden.append(way)
                cycles = self._cheapest_stages(arena_bytes, tolerant=True)[0]
                if cycles <= limit:
                    other = self._plan(arena_bytes, FEW_ATTEMPTS)
                    found.append((other.arena_bytes, way, other))
                self._forbidden.pop()
            if not found:
                break
            least = min(found, key=lambda one: one[0])
            plan, fruitless = least[2], fruitless + 1
            if plan.arena_bytes < best.arena_bytes:
                best, fruitless = plan, 0
            self._forbidden.append(least[1])
        return best

    def _around_peak(self, plan: Plan) -> list[Stage]:
        """The stages in which the arena is used to its end, and their neighbours."""
        top = plan.arena_bytes - ARENA_ALIGN
        ends = [
            index
            for buffer in plan.buffers.values()
            if buffer.arena_offset + buffer.size_bytes > top
            for index in range(buffer.first_use, buffer.last_use + 1)
        ]
        ends += [
            stage.index for stage in plan.stages if stage.scratch_offset + stage.scratch_bytes > top
        ]
        reach = range(min(ends, default=0) - 2, max(ends, default=0) + NEIGHBOURS)
        return [stage for stage in plan.stages if stage.index in reach]

    def _cheapest_stages(
        self, arena_bytes: int, *, tolerant: bool = False
    ) -> tuple[int, tuple[Stage, ...]]:
        """Cycles and stages of the cheapest segments that each need at most `arena_bytes`.

        Where there are none, `tolerant` gives endless cycles.
        """
        best: dict[int, tuple[int, tuple[Stage, ...]]] = {0: (0, ())}
        for last in self.cuts[1:]:
            for first in (cut for cut in self.cuts if cut < last and cut in best):
                way = self.cheapest(first, last, arena_bytes)
                if way is not None:
                    cycles, stages = best[first]
                    found = cycles + way.cycles, (*stages, *way.stages)
                    if last not in best or found[0] < best[last][0]:
                        best[last] = found
        if tolerant and self.cuts[-1] not in best:
            return MAX_ARENA**2, ()
        return best[self.cuts[-1]]

    def _least_possible(self) -> int:
        """The least over all cuts of the largest segment."""
        best = {0: 0}
        for last in self.cuts[1:]:
            found = [
                max(best[first], way)
                for first in self.cuts
                if first < last and first in best and (way := self.least(first, last)) is not None
            ]
            if found:
                best[last] = min(found)
        if self.cuts[-1] not in best:
            first = self.graph.nodes[0].name
            raise UserError(
                f"--stream-input: the first layer, {first!r}, cannot be computed by rows"
            )
        return best[self.cuts[-1]]

    def least(self, first: int, last: int) -> int | None:
        """Bytes that a segment needs at least; None if it cannot be one."""
        ways = [self.choice(first, last, 0, band=band) for band in WAYS]
        return min((way.arena_bytes for way in ways if way), default=None)

    def cheapest(self, first: int, last: int, arena_bytes: int) -> Choice | None:
        """The way with the fewest cycles within `arena_bytes`."""
        best: Choice | None = None
        for band in WAYS:
            for limit in self._limits(first, last):
                way = self.choice(first, last, limit, band=band)
                if way is None:
                    break
                if way.arena_bytes <= arena_bytes and not self._is_forbidden(way):
                    if best is None or way.cycles < best.cycles:
                        best = way
                    break
        return best

    def _is_forbidden(self, way: Choice) -> bool:
        return any(one in self._forbidden for stage in way.stages for one in _ways_of(stage))

    def _limits(self, first: int, last: int) -> list[int]:
        """Every size of a kernel's scratch in a segment, the largest first."""
        return sorted(
            {size for node in self.graph.nodes[first:last] for size in self._sizes(node)} | {0},
            reverse=True,
        )

    def _sizes(self, node: Node) -> set[int]:
        if node.op == "reshape":
            return set()
        if node.output not in self._scratch_sizes:
            layer = Layer(self.graph, node)
            found = {size for size, _, _ in self.ways.options(layer, node.output)}
            if row_refusal(layer) is None and not is_mean_of_all(layer):
                for rows in (1, *BANDS):
                    if layer.output.shape[1] % rows == 0:
                        cut = row_layer(layer, rows)
                        found |= {size for size, _, _ in self.ways.options(cut, row_key(cut))}
            self._scratch_sizes[node.output] = found
        return self._scratch_sizes[node.output]


def _ways_of(stage: Stage) -> list[tuple[Pair, ...]]:
    """What tells a way to compute a stage from others: layers and kernels, or the layers alone."""
    pairs = [(stage.output, stage.kernel)]
    if stage.rows is not None:
        pairs = [(step.tensor, step.kernel) for step in stage.rows.steps]
    return [tuple(pairs), tuple((name, "") for name, _ in pairs)]
