"""How far an output may lie before or behind its input, against trying every place."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.plan.arena import Block, lower_bound, place

SIZE = 6


@st.composite
def schedules(draw):
    """A few events: each reads a range or nothing, then writes an element."""
    count = draw(st.integers(1, 7))
    ranges = draw(
        st.lists(
            st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).map(sorted)
            | st.just([NOTHING, -1]),
            min_size=count,
            max_size=count,
        )
    )
    writes = draw(st.lists(st.integers(0, SIZE - 1), min_size=count, max_size=count))
    low, high = np.array(ranges, np.int64).T
    return Schedule(np.array(writes, np.int64), {0: Reads(low, high)})


def is_safe(schedule: Schedule, gap: int) -> bool:
    """Whether no element is read after it was written over; the output begins `gap` behind."""
    gone: set[int] = set()
    reads = schedule.reads[0]
    for low, high, written in zip(
        reads.low.tolist(), reads.high.tolist(), schedule.writes.tolist(), strict=True
    ):
        if high >= 0 and not gone.isdisjoint(range(low, high + 1)):
            return False
        gone.add(written + gap)
    return True


@settings(max_examples=300, deadline=None)
@given(schedules())
def test_the_output_is_safe_from_there_on_and_no_sooner(schedule):
    before, behind = -schedule.distance(0), schedule.behind(0)
    everywhere = range(-2 * SIZE, 2 * SIZE + 1)
    assert all(is_safe(schedule, gap) for gap in everywhere if gap <= before or gap >= behind)
    assume(behind > -NOTHING)
    assert not is_safe(schedule, before + 1)
    assert not is_safe(schedule, behind - 1)


def test_an_output_written_from_its_end_on_begins_where_its_input_does():
    blocks = [Block(8, 0, 1), Block(16, 1, 2), Block(4, 1, 1)]
    offsets, total = place(blocks, 1, {(0, 1): 12}, behind={(0, 1): 0})
    assert total == lower_bound(blocks, 1, {(0, 1): 12}, behind={(0, 1): 0}) == 20
    assert offsets[1] >= offsets[0]


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    distances=st.tuples(st.integers(-20, 40), st.integers(-20, 40)),
    align=st.sampled_from([1, 4]),
    others=st.lists(st.integers(1, 20), max_size=2),
)
def test_a_pair_lies_before_behind_or_apart(sizes, distances, align, others):
    before, behind = distances
    blocks = [Block(sizes[0], 0, 1), Block(sizes[1], 1, 2), *(Block(n, 1, 1) for n in others)]
    offsets, total = place(blocks, align, {(0, 1): before}, behind={(0, 1): behind})
    gap = offsets[1] - offsets[0]
    assert gap <= -before or gap >= behind or gap >= sizes[0] or -gap >= sizes[1]
    assert total >= lower_bound(blocks, align, {(0, 1): before}, behind={(0, 1): behind})
