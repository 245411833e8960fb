"""The choice of kernels by cost: on kept tables, and on tables made up for the purpose."""

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.base import Kernel
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.plan import select
from edgecomp.plan.costs import (
    Cost,
    CostTable,
    Point,
    cost_table,
    from_json,
    signature,
    sizes,
    to_json,
)
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.select import (
    CYCLES_LIMIT,
    applicable,
    candidates,
    choose_kernel,
    cycles_of,
    flash_of,
    select_kernels,
)
from edgecomp.targets.cores import get_core
from edgecomp.tuning_layers import tuning_graphs
from tests.support.cases import Act, Bias, OpCase, Weights, case_graph

M4 = get_core("cortex-m4f")


def conv(channels=16, outputs=16, side=12):
    params = Conv2dParams(kernel_h=3, kernel_w=3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    operands = (Act((1, side, side, channels)), Weights((outputs, 3, 3, channels)), Bias())
    graph = case_graph(OpCase(f"{channels}-{outputs}-{side}", "conv2d", params, operands))
    return Layer(graph, graph.nodes[0])


def table(layers, costs):
    """A table in which each kernel costs the same on all layers: (cycles, own bytes, shared)."""
    return CostTable(
        {
            name: tuple(
                Point(signature(layer), sizes(layer), Cost(cycles, cycles, own, shared))
                for layer in layers
            )
            for name, (cycles, own, shared) in costs.items()
        }
    )


def chosen(layers, costs, goal, *, complete=True, **options):
    """Names of the kernels chosen; those without a price are known, and dear, if `complete`."""
    dear = {kernel.name: (10**9, 10**9, {}) for kernel in applicable(layers[0], M4)}
    prices = {**dear, **costs} if complete else costs
    found = select_kernels(layers, M4, goal, table=table(layers, prices), **options)
    return [found[layer.output.name].name for layer in layers]


@pytest.fixture
def one():
    return [conv()]


@pytest.fixture
def rivals(one):
    """Kernels for the same layer, the preferred one last: it has the largest constants."""
    names = [kernel.name for kernel in applicable(one[0], M4)][::-1]
    assert len(names) >= 3
    return names


def test_where_cycles_are_rough_instructions_decide_what_is_close(one):
    first, second = [kernel.name for kernel in applicable(one[0], M4)][:2]

    def chosen_on(core, instructions):
        costs = {first: Cost(900, 1000, 10, {}), second: Cost(instructions, 980, 10, {})}
        prices = CostTable(
            {name: (Point(signature(one[0]), sizes(one[0]), cost),) for name, cost in costs.items()}
        )
        (kernel,) = select_kernels(one, get_core(core), "speed", table=prices).values()
        return kernel.name

    assert chosen_on("cortex-m4f", 1200) == second
    assert chosen_on("cortex-m7", 1200) == first
    assert chosen_on("cortex-m7", 950) == second


def test_speed_takes_the_fewest_cycles(one, rivals):
    costs = {rivals[0]: (1000, 10, {}), rivals[1]: (900, 90_000, {}), rivals[2]: (5000, 1, {})}
    assert chosen(one, costs, "speed") == [rivals[1]]


def test_balanced_gives_cycles_for_bytes_but_not_many(one, rivals):
    cheap = {rivals[0]: (1100, 10, {}), rivals[1]: (1000, 90_000, {})}
    assert chosen(one, cheap, "balanced") == [rivals[0]]
    slow = {rivals[0]: (int(1000 * CYCLES_LIMIT) + 1, 10, {}), rivals[1]: (1000, 90_000, {})}
    assert chosen(one, slow, "balanced") == [rivals[1]]


def test_size_values_bytes_more(one, rivals):
    costs = {rivals[0]: (2000, 10, {}), rivals[1]: (1000, 5_000, {})}
    assert chosen(one, costs, "balanced") == [rivals[1]]
    assert chosen(one, costs, "size") == [rivals[0]]


def test_what_does_not_fit_is_given_up(one, rivals):
    costs = {rivals[0]: (9000, 10, {}), rivals[1]: (1000, 5_000, {})}
    kept = table(one, {name: costs.get(name, (10**9, 10**9, {})) for name in rivals})
    every = candidates(one[0], M4, "speed", kept)
    need = flash_of([candidate for candidate in every if candidate.kernel.name == rivals[0]])
    assert chosen(one, costs, "speed") == [rivals[1]]
    assert chosen(one, costs, "speed", flash_bytes=need) == [rivals[0]]
    assert chosen(one, costs, "speed", flash_bytes=100) == [rivals[0]]


def test_shared_functions_count_once(one, rivals):
    layers = [*one, Layer(one[0].graph, one[0].node)]
    known = table(layers, {name: (10, 5, {"ec_shared": 400}) for name in rivals})
    several = [candidates(layer, M4, "size", known)[0] for layer in layers]
    weights = sum(candidate.weights_bytes for candidate in several)
    assert flash_of(several) - weights - select.FRAME_BYTES == 400 + 2 * 5


def test_a_kernel_never_measured_is_taken_by_the_order_of_the_table(one, rivals):
    assert chosen(one, {}, "balanced", complete=False) == [
        next(name for name in rivals[::-1] if "balanced" in KERNELS[name].goals)
    ]
    assert chosen(one, {rivals[0]: (1, 1, {})}, "speed", complete=False) == [rivals[-1]]


def test_no_kernel_at_all_says_why(one, monkeypatch):
    for name, kernel in KERNELS.items():
        if kernel.op == "conv2d":
            monkeypatch.setattr(type(kernel), "applies", lambda *_, name=name: f"not {name}")
    with pytest.raises(UnsupportedError, match="not conv2d_generic"):
        choose_kernel(one[0], M4)


def test_unmeasured_shapes_are_estimated_within_reason():
    """Each measured point against an estimate from all the others of its kernel."""
    kept = cost_table(M4)
    errors = []
    graphs = {signature(Layer(g, g.nodes[0])): Layer(g, g.nodes[0]) for g in tuning_graphs()}
    for kernel, points in kept.points.items():
        if len(points) < 8:
            continue
        for point in points:
            rest = CostTable({kernel: tuple(other for other in points if other is not point)})
            guess = rest.cost(kernel, graphs[point.signature])
            assert guess is not None
            errors.append(abs(guess.cycles / point.cost.cycles - 1))
    assert np.median(errors) < 0.06
    assert np.mean(np.array(errors) > 0.5) < 0.02


def test_few_points_speak_of_more_work():
    """Two layers of one width say what one of more channels costs: not what any layer does."""
    kept = cost_table(M4).points["depthwise_dsp_narrow"]
    shapes = ("1x48x48x16 16x3x3x1 1x24x24x16", "1x24x24x32 32x3x3x1 1x12x12x32")
    two = tuple(p for p in kept if any(shape in p.signature for shape in shapes))
    (wanted,) = (p for p in kept if "1x32x32x48 48x3x3x1 1x16x16x48" in p.signature)
    graphs = {signature(Layer(g, g.nodes[0])): Layer(g, g.nodes[0]) for g in tuning_graphs()}
    guess = CostTable({"depthwise_dsp_narrow": two}).cost(
        "depthwise_dsp_narrow", graphs[wanted.signature]
    )
    assert len(two) == 2
    assert guess.cycles == pytest.approx(wanted.cost.cycles, rel=0.25)


def test_tables_survive_their_files():
    kept = cost_table(M4)
    again = from_json(to_json(kept, M4))
    assert {name: set(map(str, points)) for name, points in again.points.items()} == {
        name: set(map(str, points)) for name, points in kept.points.items()
    }


def test_own_measurements_come_first(one, rivals):
    kept = table(one, {rivals[0]: (1000, 1, {}), rivals[1]: (500, 1, {})})
    own = kept.with_points(table(one, {rivals[0]: (100, 1, {})}).points)
    assert own.cost(rivals[0], one[0]).cycles == 100
    assert own.cost(rivals[1], one[0]).cycles == 500


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
def test_balanced_stays_near_speed_on_kept_tables(name):
    core = get_core(name)
    layers = [Layer(graph, graph.nodes[0]) for graph in list(tuning_graphs())[:12]]
    kept = cost_table(core)

    def cycles(goal):
        total = 0
        for layer in layers:
            kernel = select_kernels([layer], core, goal)[layer.output.name]
            total += cycles_of(
                [one for one in candidates(layer, core, goal, kept) if one.kernel is kernel]
            )
        return total

    assert cycles("speed") <= cycles("balanced") <= CYCLES_LIMIT * cycles("speed")


def test_a_forced_kernel_is_taken(one, rivals):
    graph = one[0].graph
    plan = plan_graph(graph, M4, forced={graph.outputs[0]: rivals[-1]})
    assert [stage.kernel for stage in plan.stages] == [rivals[-1]]
    assert isinstance(KERNELS[rivals[-1]], Kernel)
