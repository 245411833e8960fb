"""Mean over any axes.  Source of the semantics: ONNX ReduceMean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import quantize_multiplier, rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op


@dataclass(frozen=True)
class ReduceMeanParams(OpParams):
    """Axes (sorted, not negative), whether they stay as 1, fused activation."""

    axes: tuple[int, ...]
    keepdims: bool = True
    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class MeanConstants:
    """`q = clamp(zero_point + rescale(sum - count * input_zero_point))`."""

    start: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int


class ReduceMean(Op[ReduceMeanParams]):
    """Mean over `axes`."""

    name: ClassVar[str] = "reduce_mean"

    def infer(self, params: ReduceMeanParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the reduced axes are 1, or gone."""
        shape = [1 if axis in params.axes else n for axis, n in enumerate(inputs[0].shape)]
        if params.keepdims:
            return tuple(shape)
        return tuple(n for axis, n in enumerate(shape) if axis not in params.axes)

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
        y = self._sum(params, arrays[0], np.float64) / self.count(params, inputs[0])
        return params.clamp.apply(y.astype(arrays[0].dtype))

    def prepare(
        self, params: ReduceMeanParams, inputs: Sequence[Tensor], output: Tensor
    ) -> MeanConstants:
        """Make the multiplier `scale_in / (count * scale_out)`."""
        x, out = inputs[0].qparams, output.qparams
        assert x is not None
        assert out is not None
        count = self.count(params, inputs[0])
        multiplier, shift = quantize_multiplier(x.scalar / out.scalar / count)
        low, high = params.clamp.codes(out)
        return MeanConstants(-count * x.zero_point, multiplier, shift, out.zero_point, low, high)

    def int_ref(
        self,
        params: ReduceMeanParams,
        prepared: MeanConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Average codes exactly."""
        acc = self._sum(params, arrays[0], np.int64) + prepared.start
        scaled = rescale(acc, prepared.multiplier, prepared.shift)
        return saturate(scaled + prepared.zero_point, prepared.low, prepared.high)


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX ReduceMean: axes as attribute (opset < 18) or constant input."""
    x = node.inputs[0]
    rank = len(build.shape(x))
    axes = node.attrs.get("axes")
    if node.has_input(1):
        value = build.value(node.inputs[1])
        if value is None:
            raise build.unsupported(node, "the axes must be constant")
        axes = value.reshape(-1).tolist()
    if not axes:
        if node.attrs.get("noop_with_empty_axes", 0):
            return x
        axes = range(rank)
    params = ReduceMeanParams(
        tuple(sorted({int(axis) % rank for axis in axes})), bool(node.attrs.get("keepdims", 1))
    )
    return build.emit("reduce_mean", [x], params, node)


ONNX: dict[str, Importer] = {"ReduceMean": from_onnx}
