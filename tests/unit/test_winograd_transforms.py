"""The transforms give whole multiples of the direct sums, in 16-bit halves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecomp.kernels.winograd_transforms import DIRECT, F2, F4, ONE

CODES = st.integers(-128, 127)
TRANSFORMS = pytest.mark.parametrize("transform", [F2, F4], ids=["F2", "F4"])


@TRANSFORMS
@given(data=st.data())
def test_sums_are_the_factor_times_the_direct_ones(transform, data):
    size = transform.outputs + 2
    inputs = np.array(data.draw(st.lists(CODES, min_size=size, max_size=size)))
    weights = np.array(data.draw(st.lists(CODES, min_size=3, max_size=3)))
    sums = transform.sums @ ((transform.weights @ weights) * (transform.inputs @ inputs))
    direct = [inputs[i : i + 3] @ weights for i in range(transform.outputs)]
    np.testing.assert_array_equal(sums, transform.factor * np.array(direct))


@pytest.mark.parametrize("down", [ONE, F2, F4], ids=["1", "F2", "F4"])
def test_transformed_codes_fit_16_bits(down):
    for matrices in ((down.inputs, F4.inputs), (down.weights, F4.weights)):
        largest = [np.abs(matrix).sum(axis=1).max() for matrix in matrices]
        assert 128 * largest[0] * largest[1] < 1 << 15


def test_without_a_transform_the_three_products_are_added():
    np.testing.assert_array_equal(DIRECT.sums @ (DIRECT.weights @ [5, 7, 9]), [21])


@TRANSFORMS
def test_the_bias_is_in_every_output_once(transform):
    np.testing.assert_array_equal(transform.sums[:, 1], np.ones(transform.outputs))
