"""Convolution in one or two dimensions, with groups; depthwise where groups equals channels.

Input NHWC (or NWC, or NC for a per-channel factor), weights OHWI with I = input channels / groups,
output NHWC.  Source of the semantics: ONNX operator Conv.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import NO_CLAMP, Array, Clamp, Shape, Tensor
from edgecomp.ops.base import (
    Constraint,
    Op,
    as_nhwc,
    exact_matmul,
    like_rank,
)
from edgecomp.ops.linear import LinearConstants, prepare_linear
from edgecomp.ops.spatial import Window


@dataclass(frozen=True)
class Conv2dParams(Window):
    """Window, groups and fused activation of a convolution."""

    groups: int = 1
    clamp: Clamp = NO_CLAMP


def batch_is_one(params: Conv2dParams, inputs: Sequence[Tensor]) -> bool:
    """The batch must be 1."""
    return as_nhwc(inputs[0].shape)[0] == 1


def weights_are_constant(params: Conv2dParams, inputs: Sequence[Tensor]) -> bool:
    """The weights and the bias must be constants."""
    return all(tensor.is_const for tensor in inputs[1:])


def weights_are_symmetric(params: Conv2dParams, inputs: Sequence[Tensor]) -> bool:
    """Weights quantized in the model file must have zero point 0 (symmetric quantization)."""
    return inputs[1].qparams is None or inputs[1].qparams.zero_point == 0


class Conv2d(Op[Conv2dParams]):
    """`y[o] = clamp(bias[o] + sum w[o, kh, kw, i] * x[...])`, per group."""

    name: ClassVar[str] = "conv2d"

    def constraints(self) -> Sequence[Constraint[Conv2dParams]]:
        """Limits of a convolution."""
        return (batch_is_one, weights_are_constant, weights_are_symmetric)

    def infer(self, params: Conv2dParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape, of the input's rank."""
        n, h, w, _ = as_nhwc(inputs[0].shape)
        out_h, out_w = params.output_hw(h, w)
        return like_rank(len(inputs[0].shape), n, out_h, out_w, inputs[1].shape[0])

    def macs(self, params: Conv2dParams, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Outputs times taps, padding counted as TFLite counts it."""
        return output.size * math.prod(inputs[1].shape[1:])

    def _nhwc(self, inputs: Sequence[Tensor], x: Array) -> Array:
        _, h, w, c = as_nhwc(inputs[0].shape)
        return x.reshape(-1, h, w, c)

    def _shaped(self, inputs: Sequence[Tensor], y: Array) -> Array:
        _, h, w, c = y.shape
        return y.reshape(-1, *like_rank(len(inputs[0].shape), 1, h, w, c))

    def float_ref(
        self, params: Conv2dParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Convolve real values."""
        weights = arrays[1]
        padded = params.pad(self._nhwc(inputs, arrays[0]), 0.0)
        y = convolve(params, padded, weights, np.matmul)
        if len(arrays) > 2:
            y = y + arrays[2]
        return self._shaped(inputs, params.clamp.apply(y))

    def prepare(
        self, params: Conv2dParams, inputs: Sequence[Tensor], output: Tensor
    ) -> LinearConstants:
        """Fold bias and zero point, make the multipliers."""
        bias = inputs[2] if len(inputs) > 2 else None
        return prepare_linear(inputs[0], inputs[1], bias, output, params.clamp)

    def int_ref(
        self,
        params: Conv2dParams,
        prepared: LinearConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Convolve codes exactly; padding has the input's zero point."""
        assert inputs[0].qparams is not None
        padded = params.pad(self._nhwc(inputs, arrays[0]), inputs[0].qparams.zero_point)
        bound = 128 * int(
            np.abs(arrays[1].astype(np.int64)).reshape(arrays[1].shape[0], -1).sum(1).max()
        )
        acc = convolve(params, padded, arrays[1], lambda a, b: exact_matmul(a, b, bound), bound)
        return self._shaped(inputs, prepared.finish(acc))


LARGEST_COLUMNS = 2**24
"""Elements of windows laid out side by side at a time: memory stays bounded."""


def convolve(params: Conv2dParams, padded: Array, weights: Array, matmul, bound: int = 0) -> Array:  # type: ignore[no-untyped-def]
    """Convolve a padded NHWC array with OHWI weights, by one matrix product per group.

    Args:
        params: the window.
        padded: NHWC, padded already.
        weights: OHWI.
        matmul: multiplies matrices.
        bound: of the sums of integers.
    """
    out_channels, kernel_h, kernel_w, group_in = weights.shape
    if group_in == 1 and params.groups > 1:
        return _depthwise(params, padded, weights, bound)
    group_out = out_channels // params.groups
    parts = []
    for group in range(params.groups):
        x = padded[..., group * group_in : (group + 1) * group_in]
        taps = params.taps(x)
        w = weights[group * group_out : (group + 1) * group_out].reshape(group_out, -1).T
        size = kernel_h * kernel_w * group_in
        rows = max(1, LARGEST_COLUMNS // (taps.shape[0] * taps.shape[2] * size))
        strips = []
        for top in range(0, taps.shape[1], rows):
            strip = taps[:, top : top + rows]
            y = matmul(strip.reshape(-1, size), w)
            strips.append(y.reshape(*strip.shape[:3], group_out))
        parts.append(strips[0] if len(strips) == 1 else np.concatenate(strips, axis=1))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _depthwise(params: Conv2dParams, padded: Array, weights: Array, bound: int) -> Array:
    """Convolve channel by channel: a sum over taps of element-wise products.

    Integer codes are summed in float32 where `bound` proves that exact, in int64 otherwise.
    """
    is_integer = padded.dtype.kind == "i"
    dtype = (
        (np.dtype(np.float32) if bound < 2**24 else np.dtype(np.int64))
        if is_integer
        else padded.dtype
    )
    x = padded.astype(dtype)
    multiplier = weights.shape[0] // params.groups
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=-1)
    w = weights.astype(dtype)
    out_h, out_w = params.output_hw(
        padded.shape[1] - params.pad_top - params.pad_bottom,
        padded.shape[2] - params.pad_left - params.pad_right,
    )
    acc = np.zeros((x.shape[0], out_h, out_w, weights.shape[0]), dtype)
    product = np.empty_like(acc)
    for tap_h in range(params.kernel_h):
        top = tap_h * params.dilation_h
        rows = slice(top, top + (out_h - 1) * params.stride_h + 1, params.stride_h)
        for tap_w in range(params.kernel_w):
            left = tap_w * params.dilation_w
            columns = slice(left, left + (out_w - 1) * params.stride_w + 1, params.stride_w)
            np.multiply(x[:, rows, columns], w[:, tap_h, tap_w, 0], out=product)
            acc += product
    return acc.astype(np.int64) if is_integer else acc
