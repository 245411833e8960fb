"""Kernels with less scratch, closer outputs, or layers fused by bands: for a smaller arena.

The kernels are chosen by cycles and flash alone; what they cost in RAM shows only when everything
is placed.  Where a stage decides the size of the arena, its other kernels are tried, and to compute
it and its neighbours by bands of rows; what lowers the product of cycles, flash and arena, each
with its weight, is taken.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

from edgecomp.kernels import Kernel
from edgecomp.kernels.base import Goal
from edgecomp.plan.arena import ATTEMPTS
from edgecomp.plan.bands import Band, Bands
from edgecomp.plan.buffers import Blocks, Distances, numbered
from edgecomp.plan.select import (
    FLASH_WEIGHT,
    SIZE_WEIGHT,
    Candidate,
    Selection,
    candidates,
    cycles_of,
    exchange_groups,
    exchanges,
    flash_of,
    select,
)
from edgecomp.plan.types import ARENA_ALIGN, Plan
from edgecomp.targets.cores import Core

LIGHT_LIMIT = 1.244
"""Times the cycles of the fastest kernels that a lighter choice may take."""
THUMB_LIMIT = 1.2
"""The same on Armv6-M: kernels there take longer for larger weights, up to 6 % beyond estimates."""
SIZE_LIMIT = 1.05
"""Times the cycles of the smallest kernels, where `size` was chosen."""
ROUNDS = 8
"""Kernels that are exchanged at most."""
LOOSE = 1.01
"""Times this limit that a choice may take on the way to a better one within it."""
LEAST_GAIN = 0.001
"""Logarithm of the product that an exchange must win."""
RAM_FRAME_BYTES = 1_300
"""RAM of an image beside its arena: static data and the stack."""
FUSED_BYTES = 512
"""What fused layers count as more RAM: nobody sees what they hand to each other."""


@dataclass(frozen=True)
class Draft:
    """The kernels of all layers, and which layers are one stage."""

    selection: Selection
    bands: tuple[Band, ...] = ()

    @property
    def kernels(self) -> list[Kernel]:
        """In the order of the layers."""
        return [one.kernel for one in self.selection]


def lighten(
    bands: Bands,
    kernels: Mapping[str, Kernel],
    core: Core,
    goal: Goal,
    *,
    keep_input: bool,
) -> tuple[dict[str, Kernel], tuple[Band, ...]]:
    """Exchange kernels and fuse layers where that makes the arena smaller at little cost.

    Args:
        bands: the layers of the network, and which of them may be fused.
        kernels: the choice so far, by output.
        core: the processor.
        goal: what the build is optimized for.
        keep_input: whether the inputs survive.

    Returns:
        The new choice, and the layers that are one stage; the same choice where a kernel of it was
        never measured.
    """
    layers = bands.layers
    every = [candidates(layer, core, goal, bands.table) for layer in layers]
    first: list[Candidate] = []
    for layer, several in zip(layers, every, strict=True):
        mine = [one for one in several if one.kernel is kernels[layer.output.name]]
        if not mine:
            return dict(kernels), ()
        first.append(mine[0])
    if not first:
        return dict(kernels), ()
    draft = _Search(bands, every, core, goal, keep_input).best(Draft(tuple(first)))
    found = {
        layer.output.name: one.kernel for layer, one in zip(layers, draft.selection, strict=True)
    }
    return found, draft.bands


class _Search:
    """From one draft to better ones."""

    def __init__(
        self,
        bands: Bands,
        every: Sequence[Sequence[Candidate]],
        core: Core,
        goal: Goal,
        keep_input: bool,
    ) -> None:
        self.graph, self.layers, self.bands, self.every = bands.graph, bands.layers, bands, every
        self.core, self.goal, self.keep_input = core, goal, keep_input
        self.weight = SIZE_WEIGHT if goal == "size" else FLASH_WEIGHT
        self.known: Distances = {}
        self.fastest = sum(min(one.cost.cycles for one in several) for several in every)
        self.limit = (THUMB_LIMIT if core.is_v6m else LIGHT_LIMIT) * self.fastest

    def best(self, first: Draft) -> Draft:
        """The best draft that is found from `first`, and by way of one that takes a little more."""
        more = SIZE_LIMIT if self.goal == "size" else 1.0
        limit = self.limit = max(self.limit, more * self._cycles(first))
        drafts = [self._descend(first)]
        if drafts[0].bands:
            drafts += [self._descend(start) for start in self._others(first)]
            self.limit = LOOSE * limit
            beyond = self._descend(first)
            self.limit = limit
            drafts.append(self._descend(beyond))
        return min(drafts, key=self._placed_badness)

    def _others(self, draft: Draft) -> Iterator[Draft]:
        """Selections without one of the kernels at the peak: its bands may be too high."""
        plan = self._plan(draft, ATTEMPTS)
        assert plan is not None
        peak = sorted(self._at_peak(plan))
        for name in dict.fromkeys(draft.selection[position].kernel.name for position in peak):
            every = [[one for one in several if one.kernel.name != name] for several in self.every]
            if all(every):
                yield Draft(select(self.layers, every, self.core, self.goal, self.fastest))

    def _placed_badness(self, draft: Draft) -> float:
        plan = self._plan(draft, ATTEMPTS)
        assert plan is not None
        return self._badness(draft, plan)

    def _descend(self, chosen: Draft) -> Draft:
        """Take the best move again and again, as long as it betters the draft."""
        plan = self._plan(chosen, ATTEMPTS)
        assert plan is not None
        best = self._badness(chosen, plan)
        for _ in range(ROUNDS):
            least = self._best_move(chosen, self._at_peak(plan), best)
            placed = least and self._plan(least, ATTEMPTS)
            if not least or not placed or self._badness(least, placed) > best - LEAST_GAIN:
                break
            chosen, plan, best = least, placed, self._badness(least, placed)
        return chosen

    def _best_move(self, draft: Draft, peak: set[int], best: float) -> Draft | None:
        """The best of the simplest moves that better a draft, by a short search for places."""
        found: list[tuple[float, int, Draft]] = []
        for moves in self._moves(draft, peak):
            for other in moves:
                plan = self._plan(other, 0)
                if plan is not None and self._cycles(other) <= self.limit:
                    found.append((self._badness(other, plan), len(found), other))
            if found and min(found)[0] <= best - LEAST_GAIN:
                break
        return min(found)[2] if found else None

    def _moves(self, draft: Draft, peak: set[int]) -> Iterator[Iterator[Draft]]:
        """Kernels exchanged and layers fused, then kernels of two neighbours exchanged."""
        # Fused layers take other cycles than before: what was chosen beside them may be so no more.
        groups = [
            group for group in exchange_groups(self.layers) if peak & set(group) or draft.bands
        ]
        one = exchanges(draft.selection, self.every, groups)
        two = _of_two(draft.selection, self.every, peak)
        more = (
            replace(draft, bands=(*draft.bands, *bands))
            for bands in self.bands.moves(peak, draft.bands)
        )
        yield chain((replace(draft, selection=other) for other in one), more)
        yield (replace(draft, selection=other) for other in two)

    def _plan(self, draft: Draft, attempts: int) -> Plan | None:
        stages = self.bands.stages(draft.kernels, draft.bands)
        if stages is None:
            return None
        return Blocks(self.graph, numbered(stages), self.keep_input, self.known).plan(attempts)

    def _cycles(self, draft: Draft) -> int:
        inside = {position for band in draft.bands for position in band.positions}
        outside = [one for index, one in enumerate(draft.selection) if index not in inside]
        return cycles_of(outside) + sum(
            self.bands.cycles(band, draft.kernels) for band in draft.bands
        )

    def _badness(self, draft: Draft, plan: Plan) -> float:
        flash = flash_of(draft.selection) + sum(map(self.bands.code_bytes, draft.bands))
        cycles = self._cycles(draft)
        ram = plan.arena_bytes + RAM_FRAME_BYTES + FUSED_BYTES * bool(draft.bands)
        return (
            math.log(cycles)
            + self.weight * math.log(flash)
            + 2 * math.log(ram)
            + (math.inf if cycles > self.limit else 0.0)
        )

    def _at_peak(self, plan: Plan) -> set[int]:
        """Positions of the layers during which the arena is used to its end."""
        top = plan.arena_bytes - ARENA_ALIGN
        stages = {
            index
            for buffer in plan.buffers.values()
            if buffer.arena_offset + buffer.size_bytes > top
            and not plan.is_state(buffer.arena_offset)
            for index in range(max(buffer.first_use, 0), min(buffer.last_use + 1, len(plan.stages)))
        }
        stages |= {
            stage.index for stage in plan.stages if stage.scratch_offset + stage.scratch_bytes > top
        }
        made = {node.output for index in stages for node in plan.stages[index].nodes}
        return {index for index, layer in enumerate(self.layers) if layer.output.name in made}


def _of_two(
    start: Selection, every: Sequence[Sequence[Candidate]], peak: set[int]
) -> Iterator[Selection]:
    """Every selection in which two neighbours at the peak have other kernels.

    Where an output may lie depends on the order of both the stage that writes and the one that
    reads it.
    """
    for index in sorted(peak):
        if index + 1 in peak:
            for pair in product(every[index], every[index + 1]):
                if pair[0] is not start[index] and pair[1] is not start[index + 1]:
                    yield (*start[:index], *pair, *start[index + 2 :])
