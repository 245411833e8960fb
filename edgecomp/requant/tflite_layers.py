"""The constants of TFLite's own arithmetic for layers that are neither conv nor dense.

Sources: TensorFlow Lite `kernels/internal/reference/integer_ops/add.h`, `.../pooling.h`,
`kernels/internal/reference/softmax.h`, `tensorflow/lite/micro/kernels/add_common.cc`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, saturate
from edgecomp.ir import Array, Node, QParams, Tensor
from edgecomp.ops.add import AddConstants
from edgecomp.ops.pool import AverageConstants
from edgecomp.ops.softmax import SoftmaxConstants
from edgecomp.requant.tflite import quantize_multiplier_tflite
from edgecomp.requant.tflite_fixedpoint import (
    ACCUMULATION_INTEGER_BITS,
    divide_by_power_of_two,
    high_multiply,
    reciprocal,
    softmax_exponents,
)

LEFT_SHIFT = 20


@dataclass(frozen=True)
class TfliteAddConstants(AddConstants):
    """Both operands are scaled to a common scale with 20 more bits, added, and scaled again.

    `multiplier_a`, `multiplier_b` and `multiplier_out` are in [2^30, 2^31) or 0, the shifts are to
    the right.  `addend` and `fraction_bits` of the base are not used.
    """

    arithmetic: ClassVar[str] = "tflite"

    zero_a: int
    zero_b: int
    shift_a: int
    shift_b: int
    multiplier_out: int
    shift_out: int
    zero_point: int
    sign_b: int

    def combine(self, a: Array, b: Array) -> Array:
        """Add codes."""
        total = self._scaled(a, self.zero_a, self.multiplier_a, self.shift_a)
        total = total + self.sign_b * self._scaled(b, self.zero_b, self.multiplier_b, self.shift_b)
        scaled = divide_by_power_of_two(high_multiply(total, self.multiplier_out), self.shift_out)
        return saturate(scaled + self.zero_point, self.low, self.high)

    def _scaled(self, codes: Array, zero: int, multiplier: int, shift: int) -> IntArray:
        wide = (codes.astype(np.int64) - zero) << LEFT_SHIFT
        return divide_by_power_of_two(high_multiply(wide, multiplier), shift)


@dataclass(frozen=True)
class TfliteAverageConstants(AverageConstants):
    """Codes are averaged as they are, ties away from zero: both ends have one scale."""

    arithmetic: ClassVar[str] = "tflite"

    def average(self, total: Array, divisors: Array) -> Array:
        """Divide sums of codes."""
        half = divisors // 2
        away = np.where(total > 0, (total + half) // divisors, -((half - total) // divisors))
        return saturate(away, self.low, self.high)


@dataclass(frozen=True)
class TfliteSoftmaxConstants(SoftmaxConstants):
    """Exponentials in Q0.31, their sum in Q12.19, its reciprocal by Newton's method."""

    arithmetic: ClassVar[str] = "tflite"

    def codes(self, x: Array) -> Array:
        """Compute softmax of codes `(..., classes)`."""
        distance = x.max(axis=-1, keepdims=True) - x
        terms = self.exponent[distance]
        total = divide_by_power_of_two(terms, ACCUMULATION_INTEGER_BITS).sum(-1, keepdims=True)
        scale, over = reciprocal(total, ACCUMULATION_INTEGER_BITS)
        q = divide_by_power_of_two(high_multiply(scale, terms), over + 31 - 8)
        return saturate(q - 128)


def add_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: AddConstants
) -> AddConstants:
    """Make the multipliers of an addition or subtraction."""
    operands = tuple(tensor.qparams for tensor in inputs)
    assert operands[0] is not None
    assert operands[1] is not None
    assert output.qparams is not None
    sign = -1 if node.op == "sub" else 1
    return sum_constants((operands[0], operands[1]), output.qparams, own, sign)


def sum_constants(
    operands: tuple[QParams, QParams], out: QParams, own: AddConstants, sign_b: int
) -> TfliteAddConstants:
    """Make the multipliers of `a + sign_b * b`; `own` gives the bounds of its codes."""
    a, b = operands
    twice = 2.0 * max(a.scalar, b.scalar)
    pairs = [
        quantize_multiplier_tflite(scale)
        for scale in (a.scalar / twice, b.scalar / twice, twice / ((1 << LEFT_SHIFT) * out.scalar))
    ]
    return TfliteAddConstants(
        multiplier_a=pairs[0][0],
        multiplier_b=pairs[1][0],
        addend=0,
        fraction_bits=0,
        low=own.low,
        high=own.high,
        zero_a=a.zero_point,
        zero_b=b.zero_point,
        shift_a=-pairs[0][1],
        shift_b=-pairs[1][1],
        multiplier_out=pairs[2][0],
        shift_out=-pairs[2][1],
        zero_point=out.zero_point,
        sign_b=sign_b,
    )


def average_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: AverageConstants
) -> AverageConstants:
    """Make the constants of an average; what TFLite has not stays edgecomp's own.

    That is one between different scales, and one that counts its padding.
    """
    params: Any = node.params
    if inputs[0].qparams != output.qparams or (params.count_include_pad and params.has_padding):
        return own
    return TfliteAverageConstants(0, own.multiplier, own.shift, 0, own.low, own.high)


def softmax_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: SoftmaxConstants
) -> SoftmaxConstants:
    """Make the table of exponentials; TFLite's output is always 1/256 with zero point -128."""
    x, out = inputs[0].qparams, output.qparams
    assert x is not None
    if out is None or (out.scalar, out.zero_point) != (1 / 256, -128):
        return own
    exponent = softmax_exponents(x.scalar)
    return TfliteSoftmaxConstants(exponent, exponent, 0, -128)


LAYERS: dict[str, Any] = {
    "add": add_constants,
    "sub": add_constants,
    "average_pool": average_constants,
    "softmax": softmax_constants,
}
"""By operator, what turns edgecomp's constants of a layer into TFLite's."""
