"""Functions of float32 numbers made of single operations, the same on the host and in C.

No library's `logf` or `sqrtf`: two of them need not agree in the last bit.  Their twins in C are in
`templates/kernels/float32/helpers.c.j2`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

HALVES = np.float32(12582912.0)
"""1.5 * 2^23: a number of at most 2^22 added to it loses its fraction."""
MAGIC_ROOT = 0x5F3759DF
"""A first guess of 1/sqrt(x), as bits: C. Lomont, "Fast Inverse Square Root", 2003."""
ROOT_STEPS = 4
LN_2 = np.float32(0.69314718)
ROOT_HALF_BITS = 0x3F3504F3
"""sqrt(1/2) as bits."""
SERIES = tuple(np.float32(1 / odd) for odd in (11, 9, 7, 5, 3))


def round_to_nearest(x: Float32) -> Float32:
    """Whole numbers nearest to numbers of at most 2^22; ties go to even ones."""
    return np.asarray((x + HALVES) - HALVES, np.float32)


def reciprocal_root(x: Float32) -> Float32:
    """`1 / sqrt(x)` of positive numbers by Newton's steps, at most 2 units in the last place off.

    >>> round(float(reciprocal_root(np.array([4.0], np.float32))[0]), 6)
    0.5
    """
    x = np.asarray(x, np.float32)
    y = np.asarray(MAGIC_ROOT - (x.view(np.int32) >> 1), np.int32).view(np.float32)
    half = x * np.float32(0.5)
    for _ in range(ROOT_STEPS):
        y = y * (np.float32(1.5) - half * y * y)
    return np.asarray(y, np.float32)


def logarithm(x: Float32) -> Float32:
    """`ln(x)` of normal positive numbers: the exponent times ln 2, and a series of the fraction.

    With x = m * 2^e and m from 1/sqrt(2) to sqrt(2): ln m = 2 artanh(f), f = (m - 1) / (m + 1).

    >>> float(logarithm(np.array([1.0], np.float32))[0])
    0.0
    """
    bits = np.asarray(x, np.float32).view(np.int32)
    exponent = (bits - ROOT_HALF_BITS) >> 23
    mantissa = np.asarray(bits - (exponent << 23), np.int32).view(np.float32)
    fraction: Any = (mantissa - np.float32(1)) / (mantissa + np.float32(1))
    square = fraction * fraction
    total = SERIES[0]
    for term in SERIES[1:]:
        total = total * square + term
    artanh = fraction * square * total + fraction
    return np.asarray(exponent.astype(np.float32) * LN_2 + (artanh + artanh), np.float32)
