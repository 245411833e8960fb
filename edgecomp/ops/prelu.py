"""PReLU: a slope per channel below zero.  Source of the semantics: ONNX PRelu."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import (
    IntArray,
    quantize_multiplier,
    quantize_multipliers,
    rescale,
    saturate,
)
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op
from edgecomp.ops.expression import X, call
from edgecomp.ops.spatial import channels_first, channels_last
from edgecomp.ops.unary import UnaryParams

MAX_SHIFT = 22
"""Differences of codes take 9 bits with their sign, so int32 has room for this left shift."""


@dataclass(frozen=True)
class PReluParams(OpParams):
    """PReLU has no parameters; the slopes are its second input, one per channel, real."""


@dataclass(frozen=True)
class PReluConstants:
    """`q = sat(zero_point + rescale(x - input_zero_point))` by one of two factors.

    The first factor holds where `x >= input_zero_point`, the channel's own elsewhere.
    """

    input_zero_point: int
    multiplier: int
    shift: int
    slope_multiplier: IntArray
    slope_shift: IntArray
    zero_point: int


def slopes_are_constant(params: PReluParams, inputs: Sequence[Tensor]) -> bool:
    """The slopes must be a constant, one per channel."""
    return inputs[1].is_const and inputs[1].shape == (inputs[0].shape[-1],)


class PRelu(Op[PReluParams]):
    """`y = x if x >= 0 else slope[c] * x`; the slopes stay real numbers in the graph."""

    name: ClassVar[str] = "prelu"

    def constraints(self) -> Sequence[Constraint[PReluParams]]:
        """Limits of PReLU."""
        return (slopes_are_constant,)

    def infer(self, params: PReluParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the input's."""
        return inputs[0].shape

    def float_ref(
        self, params: PReluParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Apply the slopes to negative values."""
        return np.where(arrays[0] >= 0, arrays[0], arrays[0] * arrays[1])

    def prepare(
        self, params: PReluParams, inputs: Sequence[Tensor], output: Tensor
    ) -> PReluConstants:
        """Make the multipliers.

        Raises:
            InternalError: a slope is too large for the output's scale.
        """
        x, out = inputs[0].qparams, output.qparams
        assert x is not None
        assert out is not None
        ratio = x.scalar / out.scalar
        multiplier, shift = quantize_multiplier(ratio)
        slopes, shifts = quantize_multipliers(ratio * inputs[1].value.astype(np.float64))
        if max(shift, int(shifts.max())) > MAX_SHIFT:
            raise InternalError(f"a slope of {output.name!r} is too large for its scale")
        return PReluConstants(x.zero_point, multiplier, shift, slopes, shifts, out.zero_point)

    def int_ref(
        self,
        params: PReluParams,
        prepared: PReluConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Scale codes exactly."""
        x = arrays[0].astype(np.int64) - prepared.input_zero_point
        above = rescale(x, prepared.multiplier, prepared.shift)
        below = rescale(x, prepared.slope_multiplier, prepared.slope_shift)
        return saturate(np.where(x >= 0, above, below) + prepared.zero_point)


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX PRelu: constant slopes, one number, one per channel or one per element."""
    x, slope_name = node.inputs[:2]
    slope = build.value(slope_name)
    if slope is None:
        raise build.unsupported(node, "the slope must be a constant")
    if slope.size == 1:
        expr = call("leaky_relu", X, float(slope.reshape(())))
        return build.emit("unary", [x], UnaryParams(expr), node)
    shape = build.shape(x)
    full = (1,) * (len(shape) - slope.ndim) + slope.shape
    if slope.ndim == 1 and slope.size not in shape[-1:] and slope.size == shape[1]:
        # So did exporters of operator sets before 7, which had no other broadcasting.
        full = (1, *slope.shape, *(1 for _ in shape[2:]))
    own = [axis for axis, n in enumerate(full) if n != 1]
    if len(full) > len(shape) or any(full[axis] != shape[axis] for axis in own):
        raise build.unsupported(node, f"slopes of shape {slope.shape} for an input of {shape}")
    slopes = build.constant(slope.reshape(-1), f"{node.name}.slopes", "C")
    if own == [1]:
        y = build.emit("prelu", [channels_last(node, build, x), slopes], PReluParams(), node)
        return channels_first(node, build, y)
    # All axes with slopes of their own are channels together.
    order = [axis for axis in range(len(shape)) if axis not in own] + own
    moved = build.transpose(x, order, node)
    rows = build.reshape(moved, (math.prod(shape) // slope.size, slope.size), node)
    y = build.emit("prelu", [rows, slopes], PReluParams(), node)
    y = build.reshape(y, tuple(shape[axis] for axis in order), node)
    return build.transpose(y, [int(axis) for axis in np.argsort(order)], node)


ONNX: dict[str, Importer] = {"PRelu": from_onnx}
