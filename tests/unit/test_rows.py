"""Stages that are fused by rows: what they look like, what the verifier refuses, streaming."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import InternalError, UserError
from edgecomp.ir import Graph
from edgecomp.kernels import KERNELS, Layer
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.pool import AveragePoolParams
from edgecomp.plan.fuse import fused
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.rows import COPY, MEAN, Line, RowProgram
from edgecomp.plan.select import applicable
from edgecomp.plan.types import Plan
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import get_core
from tests.support.random_chains import Chain, chain_model

M4 = get_core("cortex-m4f")
SAME = Conv2dParams(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)


def residual() -> Graph:
    """A convolution, a residual block and a mean, over 12 rows of 8 x 4."""
    chain = Chain(0)
    x = chain.tensors["x"]
    chain.tensors["x"] = replace(x, shape=(1, 12, 8, 4))
    chain.real = {"x": np.random.default_rng(0).uniform(-1, 1, (3, 1, 12, 8, 4))}
    a = chain.conv("x", 16, SAME)
    c = chain.conv(chain.conv(a, 16, SAME), 16, SAME)
    y = chain.add("add", AddParams(), a, c)
    return chain.graph(chain.add("average_pool", AveragePoolParams(12, 8), y))


def program_of(graph: Graph, **options: bool) -> RowProgram:
    found = fused(graph, graph.nodes, lambda layer: applicable(layer, M4)[-1], **options)
    assert isinstance(found, RowProgram), found
    return found


def least(graph: Graph, **options: bool) -> Plan:
    """The plan with the least arena, whatever it costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgecomp.plan.planner.CYCLES_FOR_RAM", 100.0)
        return plan_graph(graph, M4, goal="ram", **options)


@pytest.fixture(scope="module")
def plan() -> Plan:
    made = least(residual())
    assert made.stages[0].rows is not None
    return made


def changed(plan: Plan, **changes: object) -> Plan:
    """The plan with other values in the program of its first stage."""
    first = plan.stages[0]
    assert first.rows is not None
    return replace(
        plan, stages=(replace(first, rows=replace(first.rows, **changes)), *plan.stages[1:])
    )


def test_a_residual_block_keeps_its_skip_rows_in_the_line_of_its_first_layer():
    program = program_of(residual())
    assert [step.kernel in {COPY, MEAN} for step in program.steps] == [True, *[False] * 4, True]
    # The block reads rows r - 2 to r of its input when it makes row r - 2 of its output.
    assert [line.rows for line in program.lines.values()] == [3, 3, 3, 1, 1]
    assert program.turns == 12 + 3


def test_the_second_operand_of_a_sum_is_written_where_the_sum_will_lie(plan):
    program = plan.stages[0].rows
    assert program is not None
    (total,) = (step for step in program.steps if "add" in step.kernel)
    guests = [line for line in program.lines.values() if line.within]
    assert [(line.within, line.size_bytes) for line in guests] == [(total.tensor, 0)]
    skipped = program.steps[1].tensor
    wrong = {**program.lines, guests[0].tensor: replace(guests[0], within=skipped)}
    with pytest.raises(InternalError, match="not there"):
        verify_plan(changed(plan, lines=wrong))


def test_a_fused_network_needs_a_fraction_of_its_tensors(plan):
    usual = plan_graph(residual(), M4)
    assert plan.arena_bytes < 0.6 * usual.arena_bytes
    assert plan.stages[0].ops == ("conv2d", "conv2d", "conv2d", "add", "average_pool")
    assert plan.macs(plan.stages[0]) == sum(usual.macs(stage) for stage in usual.stages)


def test_rows_that_come_at_different_rates_are_not_fused():
    chain = Chain(1)
    chain.tensors["x"] = replace(chain.tensors["x"], shape=(1, 8, 8, 4))
    chain.real = {"x": np.zeros((1, 1, 8, 8, 4))}
    half = Conv2dParams(1, 1, 2, 2)
    wide = chain.conv("x", 4, Conv2dParams(1, 5, 2, 2, 1, 1, 0, 0, 2, 2))
    y = chain.add("add", AddParams(), chain.conv("x", 4, half), wide)
    graph = chain.graph(y)
    assert isinstance(
        fused(graph, graph.nodes, lambda layer: applicable(layer, M4)[-1]), RowProgram
    )
    alone = fused(graph, graph.nodes[-1:], lambda layer: applicable(layer, M4)[-1])
    assert alone == "several tensors enter"


