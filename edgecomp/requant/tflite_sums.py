"""TFLite's addition as edgecomp's: two products, one sum, one shift, proved equal.

TFLite rounds each operand to 20 more bits, adds, and rounds twice.  All that can happen are 65,536
pairs of codes: `(a * F + b * G + A) >> bits` takes its place if it gives the same code for each.
"""

import functools
from collections.abc import Iterator

import numpy as np

from edgecomp.fixedpoint import INT32_MAX
from edgecomp.ops.add import MAX_FRACTION_BITS, AddConstants
from edgecomp.requant.tflite_layers import LEFT_SHIFT, TfliteAddConstants

NEAR = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6)
"""What is added to each rounded factor until one pair is proved."""
LEAST_BITS = 12
"""Fewer fraction bits do not tell TFLite's sums from others."""
CODES = np.arange(-128, 128, dtype=np.int64)


@functools.lru_cache(maxsize=64)
def linear_sum(k: TfliteAddConstants) -> AddConstants | None:
    """Return constants whose sum is `k`'s for every pair of codes; None if none are found."""
    wanted = k.combine(CODES[:, None], CODES[None, :]).astype(np.int64)
    for a, b, bits in _factors(k):
        products = CODES[:, None] * a + CODES[None, :] * b
        above, below = wanted > k.low, wanted < k.high
        least = ((wanted << bits) - products)[above].max(initial=-INT32_MAX)
        most = (((wanted + 1) << bits) - 1 - products)[below].min(initial=INT32_MAX)
        addend = int(least + most) // 2
        if least <= most and abs(addend) + 128 * (abs(a) + abs(b)) <= INT32_MAX:
            return AddConstants(a, b, addend, bits, k.low, k.high)
    return None


def _factors(k: TfliteAddConstants) -> Iterator[tuple[int, int, int]]:
    """Pairs of factors and fraction bits, likely ones first."""
    out = k.multiplier_out * 2.0 ** (LEFT_SHIFT - 31 - k.shift_out)
    real_a = k.multiplier_a * 2.0 ** (-31 - k.shift_a) * out
    real_b = k.sign_b * k.multiplier_b * 2.0 ** (-31 - k.shift_b) * out
    for bits in range(MAX_FRACTION_BITS, LEAST_BITS - 1, -1):
        a, b = round(real_a * 2.0**bits), round(real_b * 2.0**bits)
        if 128 * (abs(a) + abs(b)) <= INT32_MAX:
            near = sorted(
                ((i, j) for i in NEAR for j in NEAR), key=lambda pair: abs(pair[0]) + abs(pair[1])
            )
            yield from ((a + i, b + j, bits) for i, j in near)
            return
