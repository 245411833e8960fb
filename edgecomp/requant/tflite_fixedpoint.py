"""TFLite's fixed-point functions on int32, exactly as its reference kernels compute them.

Sources: gemmlowp `fixedpoint/fixedpoint.h` (`exp_on_negative_values`,
`one_over_one_plus_x_for_x_in_0_1`); TensorFlow Lite `kernels/internal/common.h` (`GetReciprocal`)
and `kernels/internal/reference/softmax.h`.
"""

import math

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN, IntArray
from edgecomp.ir import Array

SCALED_DIFF_INTEGER_BITS = 5
ACCUMULATION_INTEGER_BITS = 12
_DIFF_FRACTION_BITS = 31 - SCALED_DIFF_INTEGER_BITS
_EXP_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
# exp(-1/4), exp(-1/2), ..., exp(-16), by the bit of the remainder that calls for each.
_BARREL = (
    (-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308),
    (2, 39332535), (3, 720401), (4, 242),
)  # fmt: skip
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540
_ONE_Q2 = 1 << 29


def high_multiply(a: Array | int, b: Array | int) -> IntArray:
    """Return `a * b / 2^31`, rounded to nearest, ties away from zero on the positive side only."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # C divides towards zero.
    quotient = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    return np.asarray(np.minimum(quotient, INT32_MAX), np.int64)


def divide_by_power_of_two(x: Array | int, exponent: Array | int) -> IntArray:
    """Return `x / 2^exponent`, rounded to nearest, ties away from zero."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> exponent) + ((x & mask) > threshold), np.int64)


def shift_left(x: Array | int, bits: int) -> IntArray:
    """Return `x * 2^bits`, saturated to int32."""
    shifted: IntArray = np.clip(np.asarray(x, np.int64) << bits, INT32_MIN, INT32_MAX)
    return shifted


def exp_on_negative_values(x: IntArray, integer_bits: int = SCALED_DIFF_INTEGER_BITS) -> IntArray:
    """Return `exp(x)` as Q0.31 for `x <= 0` with `integer_bits` before the point."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    modulo = (x & (quarter - 1)) - quarter
    result = _exp_near_zero(shift_left(modulo, integer_bits))
    remainder = modulo - x
    for exponent, factor in _BARREL:
        if exponent >= integer_bits:
            break
        bit = 1 << (fraction_bits + exponent)
        result = np.where(remainder & bit, high_multiply(result, factor), result)
    return np.asarray(np.where(x == 0, INT32_MAX, result), np.int64)


def _exp_near_zero(a: IntArray) -> IntArray:
    """Return `exp(a)` for `-1/4 <= a < 0`, both Q0.31: a Taylor series around -1/8."""
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4_over_4 = divide_by_power_of_two(high_multiply(x2, x2), 2)
    tail = divide_by_power_of_two(high_multiply(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return np.asarray(_EXP_MINUS_EIGHTH + high_multiply(_EXP_MINUS_EIGHTH, x + tail), np.int64)


def one_over_one_plus(x: IntArray) -> IntArray:
    """Return `1 / (1 + x)` for x in [0, 1), both Q0.31."""
    return shift_left(_two_over_one_plus(x), 1)


def one_minus_over_one_plus(x: IntArray) -> IntArray:
    """Return `(1 - x) / (1 + x)` for x in [0, 1), both Q0.31."""
    return shift_left(_two_over_one_plus(x) - _ONE_Q2, 2)


def _two_over_one_plus(x: IntArray) -> IntArray:
    """Return `2 / (1 + x)` as Q2.29, by three Newton steps."""
    total = x + INT32_MAX
    half = (total + 1) // 2
    guess = _48_OVER_17 + high_multiply(half, _MINUS_32_OVER_17)
    for _ in range(3):
        rest = _ONE_Q2 - high_multiply(half, guess)
        guess = guess + shift_left(high_multiply(guess, rest), 2)
    return guess


def reciprocal(x: IntArray, integer_bits: int) -> tuple[IntArray, IntArray]:
    """Return the Q0.31 reciprocal of positive `x`, and by how many bits it lies over one."""
    headroom = np.array([32 - int(n).bit_length() for n in np.ravel(x)]).reshape(x.shape)
    scale = one_over_one_plus((x << headroom) - (1 << 31))
    return scale, np.asarray(integer_bits - headroom, np.int64)


def softmax_exponents(scale: float) -> IntArray:
    """Return `exp(-scale * d)` for d = 0 to 255 as Q0.31; 0 where TFLite leaves a term out.

    Args:
        scale: of the input, times beta.
    """
    factor = min(scale * (1 << _DIFF_FRACTION_BITS), 2.0**31 - 1.0)
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    radius = math.floor(
        ((1 << SCALED_DIFF_INTEGER_BITS) - 1) * 2.0**_DIFF_FRACTION_BITS / 2.0**shift
    )
    distance = np.arange(256, dtype=np.int64)
    kept = distance <= radius
    scaled = high_multiply(-np.where(kept, distance, 0) << shift, multiplier)
    return np.where(kept, exp_on_negative_values(scaled), 0)
