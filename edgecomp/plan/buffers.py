"""Stages in order become a plan: live ranges, which blocks may overlap, where each lies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from edgecomp.ir import Graph
from edgecomp.kernels import Kernel, Layer, kernel_of
from edgecomp.plan.arena import ATTEMPTS, Block, Split, aligned, lower_bound, place
from edgecomp.plan.schedule import activation_aliases
from edgecomp.plan.types import ARENA_ALIGN, BUFFER_ALIGN, Buffer, Plan, Stage

Pair = tuple[str, str]
Distances = dict[tuple[str, str, int, bool], int | None]


def layer_stage(layer: Layer, kernel: Kernel) -> Stage:
    """The stage that computes one layer with one kernel; it has no number yet."""
    return Stage(
        index=-1,
        nodes=(layer.node,),
        kernel=kernel.name,
        storage=kernel.storage if any(c.is_weight for c in kernel.constants(layer)) else "",
        inputs=tuple(n for n in layer.node.inputs if not layer.graph.tensors[n].is_const),
        output=layer.node.output,
        scratch_bytes=kernel.scratch_bytes(layer),
    )


def numbered(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages with their positions as numbers."""
    return tuple(replace(stage, index=index) for index, stage in enumerate(stages))


@dataclass(frozen=True)
class Blocks:
    """What has to be placed.

    Attributes:
        graph: the network.
        stages: numbered, in order of execution.
        keep_input: whether the inputs survive.
        known: distances by kernel, layer and input that were computed before, and now.
    """

    graph: Graph
    stages: tuple[Stage, ...]
    keep_input: bool
    known: Distances = field(default_factory=dict, compare=False)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """For each activation the tensor in whose bytes it lies."""
        return activation_aliases(self.graph)

    @cached_property
    def life(self) -> dict[str, tuple[int, int]]:
        """First and last use of each root tensor that lies in the arena."""
        inside = {name for stage in self.stages if stage.rows for name in stage.rows.inner}
        streamed = {s.rows.source for s in self.stages if s.rows and s.rows.streamed}
        first = {self.aliases[name]: -1 for name in self.graph.inputs if name not in streamed}
        last = dict(first)
        for stage in self.stages:
            root = self.aliases[stage.output]
            first.setdefault(root, stage.index)
            last[root] = stage.index
            for name in stage.inputs:
                if name not in streamed:
                    last[self.aliases[name]] = stage.index
        survivors = (*self.graph.outputs, *(self.graph.inputs if self.keep_input else ()))
        for name in survivors:
            last[self.aliases[name]] = len(self.stages)
        outside = inside | {state.source for state in self.graph.states}
        return {root: (first[root], last[root]) for root in first if root not in outside}

    def dies_in(self, name: str, stage: Stage) -> bool:
        """Whether nobody needs a tensor after a stage."""
        root = self.aliases[name]
        return root in self.life and self.life[root][1] == stage.index

    @cached_property
    def overlaps(self) -> dict[Pair, int]:
        """Pairs of a dying input and what may lie over it: by how much that must begin before."""
        found: dict[Pair, int] = {}
        for stage in self.stages:
            output = self.aliases[stage.output]
            if stage.rows is not None:
                if not stage.rows.streamed and self.dies_in(stage.rows.source, stage):
                    source = self.aliases[stage.rows.source]
                    over = stage.rows.distances()
                    found[source, output], found[source, _scratch(stage)] = over
                continue
            for root, distance in self._layer_overlaps(stage).items():
                found[root, output] = distance
        return found

    @cached_property
    def behind(self) -> dict[Pair, int]:
        """The same pairs: by how much the output must begin behind, where it does not before."""
        return {
            (root, self.aliases[stage.output]): distance
            for stage in self.stages
            if stage.rows is None
            for root, distance in self._layer_overlaps(stage, behind=True).items()
        }

    def _layer_overlaps(self, stage: Stage, *, behind: bool = False) -> dict[str, int]:
        layer, kernel = Layer(self.graph, stage.nodes[-1]), kernel_of(stage.kernel)
        distances: dict[str, list[int | None]] = {}
        for index, tensor in enumerate(layer.inputs):
            if tensor.is_const or not self.dies_in(tensor.name, stage):
                continue
            root = self.aliases[tensor.name]
            if root != self.aliases[stage.output]:
                key = (stage.kernel, stage.output, index, behind)
                if key not in self.known:
                    distance = kernel.behind if behind else kernel.overlap
                    self.known[key] = distance(layer, index)
                distances.setdefault(root, []).append(self.known[key])
        return {
            root: max(known)
            for root, several in distances.items()
            if len(known := [d for d in several if d is not None]) == len(several)
        }

    @cached_property
    def in_place(self) -> set[Pair]:
        """Pairs of a dying input and the output that may lie exactly over it."""
        found = set()
        for stage in self.stages:
            if stage.rows is not None:
                continue
            layer = Layer(self.graph, stage.nodes[-1])
            allowed = kernel_of(stage.kernel).in_place_inputs(layer)
            for name in stage.inputs:
                root = self.aliases[name]
                uses = [i for i, x in enumerate(layer.inputs) if self.aliases.get(x.name) == root]
                if self.dies_in(name, stage) and all(index in allowed for index in uses):
                    found.add((root, self.aliases[stage.output]))
        return found

    @cached_property
    def blocks(self) -> dict[str, Block]:
        """Every block by name: root tensors and scratch."""
        found = {
            root: Block(self.graph.tensors[root].size_bytes, *life)
            for root, life in self.life.items()
        }
        for stage in self.stages:
            if stage.scratch_bytes:
                found[_scratch(stage)] = Block(stage.scratch_bytes, stage.index, stage.index)
        return found

    def placed(
        self, attempts: int = ATTEMPTS, rooms: tuple[int, int] | None = None
    ) -> tuple[dict[str, int], int, int]:
        """Offsets by block, the size of the arena, and a bound below which there is none.

        With `rooms` the arena is split where the first of them ends; inputs and outputs stay
        in it.
        """
        names = {name: index for index, name in enumerate(self.blocks)}
        blocks = list(self.blocks.values())
        overlaps = _by_number(self.overlaps, names)
        behind = _by_number(self.behind, names)
        in_place = {(names[a], names[b]) for a, b in self.in_place}
        split = None
        if rooms is not None:
            ports = {self.aliases[n] for n in (*self.graph.inputs, *self.graph.outputs)}
            first_only = frozenset(index for name, index in names.items() if name in ports)
            split = Split(rooms[0], sum(rooms), first_only)
        offsets, total = place(blocks, BUFFER_ALIGN, overlaps, in_place, attempts, split, behind)
        bound = lower_bound(blocks, BUFFER_ALIGN, overlaps, in_place, behind)
        return dict(zip(names, offsets, strict=True)), total, bound

    def plan(self, attempts: int = ATTEMPTS, rooms: tuple[int, int] | None = None) -> Plan:
        """Place every block, with `rooms` in two arenas; the plan is not verified yet."""
        offsets, total, bound = self.placed(attempts, rooms)
        second_at = 0
        if rooms is not None:
            second_at = self._end_of_first(offsets, rooms[0])
            unused = rooms[0] - second_at
            total -= unused
            offsets = {k: v - unused if v >= rooms[0] else v for k, v in offsets.items()}
        arena_bytes = max(aligned(total, ARENA_ALIGN), ARENA_ALIGN)
        states, state_bytes = self._states(arena_bytes)
        return Plan(
            graph=self.graph,
            stages=tuple(
                replace(stage, scratch_offset=offsets.get(_scratch(stage), 0))
                for stage in self.stages
            ),
            buffers={
                root: Buffer(root, self.graph.tensors[root].size_bytes, *life, offsets[root])
                for root, life in self.life.items()
            }
            | states,
            aliases=self.aliases,
            arena_bytes=arena_bytes,
            lower_bound_bytes=bound,
            keep_input=self.keep_input,
            second_at=second_at,
            state_bytes=state_bytes,
        )

    def _states(self, begin: int) -> tuple[dict[str, Buffer], int]:
        """The buffers of states, one behind the other from `begin` on, and their bytes."""
        found, at = {}, begin
        for state in self.graph.states:
            size = self.graph.tensors[state.source].size_bytes
            found[state.source] = Buffer(state.source, size, -1, len(self.stages), at)
            at += aligned(size, ARENA_ALIGN)
        return found, at - begin

    def _end_of_first(self, offsets: Mapping[str, int], split: int) -> int:
        """Where the last block before the split ends, aligned as the caller aligns arenas."""
        ends = (at + self.blocks[name].size_bytes for name, at in offsets.items() if at < split)
        return aligned(max(ends, default=0), ARENA_ALIGN)


def split_plan(plan: Plan, rooms: tuple[int, int]) -> Plan | None:
    """The plan with its buffers in two arenas.

    Args:
        plan: a plan whose arena is too large for any memory.
        rooms: bytes that the two memories have, each a multiple of `ARENA_ALIGN`.

    Returns:
        None where they have not the room for it either.
    """
    made = Blocks(plan.graph, plan.stages, plan.keep_input).plan(rooms=rooms)
    return made if made.second_bytes <= rooms[1] else None


def _scratch(stage: Stage) -> str:
    """The name of a stage's scratch among the blocks; no tensor has one like it."""
    return f"\0scratch {stage.index}"


def _by_number(pairs: Mapping[Pair, int], names: Mapping[str, int]) -> dict[tuple[int, int], int]:
    return {
        (names[a], names[b]): distance
        for (a, b), distance in pairs.items()
        if a in names and b in names
    }


def arena_bytes_of(
    graph: Graph, stages: Sequence[Stage], known: Distances, *, keep_input: bool
) -> int:
    """Bytes that a part of a network needs by itself, by a short search."""
    return Blocks(graph, numbered(stages), keep_input, known).placed(0)[1]
