"""Layers computed by bands of rows, whatever the kernels: bit for bit on the cores."""

from collections import Counter

import pytest

from edgecomp.targets.cores import get_core
from tests.support.band_models import band_model
from tests.support.cases import one_line_each
from tests.support.proof import EMULATED, board_differences, host_differences

FEW, MANY = 16, 200


@pytest.fixture(scope="module")
def models():
    return [band_model(seed) for seed in range(FEW)]


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55"])
def test_many_kernels_compute_bands(models, name):
    programs = [
        stage.rows for model in models for stage in model.plan(get_core(name)).stages if stage.rows
    ]
    assert len(programs) >= 3 * FEW // 4
    assert {program.band for program in programs} == {2, 4}
    kernels = Counter(step.kernel for p in programs for step in p.steps if step.each > 1)
    assert len(kernels) >= 8, kernels


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
    found = board_differences([band_model(seed) for seed in range(MANY)], tmp_path, board)
    assert not found, one_line_each(found)
