"""TFLite's arithmetic with int16 activations and int8 weights ("16x8"): how sums become codes.

Sums of layers with weights have 64 bits unless a bias of 32 says otherwise, and their multipliers
15: one rounding, half up, as in `edgecomp.requant.int16`.  All else rounds twice, as int8 codes do.
Sources: TensorFlow Lite `kernels/internal/quantization_util.cc` (`MultiplyByQuantizedMultiplier`
of int64), `kernels/internal/reference/add.h`, `.../integer_ops/conv.h`, `.../pooling.h`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.fixedpoint import INT32_MAX, IntArray
from edgecomp.ir import Array, Clamp, DType, Node, Tensor
from edgecomp.requant.int16 import (
    LARGEST_SUM,
    LOW,
    MULTIPLIER_BITS,
    LinearFactor,
    codes_of,
    saturate,
)
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite
from edgecomp.requant.tflite_fixedpoint import divide_by_power_of_two, high_multiply

LEFT_SHIFT = 15
"""Bits that the operands of a sum get behind the point."""
_LARGEST_SHIFT = 7
_LAST_REDUCED = 0x7FFF


@dataclass(frozen=True)
class Tflite16Factor:
    """`code = clamp(sum * multiplier * 2^(shift - 31))`, rounded twice.

    Attributes:
        multiplier: 0 or in [2^30, 2^31), one number, or one per output channel.
        shift: positive is left, as many.
        low: smallest output code (the fused activation).
        high: largest output code.
    """

    arithmetic: ClassVar[str] = "tflite"

    multiplier: IntArray
    shift: IntArray
    low: int
    high: int

    def finish(self, total: Array) -> Array:
        """Turn exact sums, the factors along the last axis, into codes."""
        scaled = multiply_by_quantized_multiplier(total, self.multiplier, self.shift)
        return saturate(scaled, self.low, self.high)


@dataclass(frozen=True)
class Tflite16Linear(Tflite16Factor):
    """The factors of a convolution or dense layer whose sums have 32 bits.

    Attributes:
        bias: where each channel's sum starts.
        magnitude: bound of every partial sum's size, the bias with it; it fits int32.
    """

    bias: IntArray
    magnitude: int
    is_narrow: ClassVar[bool] = True


@dataclass(frozen=True)
class Tflite16Sum:
    """Both operands are scaled to a common scale with 15 more bits, added, and scaled again.

    The multipliers are in [2^30, 2^31) or 0, the shifts are to the right.
    """

    arithmetic: ClassVar[str] = "tflite"

    multiplier_a: int
    multiplier_b: int
    multiplier_out: int
    shift_a: int
    shift_b: int
    shift_out: int
    sign_b: int
    low: int
    high: int

    def combine(self, a: Array, b: Array) -> Array:
        """Add codes."""
        total = _scaled(a, self.multiplier_a, self.shift_a)
        total = total + self.sign_b * _scaled(b, self.multiplier_b, self.shift_b)
        scaled = divide_by_power_of_two(high_multiply(total, self.multiplier_out), self.shift_out)
        return saturate(scaled, self.low, self.high)


def _scaled(codes: Array, multiplier: int, shift: int) -> IntArray:
    wide = codes.astype(np.int64) << LEFT_SHIFT
    return divide_by_power_of_two(high_multiply(wide, multiplier), shift)


@dataclass(frozen=True)
class Tflite16Average:
    """Codes are averaged as they are, ties away from zero: both ends have one scale."""

    arithmetic: ClassVar[str] = "tflite"

    low: int
    high: int

    def average(self, total: Array, divisors: Array) -> Array:
        """Divide sums of codes."""
        half = divisors // 2
        away = np.where(total > 0, (total + half) // divisors, -((half - total) // divisors))
        return saturate(away, self.low, self.high)


def scale_of(tensor: Tensor) -> float:
    """The scale of an activation."""
    assert tensor.qparams is not None
    return tensor.qparams.scalar


def factor(scales: Sequence[float] | Array, output: Tensor, clamp: Clamp) -> Tflite16Factor:
    """Make the factors of an output."""
    pairs = np.array([quantize_multiplier_tflite(float(s)) for s in np.ravel(scales)], np.int64)
    return Tflite16Factor(pairs[:, 0], pairs[:, 1], *codes_of(clamp, output))


def linear_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor
) -> LinearFactor | Tflite16Linear:
    """Make the constants of a convolution or dense layer.

    Args:
        node: the layer.
        inputs: int16 input, int8 weights (output channel first), perhaps an int32 or int64 bias.
        output: int16 output.

    Raises:
        UnsupportedError: the sums can leave the bits that TFLite has for them.
    """
    x, weights, *bias = inputs
    assert weights.qparams is not None
    channels = weights.shape[0]
    start = bias[0].value.astype(np.int64) if bias else np.zeros(channels, np.int64)
    gains = np.abs(weights.value.reshape(channels, -1).astype(np.int64)).sum(axis=1)
    magnitude = int((-LOW * gains + np.abs(start)).max())
    scale_w = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), (channels,))
    made = factor(scale_of(x) * scale_w / scale_of(output), output, node.params.clamp)  # type: ignore[attr-defined]
    if bias and bias[0].dtype is DType.INT32:
        check_int32(node, magnitude, made)
        return Tflite16Linear(made.multiplier, made.shift, made.low, made.high, start, magnitude)
    return long_sums(node, made, start, magnitude)


def long_sums(node: Node, made: Tflite16Factor, start: IntArray, magnitude: int) -> LinearFactor:
    """Make the constants of sums of 64 bits, whose multipliers have 15.

    Args:
        node: the layer.
        made: factors with all their bits.
        start: the bias.
        magnitude: bound of every partial sum's size, the bias with it.

    Raises:
        UnsupportedError: sums can leave the bits that TFLite has for them.
    """
    reduced = np.minimum((made.multiplier + (1 << 15)) >> 16, _LAST_REDUCED)
    # Shifted to the 24 bits of `LinearFactor`, which changes no code.
    more = MULTIPLIER_BITS - 15
    largest = magnitude * 2.0 ** float(made.shift.max())
    if magnitude > LARGEST_SUM or made.shift.max() > _LARGEST_SHIFT or largest >= INT32_MAX:
        raise UnsupportedError(
            node.op, node.name, "its sums can leave 38 bits, or its scaled sums 32 bits"
        )
    shift = MULTIPLIER_BITS - made.shift
    return LinearFactor(reduced << more, shift, made.low, made.high, start, magnitude)


def check_int32(node: Node, magnitude: int, made: Tflite16Factor) -> None:
    """Refuse sums that TFLite's 32 bits cannot hold: its results mean nothing then."""
    if magnitude << max(int(made.shift.max()), 0) > INT32_MAX:
        raise UnsupportedError(
            node.op,
            node.name,
            "its sums can leave the 32 bits that TFLite has for them",
            "convert the model again with biases of 64 bits",
        )
