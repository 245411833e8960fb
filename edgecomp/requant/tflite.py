"""TFLite's requantization of convolutions and dense layers: two roundings.

Sources: TensorFlow Lite `kernels/internal/common.h` (`MultiplyByQuantizedMultiplier`),
`kernels/internal/quantization_util.cc` (`QuantizeMultiplier`), `kernels/kernel_util.cc`
(`PopulateConvolutionQuantizationParams`, `GetQuantizedConvolutionMultipler`); gemmlowp
`fixedpoint/fixedpoint.h` (`SaturatingRoundingDoublingHighMul`, `RoundingDivideByPOT`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, saturate
from edgecomp.ir import Array, Node, Tensor
from edgecomp.ops.linear import LinearConstants
from edgecomp.requant.tflite_fixedpoint import divide_by_power_of_two, high_multiply


@dataclass(frozen=True)
class TfliteConstants(LinearConstants):
    """Constants of a linear layer in TFLite's arithmetic.

    `multiplier` is 0 or in [2^30, 2^31); `shift` may be negative, and left where positive.
    """

    arithmetic: ClassVar[str] = "tflite"

    @property
    def right_shift(self) -> IntArray:
        """Right shift per channel; negative where it is to the left."""
        return np.where(self.multiplier == 0, 1, -self.shift)

    @property
    def rounds_away(self) -> bool:
        """Whether it matters that ties below the zero point go down: not behind a ReLU."""
        return self.low < self.zero_point

    @property
    def end_word(self) -> IntArray:
        """`256 * zero_point + right_shift` per channel: one word for both."""
        return 256 * self.zero_point + self.right_shift

    def finish(self, acc: Array) -> Array:
        """Turn products' sums `(..., channels)`, bias not yet added, into output codes."""
        scaled = multiply_by_quantized_multiplier(acc + self.bias, self.multiplier, self.shift)
        return saturate(scaled + self.zero_point, self.low, self.high)


def quantize_multiplier_tflite(scale: float) -> tuple[int, int]:
    """Return `(multiplier, shift)` with `scale = multiplier * 2^(shift - 31)`, as TFLite does.

    >>> quantize_multiplier_tflite(0.5)
    (1073741824, 0)
    >>> quantize_multiplier_tflite(0.0)
    (0, 0)
    """
    mantissa, shift = math.frexp(scale)
    # C's round: ties away from zero.
    multiplier = math.floor(abs(mantissa) * 2**31 + 0.5) * (1 if mantissa >= 0 else -1)
    if abs(multiplier) == 2**31:
        multiplier //= 2
        shift += 1
    return (multiplier, shift) if shift >= -31 and multiplier else (0, 0)


def multiply_by_quantized_multiplier(
    acc: Array, multiplier: IntArray | int, shift: IntArray | int
) -> IntArray:
    """Scale int32 accumulators by `multiplier * 2^(shift - 31)`, rounding twice.

    Args:
        acc: integers that fit int32 after a left shift by `max(shift, 0)`.
        multiplier: int32, broadcast against `acc`.
        shift: positive is left; broadcast against `acc`.
    """
    shift = np.asarray(shift, np.int64)
    shifted = np.asarray(acc, np.int64) << np.maximum(shift, 0)
    return divide_by_power_of_two(high_multiply(shifted, multiplier), np.maximum(-shift, 0))


def tflite_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: LinearConstants
) -> LinearConstants:
    """Replace the multipliers of a linear layer by TFLite's.

    Args:
        node: a convolution or dense layer.
        inputs: quantized input and weights.
        output: quantized output.
        own: the layer's constants in edgecomp's arithmetic; their proof that the accumulator fits
            int32 holds here too, because TFLite never shifts further to the left.
    """
    x, weights = inputs[0].qparams, inputs[1].qparams
    assert x is not None
    assert weights is not None
    assert output.qparams is not None
    per_channel = np.broadcast_to(np.asarray(weights.scale), own.multiplier.shape)
    scales = [x.scalar * float(scale) / output.qparams.scalar for scale in per_channel]
    pairs = np.array([quantize_multiplier_tflite(scale) for scale in scales], np.int64)
    given = {field.name: getattr(own, field.name) for field in fields(LinearConstants)}
    return TfliteConstants(**{**given, "multiplier": pairs[:, 0], "shift": pairs[:, 1]})
