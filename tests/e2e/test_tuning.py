"""Measured tables: complete, and equal to what a profile of a built model says."""

import pytest

from edgecomp.kernels import KERNELS, Layer
from edgecomp.plan.costs import cost_table
from edgecomp.plan.select import applicable
from edgecomp.targets.cores import get_core
from edgecomp.tuning import Trial, board_of, measure_trials, tune_layers
from edgecomp.tuning_layers import tuning_graphs

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
