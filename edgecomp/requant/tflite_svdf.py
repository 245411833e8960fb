"""TFLite's SVDF with a state of int16: features of int8 codes, weights of int16 over time.

Both sums have 32 bits, that over time modulo 2^32, as it has in TFLite; both round twice.
Source: `tensorflow/lite/micro/kernels/svdf_common.cc` (`EvalIntegerSvdfReference`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.ir import Array, DType, Node, Tensor
from edgecomp.requant.tflite import multiply_by_quantized_multiplier
from edgecomp.requant.tflite16 import Tflite16Linear, check_int32, factor, scale_of


@dataclass(frozen=True)
class SvdfLinear(Tflite16Linear):
    """A dense layer from int8 to int16 codes, or a window of int16 codes that becomes int8 ones.

    Attributes:
        zero_point: of the output.
        is_window: whether it is the latter, whose sums are taken modulo 2^32.
    """

    zero_point: int
    is_window: bool
    arithmetic: ClassVar[str] = "svdf"

    def finish(self, total: Array) -> Array:
        """Turn exact sums into codes."""
        wrapped = ((total.astype(np.int64) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        scaled = multiply_by_quantized_multiplier(wrapped, self.multiplier, self.shift)
        codes = np.clip(scaled + self.zero_point, self.low, self.high)
        return np.asarray(codes.astype(np.int8 if self.is_window else np.int16))


def is_svdf(inputs: Sequence[Tensor], output: Tensor) -> bool:
    """Whether a linear layer is one of SVDF's two."""
    return DType.INT8 in {inputs[0].dtype, output.dtype}


def svdf_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> SvdfLinear:
    """Make the constants of either layer.

    Raises:
        UnsupportedError: other types, or scales that need a shift to the left.
    """
    x, weights, *bias = inputs
    is_window = output.dtype is DType.INT8
    wanted = (DType.INT16, DType.INT16) if is_window else (DType.INT8, DType.INT8)
    channels = weights.shape[0]
    inputs_each = weights.size if is_window else weights.size // channels
    if (x.dtype, weights.dtype) != wanted or x.size != inputs_each or output.size != channels:
        raise UnsupportedError(
            node.op,
            node.name,
            "it has both int8 and int16 codes",
            "convert the model with one type of activations",
        )
    assert x.qparams is not None
    assert weights.qparams is not None
    assert output.qparams is not None
    w = weights.value.reshape(channels, -1).astype(np.int64)
    start = bias[0].value.astype(np.int64) if bias else np.zeros(channels, np.int64)
    start = start - x.qparams.zero_point * w.sum(axis=1)
    magnitude = int((-x.dtype.limits[0] * np.abs(w).sum(axis=1) + np.abs(start)).max())
    scale_w = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), (channels,))
    made = factor(scale_of(x) * scale_w / scale_of(output), output, node.params.clamp)  # type: ignore[attr-defined]
    # Sums over time are what 32 bits hold of them, but nothing is lost by a shift after.
    check_int32(node, 1 << 31 if is_window and made.shift.max() > 0 else 0, made)
    if not is_window:
        check_int32(node, magnitude, made)
    bounds = output.dtype.limits
    zero = output.qparams.zero_point
    return SvdfLinear(made.multiplier, made.shift, *bounds, start, magnitude, zero, is_window)