def line_of(plan: Plan, rows: int) -> Line:
    program = plan.stages[0].rows
    assert program is not None
    return next(line for line in program.lines.values() if line.rows == rows and line.pad_top)


def test_a_line_with_a_row_less_is_refused(plan):
    program, line = plan.stages[0].rows, line_of(plan, 3)
    shorter = replace(line, rows=2, offset=line.offset + line.row_bytes)
    with pytest.raises(InternalError, match="not there"):
        verify_plan(changed(plan, lines={**program.lines, line.tensor: shorter}))


def test_a_line_without_its_padding_is_refused(plan):
    program, line = plan.stages[0].rows, line_of(plan, 3)
    bare = replace(line, pad_top=0)
    with pytest.raises(InternalError, match="not there"):
        verify_plan(changed(plan, lines={**program.lines, line.tensor: bare}))


def test_a_line_over_another_is_refused(plan):
    program, line = plan.stages[0].rows, line_of(plan, 3)
    moved = replace(line, offset=line.offset + 4)
    with pytest.raises(InternalError, match="not there"):
        verify_plan(changed(plan, lines={**program.lines, line.tensor: moved}))


@pytest.mark.parametrize("index", range(1, 6))
def test_a_step_a_turn_too_early_is_refused(plan, index):
    steps = list(plan.stages[0].rows.steps)
    steps[index] = replace(steps[index], first=steps[index].first - 1)
    with pytest.raises(InternalError):
        verify_plan(changed(plan, steps=tuple(steps)))


def test_a_window_at_another_place_is_refused(plan):
    steps = list(plan.stages[0].rows.steps)
    read = steps[1].reads[0]
    steps[1] = replace(steps[1], reads=(replace(read, slot=read.slot + 1),))
    with pytest.raises(InternalError, match="not there"):
        verify_plan(changed(plan, steps=tuple(steps)))


def test_scratch_that_is_not_declared_is_refused(plan):
    steps = list(plan.stages[0].rows.steps)
    steps[1] = replace(steps[1], scratch_bytes=steps[1].scratch_bytes + 4)
    with pytest.raises(InternalError, match="not what its kernel needs"):
        verify_plan(changed(plan, steps=tuple(steps)))


def test_scratch_nearer_to_the_input_is_refused():
    """Lines lie over rows of the input that are dead; one word further they lie over live ones."""
    refused = 0
    for seed in range(24):
        made = least(chain_model(seed).graph)
        for stage in made.stages:
            if stage.rows is None:
                continue
            source = made.buffer(stage.rows.source)
            distance = stage.rows.distances()[1]
            if stage.scratch_offset + distance != source.arena_offset:
                continue
            nearer = replace(stage, scratch_offset=stage.scratch_offset + 4)
            stages = [nearer if one is stage else one for one in made.stages]
            with pytest.raises(InternalError):
                verify_plan(replace(made, stages=tuple(stages)))
            refused += 1
    assert refused >= 3


def test_a_streamed_input_takes_no_memory_but_its_line():
    graph = residual()
    streamed = least(graph, stream_input=True)
    assert streamed.streamed_inputs == {"x"}
    assert "x" not in streamed.buffers
    assert streamed.arena_bytes < least(graph).arena_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [({"goal": "balanced"}, "--optimize ram"), ({"goal": "ram", "keep_input": True}, "keep")],
)
def test_streaming_says_what_it_needs(options, message):
    with pytest.raises(UserError, match=message):
        plan_graph(residual(), M4, stream_input=True, **options)


def test_kernels_of_rows_apply_to_nothing_else():
    graph = residual()
    names = {"conv2d_row_dsp", "depthwise_row_dsp"}
    for node in graph.nodes[:3]:
        for name in names:
            assert KERNELS[name].applies(Layer(graph, node), M4) is not None
