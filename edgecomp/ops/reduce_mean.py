"""Mean over any axes.  Source of the semantics: ONNX ReduceMean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, quantize_multiplier, rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op
from edgecomp.ops.movement import constant_ints


@dataclass(frozen=True)
class ReduceMeanParams(OpParams):
    """Axes (sorted, not negative), whether they stay as 1, fused activation."""

    axes: tuple[int, ...]
    keepdims: bool = True
    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class MeanConstants:
    """`q = clamp(zero_point + rescale(sum - count * input_zero_point))`."""

    arithmetic: ClassVar[str] = "edgecomp"

    start: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int

    def finish(self, acc: Array) -> Array:
        """Turn sums, `start` among them, into output codes."""
        scaled = rescale(acc, self.multiplier, self.shift)
        return saturate(scaled + self.zero_point, self.low, self.high)


def reduced_shape(shape: Shape, axes: Sequence[int], *, keepdims: bool) -> Shape:
    """The shape in which reduced axes are 1, or gone."""
    if keepdims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def mean_constants(
    x: Tensor, output: Tensor, count: int, divisor: int, clamp: Clamp
) -> MeanConstants:
    """Make the constants of a sum over `count` elements of `x`, divided by `divisor`.

    Raises:
        InternalError: the sum could leave int32.
    """
    assert x.qparams is not None
    assert output.qparams is not None
    ratio, out = x.qparams.scalar / output.qparams.scalar, output.qparams
    multiplier, shift = quantize_multiplier(ratio / divisor)
    if (255 * count) << shift > INT32_MAX:
        raise InternalError(f"the scale of {output.name!r} is too small for its sums")
    low, high = clamp.codes(out)
    start = -count * x.qparams.zero_point
    return MeanConstants(start, multiplier, shift, out.zero_point, low, high)


class ReduceMean(Op[ReduceMeanParams]):
    """Mean over `axes`."""

    name: ClassVar[str] = "reduce_mean"

    def infer(self, params: ReduceMeanParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the reduced axes are 1, or gone."""
        return reduced_shape(inputs[0].shape, params.axes, keepdims=params.keepdims)

    def divisor(self, params: ReduceMeanParams, x: Tensor) -> int:
        """What sums are divided by."""
        return self.count(params, x)

    def count(self, params: ReduceMeanParams, x: Tensor) -> int:
        """Number of elements in each mean."""
        return math.prod(x.shape[axis] for axis in params.axes)

    def _sum(self, params: ReduceMeanParams, x: Array, dtype: type) -> Array:
        axes = tuple(axis + 1 for axis in params.axes)
        return np.asarray(x.sum(axis=axes, keepdims=params.keepdims, dtype=dtype))

    def float_ref(
        self, params: ReduceMeanParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Average real values."""
        y = self._sum(params, arrays[0], np.float64) / self.divisor(params, inputs[0])
        return params.clamp.apply(y.astype(arrays[0].dtype))

    def prepare(
        self, params: ReduceMeanParams, inputs: Sequence[Tensor], output: Tensor
    ) -> MeanConstants:
        """Make the multiplier `scale_in / (divisor * scale_out)`.

        Raises:
            InternalError: the sum could leave int32.
        """
        count, divisor = self.count(params, inputs[0]), self.divisor(params, inputs[0])
        return mean_constants(inputs[0], output, count, divisor, params.clamp)

    def int_ref(
        self,
        params: ReduceMeanParams,
        prepared: MeanConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Average codes exactly."""
        return prepared.finish(self._sum(params, arrays[0], np.int64) + prepared.start)


def reduced_axes(node: ImportedNode, build: Builder) -> tuple[int, ...]:
    """Axes that an ONNX reduction is over, none where it does nothing.

    They are an attribute in old operator sets, a constant input in new ones.
    """
    rank = len(build.shape(node.inputs[0]))
    axes = constant_ints(node, build, "axes", 1)
    if not axes:
        axes = [] if node.attrs.get("noop_with_empty_axes", 0) else list(range(rank))
    return tuple(sorted({axis % rank for axis in axes}))


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX ReduceMean over any axes."""
    axes = reduced_axes(node, build)
    if not axes:
        return node.inputs[0]
    params = ReduceMeanParams(axes, bool(node.attrs.get("keepdims", 1)))
    return build.emit("reduce_mean", node.inputs[:1], params, node)


ONNX: dict[str, Importer] = {"ReduceMean": from_onnx}
