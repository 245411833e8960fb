"""int16 activations with int8 weights: how sums become codes (docs/numerics.md, "int16").

Codes are symmetric.  A factor is `multiplier * 2^-shift` with 24 bits; sums are exact, and products
of sum and multiplier fit 64 bits by proof, so that each code is rounded once:

    code = sat16((sum * multiplier + 2^(shift - 1)) >> shift)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, IntArray
from edgecomp.ir import Array, Clamp, DType, Tensor

LOW, HIGH = DType.INT16.limits
MULTIPLIER_BITS = 24
LARGEST_SUM = 2**38
"""Of a sum's size: times 24 bits, with the rounding half, it stays below 2^63."""
MOST_SHIFT = 62


def multiplier_of(scale: float, bits: int = MULTIPLIER_BITS) -> tuple[int, int]:
    """Return `(multiplier, shift)`: a factor as `multiplier * 2^-shift`.

    Args:
        scale: any factor below `2^(bits - 1)` in size; one below 2^-38 or so becomes 0.
        bits: of the multiplier; its size is below `2^bits`.

    Raises:
        InternalError: the factor is too large.

    >>> multiplier_of(0.5)
    (8388608, 24)
    >>> multiplier_of(-0.75)
    (-12582912, 24)
    """
    _, exponent = math.frexp(scale)
    shift = min(bits - exponent, MOST_SHIFT)
    multiplier = int(np.rint(np.ldexp(scale, shift)))
    if abs(multiplier) == 1 << bits:
        multiplier, shift = multiplier // 2, shift - 1
    if shift < 1 or not math.isfinite(scale):
        raise InternalError(f"rescaling factor {scale!r} is outside the representable range")
    return multiplier, shift


def rescale(total: Array, multiplier: IntArray | int, shift: IntArray | int) -> Array:
    """Return `(total * multiplier + 2^(shift - 1)) >> shift`, exactly.

    Args:
        total: integers of at most `LARGEST_SUM`.
        multiplier: 24 bits, broadcast against `total`.
        shift: 1 to 62, broadcast against `total`.
    """
    shift = np.asarray(shift, np.int64)
    half = np.left_shift(np.int64(1), shift - 1)
    return np.asarray((total.astype(np.int64) * multiplier + half) >> shift)


def saturate(codes: Array, low: int = LOW, high: int = HIGH) -> Array:
    """Clamp codes to `[low, high]`, as int16."""
    return np.asarray(np.clip(codes, low, high).astype(np.int16))


@dataclass(frozen=True)
class Factor:
    """`code = clamp((sum * multiplier + 2^(shift - 1)) >> shift)`, one factor or several.

    Attributes:
        multiplier: 24 bits, one number, or one per output channel or count.
        shift: 1 to 62, as many.
        low: smallest output code (the fused activation).
        high: largest output code.
    """

    arithmetic: ClassVar[str] = "int16"

    multiplier: IntArray
    shift: IntArray
    low: int
    high: int

    @classmethod
    def of(cls, scales: Sequence[float] | Array, output: Tensor, clamp: Clamp) -> "Factor":
        """Make the factors of an output."""
        pairs = np.array([multiplier_of(float(scale)) for scale in np.ravel(scales)], np.int64)
        low, high = codes_of(clamp, output)
        return cls(pairs[:, 0], pairs[:, 1], low, high)

    def finish(self, total: Array) -> Array:
        """Turn exact sums, the factors along the last axis, into codes."""
        return saturate(rescale(total, self.multiplier, self.shift), self.low, self.high)


def codes_of(clamp: Clamp, output: Tensor) -> tuple[int, int]:
    """The codes of a fused activation."""
    assert output.qparams is not None
    return clamp.codes(output.qparams, DType.INT16)


@dataclass(frozen=True)
class LinearFactor(Factor):
    """The factors of a convolution or dense layer.

    Attributes:
        bias: where each channel's sum starts, at `scale_in * scale_w[c]`.
        magnitude: bound of every partial sum's size, the bias with it.
    """

    bias: IntArray
    magnitude: int

    @property
    def is_narrow(self) -> bool:
        """Whether the sums fit int32, whatever the codes."""
        return self.magnitude <= INT32_MAX


def linear_factor(inputs: Sequence[Tensor], output: Tensor, clamp: Clamp) -> LinearFactor:
    """Make the constants of a convolution or dense layer.

    Args:
        inputs: int16 input, int8 weights (output channel first), perhaps an int32 bias.
        output: int16 output.
        clamp: fused activation.

    Raises:
        InternalError: a sum could leave 2^38.
    """
    x, weights, *bias = inputs
    assert x.qparams is not None
    assert weights.qparams is not None
    assert output.qparams is not None
    channels = weights.shape[0]
    start = bias[0].value.astype(np.int64) if bias else np.zeros(channels, np.int64)
    gains = np.abs(weights.value.reshape(channels, -1).astype(np.int64)).sum(axis=1)
    magnitude = int((-LOW * gains + np.abs(start)).max())
    if magnitude > LARGEST_SUM:
        raise InternalError(f"the sums of {output.name!r} can leave 38 bits")
    scale_w = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), (channels,))
    factor = Factor.of(x.qparams.scalar * scale_w / output.qparams.scalar, output, clamp)
    return LinearFactor(factor.multiplier, factor.shift, factor.low, factor.high, start, magnitude)
