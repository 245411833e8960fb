"""The one definition of edgecomp's fixed-point rescaling (docs/numerics.md, "Requantize").

A real factor `scale` becomes an int32 `multiplier` and a left `shift` such that

    requantize(acc) = ((acc << shift) * multiplier + 2^31) >> 32

is `acc * scale` rounded half up.  `shift` is 0 for every scale below 1/2.  The multiplier is a
multiple of 4, which makes Winograd's factor 1/4 and the doubling multiply of MVE exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp.errors import InternalError

IntArray = npt.NDArray[np.int64]

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
PRECISE_MULTIPLIER = 2**17
"""Below this the multiplier has fewer than 16 significant bits: reports count such layers."""
MIN_SCALE = 2.0**-31
"""A factor below this would round to a zero multiplier; smaller ones are raised to 0 exactly."""


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """Return `(multiplier, shift)` for a real factor.

    Args:
        scale: any finite number below 2**29 in size; negative factors give negative multipliers.

    Returns:
        `multiplier`, a multiple of 4 with absolute value below 2**31, and `shift` >= 0, the
        least n for which `rint(|scale| * 2**(30 - n)) < 2**29`.

    Raises:
        InternalError: `scale` is not finite or too large to be represented.

    >>> quantize_multiplier(0.25)
    (1073741824, 0)
    >>> quantize_multiplier(0.5)
    (1073741824, 1)
    """
    size = abs(float(scale))
    if not np.isfinite(size) or size >= 2.0**29:
        raise InternalError(f"rescaling factor {scale!r} is outside the representable range")
    for shift in range(31):
        mantissa = int(np.rint(np.ldexp(size, 30 - shift)))
        if mantissa < 2**29:
            return (4 * mantissa if scale >= 0 else -4 * mantissa), shift
    raise InternalError(f"rescaling factor {scale!r} is outside the representable range")


def quantize_multipliers(scales: Sequence[float] | npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """Return the multipliers and shifts of several factors as two int64 arrays."""
    pairs = [quantize_multiplier(float(scale)) for scale in np.ravel(scales)]
    multipliers = np.array([pair[0] for pair in pairs], dtype=np.int64)
    shifts = np.array([pair[1] for pair in pairs], dtype=np.int64)
    return multipliers, shifts


def rescale(
    acc: npt.NDArray[Any], multiplier: npt.NDArray[Any] | int, shift: npt.NDArray[Any] | int
) -> IntArray:
    """Return `((acc << shift) * multiplier + 2^31) >> 32`, exactly.

    Args:
        acc: integers that fit int32 after the left shift.
        multiplier: int32, broadcast against `acc`.
        shift: left shift, >= 0, broadcast against `acc`.
    """
    wide = np.asarray(acc, dtype=np.int64)
    if np.any(shift):
        wide = wide << np.asarray(shift, dtype=np.int64)
    product: IntArray = wide * np.asarray(multiplier, dtype=np.int64)
    product += 1 << 31
    product >>= 32
    return product


def round_half_up(x: npt.NDArray[Any] | float) -> IntArray:
    """Round to the nearest integer, ties towards plus infinity."""
    return np.floor(np.asarray(x, dtype=np.float64) + 0.5).astype(np.int64)


def saturate(
    q: npt.NDArray[Any], low: int = INT8_MIN, high: int = INT8_MAX
) -> npt.NDArray[np.int8]:
    """Clamp codes to `[low, high]`, within int8."""
    clamped: npt.NDArray[np.int8] = np.clip(q, low, high).astype(np.int8)
    return clamped
