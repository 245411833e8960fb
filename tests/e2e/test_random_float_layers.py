"""Random networks in which every layer that can compute in float32 does: bits as the reference."""

from dataclasses import replace
from functools import cache

import pytest

from edgecomp.interp import run_int
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import QuantizeOptions
from edgecomp.requant.float32 import FLOAT32_OPS
from tests.support.cases import one_line_each
from tests.support.proof import board_differences, host_differences
from tests.support.random_graphs import float_graph, quantized_model, random_model

FEW, MANY = 12, 150
SIZES = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


@cache
def prepared(folder, count):
    """Networks 0 to `count` - 1; every second one is planned for `ram`, rows fused."""
    models = []
    for seed in range(count):
        random = random_model(seed)
        graph = float_graph(random, folder)
        names = tuple(node.name for node in graph.nodes if node.op in FLOAT32_OPS)
        model = quantized_model(random, graph, QuantizeOptions(float_layers=names))
        assert sum(node.is_float32 for node in model.graph.nodes) == len(names)
        models.append(replace(model, goal="ram" if seed % 2 else "balanced"))
    assert sum(any(node.is_float32 for node in m.graph.nodes) for m in models) > 0.7 * count
    return models


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("random_float")


@pytest.mark.parametrize("count", SIZES)
def test_dead_channels_change_no_code(folder, count):
    for model in prepared(folder, count):
        smaller, _ = remove_dead_channels(model.graph)
        wanted, got = run_int(model.graph, model.codes), run_int(smaller, model.codes)
        for name in model.graph.outputs:
            assert (wanted[name] == got[name]).all(), model.name


@pytest.mark.parametrize("count", SIZES)
def test_host_c_computes_the_same(folder, count, tmp_path):
    found = host_differences(prepared(folder, count), tmp_path, "gcc", "cortex-m4f")
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize(
    ("board", "count"),
    [
        ("mps2-an386", FEW),
        pytest.param("mps2-an386", MANY, marks=pytest.mark.slow),
        pytest.param("mps2-an385-v6m", MANY, marks=pytest.mark.slow),
        pytest.param("mps3-an547", MANY, marks=pytest.mark.slow),
    ],
)
def test_emulated_core_computes_the_same(folder, board, count, tmp_path):
    found = board_differences(prepared(folder, count), tmp_path, board)
    assert not found, one_line_each(found)
