"""TFLite's addition by two products: equal for every pair of codes, or refused."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.ir import DType, Node, QParams, Tensor
from edgecomp.ops.add import AddParams, prepare_add
from edgecomp.requant.tflite_layers import add_constants
from edgecomp.requant.tflite_sums import linear_sum

CODES = np.arange(-128, 128)


def constants(scales, zeros, op="add"):
    """TFLite's constants of a sum or difference of two tensors."""
    a, b, y = (
        Tensor(name, (1, 4), DType.INT8, QParams.per_tensor(scale, zero))
        for name, scale, zero in zip("aby", scales, zeros, strict=True)
    )
    node = Node(op, op, ("a", "b"), "y", AddParams(), numerics="tflite")
    own = prepare_add((a, b), y, AddParams().clamp, -1 if op == "sub" else 1)
    return add_constants(node, (a, b), y, own)


zero_points = st.integers(-128, 127)
scale = st.floats(0.005, 0.1)


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(scale, scale, scale),
    st.tuples(zero_points, zero_points, zero_points),
    st.sampled_from(["add", "sub"]),
)
def test_every_pair_of_codes_gives_the_code_of_tflite(scales, zeros, op):
    k = constants(scales, zeros, op)
    found = linear_sum(k)
    if found is None:
        return
    wanted = k.combine(CODES[:, None], CODES[None, :])
    np.testing.assert_array_equal(found.combine(CODES[:, None], CODES[None, :]), wanted)
    largest = abs(found.addend) + 128 * (abs(found.multiplier_a) + abs(found.multiplier_b))
    assert largest < 2**31


def test_most_sums_of_real_scales_are_found():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        scales = rng.uniform(0.01, 0.05, 3)
        zeros = [int(z) for z in rng.integers(-128, 60, 3)]
        found += linear_sum(constants(scales.tolist(), zeros)) is not None
    assert found >= 20


def test_scales_further_apart_than_products_tell_are_refused():
    assert linear_sum(constants((1.0, 1e-6, 1e-4), (0, 0, 0))) is None
