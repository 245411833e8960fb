"""Fast kernels of int16 activations: on every case, and factors taken apart exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.product16 import LEAST_SHIFT, upper_factors
from edgecomp.plan.select import applicable, choose_kernel
from edgecomp.requant.int16 import HIGH, LOW, LinearFactor
from edgecomp.targets.cores import get_core
from tests.ops.test_int16 import SAMPLES, WIDE, some
from tests.support.bundle import Model
from tests.support.cases import one_line_each, random_codes
from tests.support.proof import board_differences, host_differences

M4, M55 = get_core("cortex-m4f"), get_core("cortex-m55")
LINEAR = [(case, graph) for case, graph in WIDE if case.op in {"conv2d", "dense"}]
FAST = {name for name in KERNELS if name.endswith(("int16_dsp", "int16_mve"))}


def layer_of(graph):
    return Layer(graph, graph.nodes[0])


@pytest.fixture(scope="module")
def models():
    """Every case that one of the kernels computes."""
    return [
        Model(case.id, graph, random_codes(graph, np.random.default_rng(case.seed), SAMPLES))
        for case, graph in LINEAR
        if choose_kernel(layer_of(graph), M4).name in FAST
    ]


def test_every_kernel_has_cases():
    tried = {kernel.name for _, graph in LINEAR for kernel in applicable(layer_of(graph), M55)}
    assert tried >= FAST


def test_sums_and_factors_that_do_not_fit_are_left_to_plain_c():
    """Sums of 64 bits, factors above 1/4."""
    by_name = {case.id: choose_kernel(layer_of(graph), M4).name for case, graph in LINEAR}
    assert by_name["conv2d-extreme-products-of-tiles"] == "conv2d_int16"
    assert by_name["conv2d-shift-large"] == "conv2d_int16"


@given(
    total=st.integers(INT32_MIN, INT32_MAX),
    multiplier=st.integers(-(2**24) + 1, 2**24 - 1),
    shift=st.integers(LEAST_SHIFT, 62),
)
def test_the_upper_word_rounds_as_the_whole_product_does(total, multiplier, shift):
    one = (np.array([n], np.int64) for n in (multiplier, shift))
    k = LinearFactor(*one, LOW, HIGH, np.zeros(1, np.int64), INT32_MAX)
    (wide,), (end,) = upper_factors(k)
    assert INT32_MIN <= wide <= INT32_MAX
    upper = (total * int(wide)) >> 32
    code = (upper >> int(end)) + (upper >> (int(end) - 1) & 1)
    assert code == (total * multiplier + (1 << (shift - 1))) >> shift


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m55"])
def test_host_c_computes_the_same(models, core, tmp_path):
    """Plain C, and the twins of Helium's assembly; test_int16.py compiles those of DSP."""
    found = host_differences(some(models), tmp_path, core_name=core)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"])
def test_emulated_cores_compute_every_case(models, board, tmp_path):
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)
