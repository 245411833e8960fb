"""Stages fused by rows and by bands of rows: bit for bit on the cores."""

from collections import Counter
from functools import lru_cache

import pytest

from edgecomp.plan.planner import plan_graph
from edgecomp.targets.cores import get_core
from tests.support.band_models import band_model
from tests.support.cases import one_line_each
from tests.support.proof import EMULATED, board_differences, host_differences
from tests.support.random_chains import chain_model

MANY = 200
FEW = {chain_model: 24, band_model: 16}
FUSED = pytest.mark.parametrize("model", FEW, ids=["rows", "bands"])


@lru_cache(maxsize=2)
def models(model, count):
    return [model(seed) for seed in range(count)]


def test_many_layers_are_fused_by_rows():
    chains = models(chain_model, FEW[chain_model])
    plans = [plan_graph(model.graph, get_core("cortex-m4f"), goal="ram") for model in chains]
    fused = sum(len(stage.nodes) for plan in plans for stage in plan.stages if stage.rows)
    assert fused >= 40
    usual = [plan_graph(model.graph, get_core("cortex-m4f")) for model in chains]
    less = sum(a.arena_bytes < b.arena_bytes for a, b in zip(plans, usual, strict=True))
    assert less >= len(chains) // 3
    assert all(a.arena_bytes <= b.arena_bytes for a, b in zip(plans, usual, strict=True))


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
def test_many_kernels_compute_bands(name):
    drawn = models(band_model, FEW[band_model])
    plans = [model.plan(get_core(name)) for model in drawn]
    programs = [stage.rows for plan in plans for stage in plan.stages if stage.rows]
    assert len(programs) >= 3 * len(drawn) // 4
    assert {program.band for program in programs} == {2, 4}
    kernels = Counter(step.kernel for p in programs for step in p.steps if step.each > 1)
    assert len(kernels) >= 8, kernels


@FUSED
@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m55"])
def test_host_c_computes_the_same(model, core, tmp_path):
    found = host_differences(models(model, FEW[model]), tmp_path, core_name=core)
    assert not found, one_line_each(found)


@FUSED
@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547"])
def test_emulated_core_computes_the_same(model, board, tmp_path):
    found = board_differences(models(model, FEW[model]), tmp_path, board)
    assert not found, one_line_each(found)


@FUSED
@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", EMULATED)
def test_every_emulated_core_computes_many_the_same(model, board, tmp_path):
    found = board_differences(models(model, MANY), tmp_path, board)
    assert not found, one_line_each(found)
