"""Random chains with the least arena: fused by rows, streamed, bit for bit on the cores."""

import pytest

from edgecomp.plan.planner import plan_graph
from edgecomp.targets.cores import get_core
from tests.support.cases import one_line_each
from tests.support.proof import EMULATED, board_differences, host_differences
from tests.support.random_chains import chain_model

FEW, MANY = 24, 200


@pytest.fixture(scope="module")
def models():
    return [chain_model(seed) for seed in range(FEW)]


def test_many_layers_are_fused(models):
    plans = [plan_graph(model.graph, get_core("cortex-m4f"), goal="ram") for model in models]
    fused = sum(len(stage.nodes) for plan in plans for stage in plan.stages if stage.rows)
    assert fused >= 40
    usual = [plan_graph(model.graph, get_core("cortex-m4f")) for model in models]
    less = sum(a.arena_bytes < b.arena_bytes for a, b in zip(plans, usual, strict=True))
    assert less >= FEW // 3
    assert all(a.arena_bytes <= b.arena_bytes for a, b in zip(plans, usual, strict=True))


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m55"])
def test_host_c_computes_the_same(models, core, tmp_path):
    found = host_differences(models, tmp_path, core_name=core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547"])
def test_emulated_core_computes_the_same(models, board, tmp_path):
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", EMULATED)
def test_every_emulated_core_computes_many_the_same(board, tmp_path):
    found = board_differences([chain_model(seed) for seed in range(MANY)], tmp_path, board)
    assert not found, one_line_each(found)
