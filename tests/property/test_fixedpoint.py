"""Fixed point against rational numbers, whatever the operands."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.fixedpoint import PRECISE_MULTIPLIER, quantize_multiplier, rescale
from edgecomp.ir import QParams
from edgecomp.quant.input_codes import input_quantizer
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite

scales = st.floats(2.0**-40, 2.0**20)
half = Fraction(1, 2)


@given(scales, st.integers(-(2**31), 2**31 - 1))
def test_rescale_is_the_product_rounded_half_up(scale, acc):
    multiplier, shift = quantize_multiplier(scale)
    acc >>= shift
    exact = Fraction(acc * 2**shift * multiplier, 2**32)
    assert int(rescale(np.array([acc]), multiplier, shift)[0]) == floor(exact + half)


@given(st.floats(2.0**-15, 2.0**20), st.integers(-(2**31), 2**31 - 1))
def test_rescale_is_within_the_multipliers_precision_of_the_real_product(scale, acc):
    multiplier, shift = quantize_multiplier(scale)
    assert abs(multiplier) >= PRECISE_MULTIPLIER
    acc >>= shift
    error = abs(int(rescale(np.array([acc]), multiplier, shift)[0]) - Fraction(scale) * acc)
    assert error <= half + abs(acc) * Fraction(1, 2 ** (31 - shift))


@given(scales)
def test_the_shift_is_the_least(scale):
    multiplier, shift = quantize_multiplier(scale)
    assert multiplier % 4 == 0
    assert multiplier < 2**31
    assert shift == 0 or round(Fraction(scale) * 2 ** (31 - shift)) >= 2**29


@given(st.floats(2.0**-31, 2.0**20), st.integers(-(2**31), 2**31 - 1))
def test_tflite_rounds_twice(scale, acc):
    multiplier, shift = quantize_multiplier_tflite(scale)
    left, right = max(shift, 0), max(-shift, 0)
    acc >>= left
    once = Fraction(acc * 2**left * multiplier, 2**31)
    # Ties of the multiplication go up (away from zero only above it); those of the division away.
    high = floor(once + half)
    twice = Fraction(abs(high), 2**right)
    expected = floor(twice + half) * (1 if high >= 0 else -1)
    got = int(multiply_by_quantized_multiplier(np.array([acc]), multiplier, shift)[0])
    assert got == expected


@given(
    st.floats(2.0**-16, 10.0, width=32),
    st.integers(-128, 127),
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20),
)
@settings(max_examples=50)
def test_input_codes_are_at_most_a_rounding_error_from_exact(scale, zero_point, values):
    qparams = QParams.per_tensor(scale, zero_point)
    codes = input_quantizer(qparams).codes(np.array(values, np.float32))
    for value, code in zip(values, codes, strict=True):
        exact = Fraction(value) / Fraction(qparams.scalar) + zero_point
        clamped = min(max(exact, Fraction(-128)), Fraction(127))
        slack = Fraction(1, 10**6) * (abs(exact - zero_point) + 300)
        assert abs(int(code) - clamped) <= half + min(slack, Fraction(1))
