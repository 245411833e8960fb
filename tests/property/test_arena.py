"""Whatever the blocks are, their places do not overlap; and a plan with a fault is found out."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.errors import InternalError
from edgecomp.plan.arena import Block, lower_bound, place
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.types import Plan
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import get_core
from tests.support.random_graphs import float_graph, quantized_model, random_model

GRAPHS = 12
M4 = get_core("cortex-m4f")


@st.composite
def blocks(draw):
    first = draw(st.integers(-1, 12))
    return Block(draw(st.integers(1, 300)), first, first + draw(st.integers(0, 6)))


@settings(max_examples=150, deadline=None)
@given(st.lists(blocks(), max_size=14), st.sampled_from([1, 4, 8, 16]))
def test_blocks_alive_together_lie_apart(found, align):
    offsets, total = place(found, align)
    ends = [offset + block.size_bytes for offset, block in zip(offsets, found, strict=True)]
    assert all(offset % align == 0 and offset >= 0 for offset in offsets)
    assert total % align == 0
    assert max(ends, default=0) <= total < max(ends, default=0) + align
    for a, b in combinations(range(len(found)), 2):
        together = (
            found[a].first_use <= found[b].last_use and found[b].first_use <= found[a].last_use
        )
        if together:
            assert ends[a] <= offsets[b] or ends[b] <= offsets[a]


@settings(max_examples=150, deadline=None)
@given(st.lists(blocks(), max_size=14), st.sampled_from([1, 4, 16]))
def test_no_moment_needs_more_than_the_bound_says(found, align):
    peak = max(
        (
            sum(
                -(-block.size_bytes // align) * align
                for block in found
                if block.first_use <= moment <= block.last_use
            )
            for moment in range(-1, 20)
        ),
        default=0,
    )
    assert lower_bound(found, align) == peak
    assert place(found, align)[1] >= peak


@cache
def plan_of(folder, seed, keep_input):
    random = random_model(seed)
    graph = quantized_model(random, float_graph(random, folder)).graph
    return plan_graph(graph, M4, keep_input=keep_input)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plans")


def faulty(plan: Plan) -> bool:
    """Whether two buffers share bytes while both are needed, looked at pair by pair."""
    for a, b in combinations(plan.buffers.values(), 2):
        early, late = sorted((a, b), key=lambda buffer: (buffer.first_use, buffer.last_use))
        if late.first_use > early.last_use:
            continue
        if (
            early.arena_offset + early.size_bytes <= late.arena_offset
            or late.arena_offset + late.size_bytes <= early.arena_offset
        ):
            continue
        if early.last_use != late.first_use or late.first_use < 0:
            return True
        if late.first_use >= len(plan.stages) or not written_over(plan, early, late):
            return True
    return any(
        buffer.first_use <= stage.index <= buffer.last_use
        and stage.scratch_offset < buffer.arena_offset + buffer.size_bytes
        and buffer.arena_offset < stage.scratch_offset + stage.scratch_bytes
        for stage in plan.stages
        if stage.scratch_bytes
        for buffer in plan.buffers.values()
    )


def written_over(plan, early, late) -> bool:
    """Whether the stage that reads `early` last may write `late` there, event by event."""
    stage = plan.stages[late.first_use]
    layer = plan.layer(stage)
    if plan.aliases[stage.output] != late.name:
        return False
    for index, tensor in enumerate(layer.inputs):
        if tensor.is_const or plan.aliases[tensor.name] != early.name:
            continue
        schedule = plan.kernel(stage).schedule(layer)
        if schedule is None or index not in schedule.reads:
            return False
        reads = schedule.reads[index]
        gone = set()
        for event, written in enumerate(schedule.writes):
            for element in range(reads.low[event], reads.high[event] + 1):
                if early.arena_offset + element in gone:
                    return False
            gone.add(late.arena_offset + int(written))
    return True


@pytest.mark.parametrize("keep_input", [False, True])
@pytest.mark.parametrize("seed", range(GRAPHS))
def test_planned_buffers_lie_apart(folder, seed, keep_input):
    plan = plan_of(folder, seed, keep_input)
    assert not faulty(plan)
    assert plan.lower_bound_bytes <= plan.arena_bytes
    verify_plan(plan)


def moved_plans(plan: Plan):
    """The plan with one buffer, or one stage's scratch, in another place."""

    def places(offset: int, size: int):
        for moved in (offset - 4, offset + 4, 0):
            if 0 <= moved <= plan.arena_bytes - size:
                yield moved

    for name, buffer in plan.buffers.items():
        for offset in places(buffer.arena_offset, buffer.size_bytes):
            moved = replace(buffer, arena_offset=offset)
            yield replace(plan, buffers={**plan.buffers, name: moved})
    for index, stage in enumerate(plan.stages):
        for offset in places(stage.scratch_offset, stage.scratch_bytes):
            stages = list(plan.stages)
            stages[index] = replace(stage, scratch_offset=offset)
            if stage.scratch_bytes:
                yield replace(plan, stages=tuple(stages))


@pytest.mark.parametrize("keep_input", [False, True])
def test_a_planted_overlap_is_found(folder, keep_input):
    planted = 0
    for seed in range(GRAPHS):
        for broken in moved_plans(plan_of(folder, seed, keep_input)):
            if faulty(broken):
                planted += 1
                with pytest.raises(InternalError, match="plan:"):
                    verify_plan(broken)
            else:
                verify_plan(broken)
    assert planted >= 2 * GRAPHS


def test_a_buffer_outside_the_arena_is_found(folder):
    plan = plan_of(folder, 0, False)
    name, buffer = next(iter(plan.buffers.items()))
    for offset in (plan.arena_bytes, buffer.arena_offset + 2):
        moved = replace(buffer, arena_offset=offset)
        with pytest.raises(InternalError, match="outside the arena or is not aligned"):
            verify_plan(replace(plan, buffers={**plan.buffers, name: moved}))
