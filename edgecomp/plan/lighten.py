"""Kernels with less scratch, or closer outputs, where they make the arena smaller.

The kernels are chosen by cycles and flash alone; what they cost in RAM shows only when everything
is placed.  Where a stage decides the size of the arena, its other kernels are tried, and one is
taken that lowers the product of cycles, flash and arena, each with its weight.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from edgecomp.ir import Graph
from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.base import Goal
from edgecomp.plan.arena import ATTEMPTS
from edgecomp.plan.buffers import Blocks, Distances, layer_stage, numbered
from edgecomp.plan.costs import CostTable
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
)
from edgecomp.plan.types import ARENA_ALIGN, Plan
from edgecomp.targets.cores import Core

LIGHT_LIMIT = 1.238
"""Times the cycles of the fastest kernels that a lighter choice may take."""
ROUNDS = 8
"""Kernels that are exchanged at most."""
LEAST_GAIN = 0.001
"""Logarithm of the product that an exchange must win."""


def lighten(
    graph: Graph,
    layers: Sequence[Layer],
    kernels: Mapping[str, Kernel],
    core: Core,
    goal: Goal,
    table: CostTable,
    *,
    keep_input: bool,
) -> dict[str, Kernel]:
    """Exchange kernels where that makes the arena smaller at little cost.

    Args:
        graph: the network, its nodes in the order of execution.
        layers: its layers that are computed.
        kernels: the choice so far, by output.
        core: the processor.
        goal: what the build is optimized for.
        table: what kernels cost.
        keep_input: whether the inputs survive.

    Returns:
        The new choice; the same where a kernel of it was never measured.
    """
    every = [candidates(layer, core, goal, table) for layer in layers]
    first: list[Candidate] = []
    for layer, several in zip(layers, every, strict=True):
        mine = [one for one in several if one.kernel is kernels[layer.output.name]]
        if not mine:
            return dict(kernels)
        first.append(mine[0])
    if not first:
        return dict(kernels)
    chosen: Selection = tuple(first)
    fastest = sum(min(one.cost.cycles for one in several) for several in every)
    limit = max(LIGHT_LIMIT * fastest, cycles_of(chosen))
    weight = SIZE_WEIGHT if goal == "size" else FLASH_WEIGHT
    known: Distances = {}

    def plan_of(selection: Sequence[Candidate], attempts: int) -> Plan:
        stages = numbered(
            layer_stage(layer, one.kernel) for layer, one in zip(layers, selection, strict=True)
        )
        return Blocks(graph, stages, keep_input, known).plan(attempts)

    def badness(selection: Sequence[Candidate], plan: Plan) -> float:
        bytes_part = weight * math.log(flash_of(selection)) + 2 * math.log(plan.arena_bytes)
        return (
            math.log(cycles_of(selection))
            + bytes_part
            + (math.inf if cycles_of(selection) > limit else 0.0)
        )

    plan = plan_of(chosen, ATTEMPTS)
    best = badness(chosen, plan)
    for _ in range(ROUNDS):
        found: list[tuple[float, int, Selection]] = []
        peak = _at_peak(plan)
        groups = [group for group in exchange_groups(layers) if peak & set(group)]
        for moves in (exchanges(chosen, every, groups), _of_two(chosen, every, peak)):
            for other in moves:
                if cycles_of(other) <= limit:
                    found.append((badness(other, plan_of(other, 0)), len(found), other))
            if found and min(found)[0] <= best - LEAST_GAIN:
                break
        if not found:
            break
        _, _, least = min(found)
        placed = plan_of(least, ATTEMPTS)
        if badness(least, placed) > best - LEAST_GAIN:
            break
        chosen, plan, best = least, placed, badness(least, placed)
    return {layer.output.name: one.kernel for layer, one in zip(layers, chosen, strict=True)}


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


def _at_peak(plan: Plan) -> set[int]:
    """Stages during which the arena is used to its end."""
    top = plan.arena_bytes - ARENA_ALIGN
    found = {
        index
        for buffer in plan.buffers.values()
        if buffer.arena_offset + buffer.size_bytes > top and not plan.is_state(buffer.arena_offset)
        for index in range(max(buffer.first_use, 0), min(buffer.last_use + 1, len(plan.stages)))
    }
    found |= {
        stage.index for stage in plan.stages if stage.scratch_offset + stage.scratch_bytes > top
    }
    return found
