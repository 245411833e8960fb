"""Measured tables: complete, and equal to what a profile of a built model says."""

import pytest

from edgecomp.kernels import KERNELS, Layer
from edgecomp.plan.costs import cost_table, signature
from edgecomp.plan.select import applicable, select_kernels
from edgecomp.targets.cores import get_core
from edgecomp.tuning import Trial, board_of, measure_trials, tune_layers
from edgecomp.tuning_layers import tuning_graphs
from tests.ops.conv2d import SAME3, conv, pads
from tests.support.cases import Act, Weights, case_graph

MEASURED = ("cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55")


@pytest.mark.parametrize("name", MEASURED)
def test_kept_tables_know_every_kernel(name):
    """Fails where a kernel was added or changed its name and `edgecomp tune` was not run."""
    core = get_core(name)
    wanted = {
        kernel.name
        for graph in tuning_graphs()
        for kernel in applicable(Layer(graph, graph.nodes[0]), core)
        if kernel.name in KERNELS
    }
    assert set(cost_table(core).points) == wanted


@pytest.mark.device
def test_measuring_again_gives_the_kept_numbers():
    """Three layers on the M4, to the instruction: the table is of these very kernels."""
    core = get_core("cortex-m4f")
    graphs = [g for g in tuning_graphs() if g.tensors["y"].size < 300][:3]
    layers = [Layer(graph, graph.nodes[0]) for graph in graphs]
    found = tune_layers(layers, board_of(core), lambda text: None)
    kept = cost_table(core)
    for kernel, points in found.points.items():
        for point in points:
            known = {p.signature: p.cost for p in kept.points[kernel]}[point.signature]
            assert abs(point.cost.instructions / known.instructions - 1) < 0.02, kernel


@pytest.mark.device
def test_trials_count_what_they_run():
    graph = next(iter(tuning_graphs()))
    layer = Layer(graph, graph.nodes[0])
    core = get_core("cortex-m0")
    (kernel, *_) = applicable(layer, core)
    once, again = measure_trials([Trial(layer, kernel)] * 2, board_of(core))
    assert once.instructions == pytest.approx(again.instructions, rel=0.01)
    assert once.instructions > layer.macs
    assert once.own_bytes > 20


UNMEASURED = (
    conv("first", Act((1, 80, 80, 3)), Weights((12, 3, 3, 3)), stride_h=2, stride_w=2, **SAME3),
    conv("widen", Act((1, 28, 28, 10)), Weights((60, 1, 1, 10))),
    conv("shrink", Act((1, 28, 28, 60)), Weights((60, 3, 3, 1)), groups=60,
         stride_h=2, stride_w=2, **SAME3),
    conv("narrow", Act((1, 14, 14, 60)), Weights((20, 1, 1, 60))),
    conv("5x5", Act((1, 14, 14, 80)), Weights((80, 5, 5, 1)), groups=80, **pads(2, 2, 2, 2)),
    conv("3x3", Act((1, 20, 20, 24)), Weights((16, 3, 3, 24)), **SAME3),
    conv("small", Act((1, 5, 5, 72)), Weights((90, 1, 1, 72))),
)  # fmt: skip
"""Layers of mobile and U-shaped networks whose shapes no table has."""


@pytest.mark.device
@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
@pytest.mark.parametrize("goal", ["balanced", "speed"])
def test_layers_take_what_was_estimated(name, goal):
    core, wrong = get_core(name), {}
    table = cost_table(core)
    layers = [Layer(graph, graph.nodes[0]) for graph in map(case_graph, UNMEASURED)]
    kernels = [select_kernels([layer], core, goal)[layer.output.name] for layer in layers]
    trials = [Trial(*pair) for pair in zip(layers, kernels, strict=True)]
    measured = measure_trials(trials, board_of(core))
    estimated = [table.cost(trial.kernel.name, trial.layer) for trial in trials]
    assert all(signature(layer) not in known(table) for layer in layers)
    for case, trial, guess, found in zip(UNMEASURED, trials, estimated, measured, strict=True):
        if not 1 / 1.35 < guess.cycles / found.cycles < 1.35:
            wrong[case.id, trial.kernel.name] = guess.cycles / found.cycles
    assert not wrong
    total = sum(found.cycles for found in measured)
    assert sum(guess.cycles for guess in estimated) == pytest.approx(total, rel=0.1)


def known(table):
    return {point.signature for points in table.points.values() for point in points}
