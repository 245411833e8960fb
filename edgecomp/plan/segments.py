"""The segments of a network: which layers may be one stage, by which kernels, and what they need.

The network is cut wherever a single tensor is alive.  Between two cuts lies a *segment*: its layers
one by one, or fused by rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgecomp.ir import Graph, Node
from edgecomp.kernels import Layer
from edgecomp.kernels.rows import is_mean_of_all, row_layer, row_refusal
from edgecomp.plan.buffers import Distances, Pair, arena_bytes_of, layer_stage
from edgecomp.plan.costs import BANDS, CostTable
from edgecomp.plan.fuse import fused
from edgecomp.plan.rows import MEAN
from edgecomp.plan.schedule import activation_aliases
from edgecomp.plan.types import Stage
from edgecomp.plan.ways import Ways, row_key, row_stage
from edgecomp.targets.cores import Core

WAYS = (0, 1, min(BANDS))
"""Layers one by one, by rows, by bands of rows; larger bands want more memory than they save."""
MAX_FUSED = 40
"""Layers that one stage may have at most."""
Way = tuple[Pair, ...]
"""Layers and the kernels that compute them, or the layers alone, as they are in one stage."""


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

    def has_any(self, ways: Sequence[Way]) -> bool:
        """Whether one of its stages is computed in one of these ways."""
        return any(one in ways for stage in self.stages for one in ways_of(stage))


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
        self.known: Distances = {}
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
        return arena_bytes_of(self._part(nodes), stages, self.known, keep_input=keep)

    def _by_rows(self, nodes: tuple[Node, ...], limit: int, band: int) -> Choice | None:
        streamed = self._streams(nodes)
        if streamed and band > 1:  # the caller hands over single rows
            return None
        if not (1 if streamed else 2) <= len(nodes) <= MAX_FUSED:
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

    def least(self, first: int, last: int) -> int | None:
        """Bytes that a segment needs at least; None if it cannot be one."""
        ways = [self.choice(first, last, 0, band=band) for band in WAYS]
        return min((way.arena_bytes for way in ways if way), default=None)

    def cheapest(
        self, first: int, last: int, arena_bytes: int, given_up: Sequence[Way]
    ) -> Choice | None:
        """The way with the fewest cycles within `arena_bytes` that is not given up."""
        best: Choice | None = None
        for band in WAYS:
            for limit in self._limits(first, last):
                way = self.choice(first, last, limit, band=band)
                if way is None:
                    break
                if way.arena_bytes <= arena_bytes and not way.has_any(given_up):
                    if best is None or way.cycles < best.cycles:
                        best = way
                    break
        return best

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
                for rows in WAYS[1:]:
                    if layer.output.shape[1] % rows == 0:
                        cut = row_layer(layer, rows)
                        found |= {size for size, _, _ in self.ways.options(cut, row_key(cut))}
            self._scratch_sizes[node.output] = found
        return self._scratch_sizes[node.output]


def ways_of(stage: Stage) -> list[Way]:
    """What tells a way to compute a stage from others: layers and kernels, or the layers alone."""
    pairs = [(stage.output, stage.kernel)]
    if stage.rows is not None:
        pairs = [(step.tensor, step.kernel) for step in stage.rows.steps]
    return [tuple(pairs), tuple((name, "") for name, _ in pairs)]
