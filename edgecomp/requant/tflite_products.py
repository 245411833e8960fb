"""The constants of TFLite's products, sums and means of activations.

Sources: TensorFlow Lite `kernels/internal/reference/integer_ops/mul.h`, `.../batch_matmul.h`,
`kernels/internal/reference/reduce.h` (`QuantizedMeanOrSum`), `tensorflow/lite/micro/kernels/
mul_common.cc`, `reduce_common.cc`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from edgecomp.fixedpoint import saturate
from edgecomp.ir import Array, Node, Tensor
from edgecomp.ops.binary import ProductConstants
from edgecomp.ops.reduce_mean import MeanConstants
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite


@dataclass(frozen=True)
class TfliteProductConstants(ProductConstants):
    """Products of two activations, rounded twice; `shift` is left where positive."""

    arithmetic: ClassVar[str] = "tflite"

    def finish(self, acc: Array) -> Array:
        """Turn sums of products into output codes."""
        scaled = multiply_by_quantized_multiplier(acc, self.multiplier, self.shift)
        return saturate(scaled + self.zero_point, self.low, self.high)


@dataclass(frozen=True)
class TfliteMeanConstants(MeanConstants):
    """Sums and means, rounded twice; `shift` is left where positive."""

    arithmetic: ClassVar[str] = "tflite"

    def finish(self, acc: Array) -> Array:
        """Turn sums into output codes."""
        scaled = multiply_by_quantized_multiplier(acc, self.multiplier, self.shift)
        return saturate(scaled + self.zero_point, self.low, self.high)


def product_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: ProductConstants
) -> ProductConstants:
    """Make the multiplier of a product of elements or of matrices."""
    a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
    assert a is not None
    assert b is not None
    assert out is not None
    multiplier, shift = quantize_multiplier_tflite(a.scalar * b.scalar / out.scalar)
    given = {field.name: getattr(own, field.name) for field in fields(ProductConstants)}
    return TfliteProductConstants(**{**given, "multiplier": multiplier, "shift": shift})


def mean_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: MeanConstants
) -> MeanConstants:
    """Make the multiplier of a mean or a sum; a mean's count is divided into it."""
    x, out = inputs[0].qparams, output.qparams
    assert x is not None
    assert out is not None
    multiplier, shift = quantize_multiplier_tflite(x.scalar / out.scalar)
    given = {field.name: getattr(own, field.name) for field in fields(MeanConstants)}
    made = TfliteMeanConstants(**{**given, "multiplier": multiplier, "shift": shift})
    if node.op == "reduce_sum":
        return made
    axes: tuple[int, ...] = node.params.axes  # type: ignore[attr-defined]
    count = math.prod(inputs[0].shape[axis] for axis in axes)
    room = min(count.bit_length() - 1, 32, 31 + shift)
    return replace(made, multiplier=(multiplier << room) // count, shift=shift - room)
