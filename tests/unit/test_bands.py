"""Stages that are computed by bands of rows: what they look like, when they pay, what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import InternalError
from edgecomp.ir import Graph
from edgecomp.kernels import KERNELS, Kernel, Layer
from edgecomp.kernels.rows import row_layer
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.plan.buffers import Blocks, numbered
from edgecomp.plan.costs import cost_table
from edgecomp.plan.fuse import fused
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.rows import Line, RowProgram
from edgecomp.plan.select import applicable
from edgecomp.plan.turns import Unfusable
from edgecomp.plan.types import Plan
from edgecomp.plan.verify import verify_plan
from edgecomp.plan.ways import row_stage
from edgecomp.targets.cores import get_core
from tests.support.random_chains import Chain

M4 = get_core("cortex-m4f")
SAME = Conv2dParams(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
HALF = Conv2dParams(3, 3, 2, 2, pad_bottom=1, pad_right=1)


def chain_of(height: int, width: int = 16, channels: int = 16) -> Chain:
    chain = Chain(0)
    shape = (1, height, width, channels)
    chain.tensors["x"] = replace(chain.tensors["x"], shape=shape)
    chain.real = {"x": np.random.default_rng(0).uniform(-1, 1, (3, *shape))}
    return chain


def residual(height: int = 16, width: int = 16) -> Graph:
    chain = chain_of(height, width)
    y = chain.conv(chain.conv("x", 16, SAME), 16, SAME)
    return chain.graph(chain.add("add", AddParams(), "x", y))


def fastest(cut: Layer) -> Kernel:
    return KERNELS["winograd_2x4_dsp" if cut.node.op == "conv2d" else "add_generic"]


def program_of(graph: Graph, band: int) -> RowProgram:
    found = fused(graph, graph.nodes, fastest, band=band)
    assert isinstance(found, RowProgram), found
    return found


def plan_of(graph: Graph, band: int) -> Plan:
    stage = row_stage(graph.nodes, program_of(graph, band))
    return Blocks(graph, numbered([stage]), keep_input=False).plan()


@pytest.mark.parametrize("band", [2, 4])
def test_a_residual_block_keeps_three_bands_for_its_skip(band):
    program = program_of(residual(), band)
    assert [step.each for step in program.steps] == [band] * 4
    assert [step.bands for step in program.steps] == [16 // band] * 4
    # A window reads a row of the band before and one of the band behind.
    assert [line.rows for line in program.lines.values()] == [3 * band, 2 * band + 1, band]
    assert program.turns == 16 // band + 2
    verify_plan(plan_of(residual(), band))


def test_winograd_by_bands_of_two_needs_fewer_rows_than_by_four():
    graph = residual(32, 32)
    sizes = [plan_of(graph, band).arena_bytes for band in (2, 4)]
    whole = plan_graph(graph, M4, goal="speed").arena_bytes
    assert sizes[0] < sizes[1] < whole


def test_a_stride_halves_the_band():
    chain = chain_of(16)
    y = chain.conv(chain.conv(chain.conv("x", 16, SAME), 16, HALF), 16, HALF)
    found = fused(
        chain.graph(y), chain.graph(y).nodes, lambda cut: KERNELS["conv2d_generic"], band=2
    )
    assert isinstance(found, RowProgram)
    assert [(step.each, step.every) for step in found.steps] == [(2, 1), (2, 1), (1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("height", "params", "message"),
    [
        (10, SAME, "no whole bands of 4"),
        (12, Conv2dParams(3, 3, 3, 3), "bands of 4 with stride 3"),
    ],
)
def test_what_has_no_bands_says_why(height, params, message):
    chain = chain_of(height)
    graph = chain.graph(chain.conv("x", 16, params))
    found = fused(graph, graph.nodes, lambda cut: KERNELS["conv2d_generic"], band=4)
    assert isinstance(found, str)
    assert message in found


def test_a_kernel_that_does_not_compute_a_band_is_told():
    def none(cut: Layer) -> Kernel:
        raise Unfusable(f"nothing computes {cut.output.shape[1]} rows")

    assert fused(residual(), residual().nodes, none, band=2) == "nothing computes 2 rows"


def changed(plan: Plan, **changes: object) -> Plan:
    stage = plan.stages[0]
    assert stage.rows is not None
    return replace(plan, stages=(replace(stage, rows=replace(stage.rows, **changes)),))


def second_line(program: RowProgram) -> Line:
    return list(program.lines.values())[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: {"rows": line.rows - 1, "offset": line.offset + line.row_bytes},
        lambda line: {"each": 1},
        lambda line: {"pad_top": 0},
        lambda line: {"pad_bottom": 0},
        lambda line: {"offset": line.offset - 4},
    ],
)
def test_a_line_that_keeps_something_else_is_refused(change):
    plan = plan_of(residual(), 2)
    program = plan.stages[0].rows
    assert program is not None
    line = second_line(program)
    lines = {**program.lines, line.tensor: replace(line, **change(line))}
    with pytest.raises(InternalError, match=r"not there|outside"):
        verify_plan(changed(plan, lines=lines))


@pytest.mark.parametrize("change", [{"each": 1}, {"bands": 7}, {"first": 0}])
def test_a_step_that_makes_something_else_is_refused(change):
    plan = plan_of(residual(), 2)
    program = plan.stages[0].rows
    assert program is not None
    steps = list(program.steps)
    steps[2] = replace(steps[2], **change)
    with pytest.raises(InternalError):
        verify_plan(changed(plan, steps=tuple(steps)))


def resnet() -> Graph:
    """The first layers of a ResNet, and some that make its maps smaller."""
    chain = chain_of(32, 32, 3)
    x = chain.conv("x", 16, SAME)
    y = chain.conv(chain.conv(x, 16, SAME), 16, SAME)
    y = chain.conv(chain.add("add", AddParams(), x, y), 32, HALF)
    return chain.graph(chain.conv(chain.conv(y, 32, HALF), 64, HALF))


def test_balanced_fuses_what_decides_the_arena_and_speed_does_not():
    graph = resnet()
    balanced, speed = plan_graph(graph, M4), plan_graph(graph, M4, goal="speed")
    bands = [stage.rows.band for stage in balanced.stages if stage.rows]
    assert len(bands) == 1
    assert bands[0] in {2, 4}
    assert not any(stage.rows for stage in speed.stages)
    assert balanced.arena_bytes < 0.75 * speed.arena_bytes


def test_blocks_that_are_alike_are_fused_together():
    """To fuse one of three blocks that need the most memory would not help."""
    chain = chain_of(32, 32, 3)
    x = chain.conv("x", 16, SAME)
    for _ in range(3):
        y = chain.conv(chain.conv(x, 16, SAME), 16, SAME)
        x = chain.add("add", AddParams(), x, y)
    made = plan_graph(chain.graph(x), M4)
    assert [len(stage.nodes) for stage in made.stages if stage.rows] == [3, 3, 3]
    assert made.arena_bytes < 0.75 * plan_graph(chain.graph(x), M4, goal="speed").arena_bytes


def test_a_kernel_that_is_asked_for_computes_the_whole_layer():
    graph = residual(32, 32)
    name = graph.nodes[0].output
    made = plan_graph(graph, M4, forced={name: "conv2d_generic"})
    assert not any(stage.rows for stage in made.stages)
    assert made.stages[0].kernel == "conv2d_generic"


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
def test_bands_are_estimated_from_bands(core):
    """Sixteen bands of two rows cost about what the kernel needs for 32 rows."""
    graph = residual(32, 32)
    layer = Layer(graph, graph.nodes[0])
    table = cost_table(get_core(core))
    ratios = []
    for kernel in applicable(row_layer(layer, 2), get_core(core)):
        whole, band = (table.cost(kernel.name, one) for one in (layer, row_layer(layer, 2)))
        if whole and band and kernel.applies(layer, get_core(core)) is None:
            ratios.append(16 * band.cycles / whole.cycles)
    assert len(ratios) >= 3
    assert 0.7 < sorted(ratios)[len(ratios) // 2] < 1.5
