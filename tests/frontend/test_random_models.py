"""Random networks: reader and passes against onnxruntime, all passes and each alone."""

from pathlib import Path

import pytest

from edgecomp.frontend import read_model
from edgecomp.ir import Graph
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.passes import DEFAULT_PASSES
from tests.frontend.onnx_cases import check_model, difference, random_inputs, run_graph, save
from tests.frontend.random_models import random_model


@pytest.mark.parametrize("seed", range(150))
def test_all_passes(seed: int, tmp_path: Path) -> None:
    check_model(random_model(seed), tmp_path, seed=seed, relative=2e-5)


def topology(graph: Graph) -> list[object]:
    return [(made.op, made.params, graph.node_output(made).shape) for made in graph.nodes]


@pytest.mark.parametrize("seed", range(150, 200))
def test_every_pass_keeps_the_results(seed: int, tmp_path: Path) -> None:
    graph = read_model(save(random_model(seed), tmp_path))
    inputs = random_inputs(graph, seed)
    expected = run_graph(graph, inputs)
    for apply in DEFAULT_PASSES:
        graph = apply(graph)
        verify(graph, OPS)
        for name, y in run_graph(graph, inputs).items():
            assert difference(y, expected[name]) < 2e-5, apply.__name__
        assert topology(apply(graph)) == topology(graph), f"{apply.__name__} finds more to do"
