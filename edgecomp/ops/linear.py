"""Integer arithmetic that convolution and dense layers share: int32 accumulator to int8 code."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    quantize_multipliers,
    rescale,
    saturate,
)
from edgecomp.ir import Array, Clamp, Tensor


@dataclass(frozen=True)
class LinearConstants:
    """What the device needs besides the weights, one entry per output channel.

    Attributes:
        bias: int32 accumulator start, the input's zero point folded in:
            `bias - input_zero_point * sum(weights)`.
        multiplier: int32, see `edgecomp.fixedpoint`.
        shift: left shift of the accumulator, 0 for every factor below 1/2.
        zero_point: of the output.
        low: smallest output code (the fused activation).
        high: largest output code.
        acc_min: proved smallest accumulator per channel.
        acc_max: proved largest accumulator per channel.
    """

    arithmetic: ClassVar[str] = "edgecomp"

    bias: IntArray
    multiplier: IntArray
    shift: IntArray
    zero_point: int
    low: int
    high: int
    acc_min: IntArray
    acc_max: IntArray

    def finish(self, acc: Array) -> Array:
        """Turn products' sums `(..., channels)`, bias not yet added, into output codes."""
        scaled = rescale(acc + self.bias, self.multiplier, self.shift)
        scaled += self.zero_point
        return saturate(scaled, self.low, self.high)

    @property
    def magnitude(self) -> int:
        """Bound of every partial sum's size, whatever the order of addition."""
        return int(max(np.abs(self.acc_min).max(), np.abs(self.acc_max).max()))


def prepare_linear(
    x: Tensor, weights: Tensor, bias: Tensor | None, output: Tensor, clamp: Clamp
) -> LinearConstants:
    """Fold the input's zero point and turn scales into multipliers.

    Args:
        x: int8 input with per-tensor qparams.
        weights: int8 constant, output channel first, per-channel or per-tensor symmetric.
        bias: int32 constant at `scale_in * scale_w[c]`, or None.
        output: int8 output with per-tensor qparams.
        clamp: fused activation.

    Raises:
        InternalError: an accumulator could leave int32.
    """
    assert x.qparams is not None
    assert weights.qparams is not None
    assert output.qparams is not None
    channels = weights.shape[0]
    w = weights.value.reshape(channels, -1).astype(np.int64)
    start = np.zeros(channels, np.int64) if bias is None else bias.value.astype(np.int64)
    folded = start - x.qparams.zero_point * w.sum(axis=1)
    positive = np.where(w > 0, w, 0).sum(axis=1)
    negative = np.where(w < 0, w, 0).sum(axis=1)
    acc_max = folded + 127 * positive - 128 * negative
    acc_min = folded - 128 * positive + 127 * negative
    scale_w = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), (channels,))
    scales = x.qparams.scalar * scale_w / output.qparams.scalar
    multiplier, shift = quantize_multipliers(scales)
    for values in (folded, acc_min << shift, acc_max << shift):
        if values.min() < INT32_MIN or values.max() > INT32_MAX:
            raise InternalError(
                f"the accumulator of {output.name!r} can leave int32; "
                "its weights' scales are too small for its bias"
            )
    low, high = clamp.codes(output.qparams)
    return LinearConstants(
        folded, multiplier, shift, output.qparams.zero_point, low, high, acc_min, acc_max
    )
