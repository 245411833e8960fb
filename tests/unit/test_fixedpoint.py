"""Multipliers and rescaling at the ends of their ranges."""

from fractions import Fraction

import numpy as np
import pytest

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import quantize_multiplier, rescale, round_half_up, saturate
from edgecomp.requant.tflite import (
    divide_by_power_of_two,
    high_multiply,
    quantize_multiplier_tflite,
)

INT32 = 2**31


@pytest.mark.parametrize("scale", [0.0, 2.0**-32, 2.0**-31, 1e-30])
def test_scales_below_the_least_become_zero(scale):
    assert quantize_multiplier(scale) == (0, 0)


@pytest.mark.parametrize(
    "scale", [2.0**-30, 2.0**-15, 1e-4, 0.3, 0.4999999999, 0.5, 0.75, 1.0, 3.7, 2.0**20, 2.0**28.9]
)
def test_multipliers_are_multiples_of_four_and_as_precise_as_they_can(scale):
    multiplier, shift = quantize_multiplier(scale)
    assert multiplier % 4 == 0
    assert 0 < multiplier < INT32
    assert (shift == 0) == (multiplier < INT32 and scale < 0.5 - 2.0**-31)
    if shift:
        assert multiplier >= INT32 // 2 - 4
    error = abs(Fraction(multiplier) / 2 ** (32 - shift) - Fraction(scale))
    assert error <= Fraction(1, 2 ** (31 - shift))
    assert quantize_multiplier(-scale) == (-multiplier, shift)


@pytest.mark.parametrize("scale", [np.inf, np.nan, 2.0**29, 1e12])
def test_scales_that_cannot_be_represented_are_refused(scale):
    with pytest.raises(InternalError):
        quantize_multiplier(scale)


def test_half_way_cases_go_up():
    half, _ = quantize_multiplier(0.25)
    assert rescale(np.array([2, -2, 6, -6]), half, 0).tolist() == [1, 0, 2, -1]
    assert round_half_up(np.array([0.5, -0.5, 1.5, -1.5])).tolist() == [1, 0, 2, -1]


def test_the_largest_products_are_exact():
    acc = np.array([INT32 - 1, -INT32, 1, -1, 0])
    multiplier = INT32 - 4
    expected = [(Fraction(int(a) * multiplier, 2**32) + Fraction(1, 2)).__floor__() for a in acc]
    assert rescale(acc, multiplier, 0).tolist() == expected


def test_saturation_is_within_int8():
    assert saturate(np.array([-1000, -128, 127, 1000])).tolist() == [-128, -128, 127, 127]
    assert saturate(np.array([-5, 5]), -1, 2).tolist() == [-1, 2]


def test_tflite_multiplies_like_gemmlowp():
    multiply = high_multiply
    least = np.array(-INT32)
    assert multiply(least, least) == INT32 - 1
    assert multiply(np.array(1 << 30), np.array(1)) == 1
    assert multiply(np.array(-(1 << 30)), np.array(1)) == 0
    assert multiply(np.array((1 << 30) - 1), np.array(1)) == 0
    assert multiply(np.array(-(1 << 30) - 1), np.array(1)) == -1


def test_tflite_divides_away_from_zero():
    x = np.array([5, -5, 6, -6, 7, -7, 2, -2])
    assert divide_by_power_of_two(x, np.array(2)).tolist() == [1, -1, 2, -2, 2, -2, 1, -1]
    assert divide_by_power_of_two(x, np.array(0)).tolist() == x.tolist()


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, (1 << 30, 1)),
        (0.25, (1 << 30, -1)),
        (1 - 2.0**-40, (1 << 30, 1)),
        (2.0**-33, (0, 0)),
        (0.00037, (1627277209, -11)),
    ],
)
def test_tflite_multipliers(scale, expected):
    assert quantize_multiplier_tflite(scale) == expected
