"""Sums, maxima and minima over any axes, and what reduces to them.

Source of the semantics: ONNX ReduceSum, ReduceMax, ReduceMin, ReduceL1, ReduceL2, ReduceSumSquare,
ReduceLogSum, ReduceLogSumExp.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.movement import Movement
from edgecomp.ops.reduce_mean import ReduceMean, ReduceMeanParams, reduced_axes, reduced_shape
from edgecomp.ops.unary import UnaryParams


class ReduceSum(ReduceMean):
    """Sum over `axes`."""

    name: ClassVar[str] = "reduce_sum"

    def divisor(self, params: ReduceMeanParams, x: Tensor) -> int:
        """What sums are divided by: nothing."""
        return 1


@dataclass(frozen=True)
class ReduceMaxParams(OpParams):
    """Axes (sorted, not negative), and whether they stay as 1."""

    axes: tuple[int, ...]
    keepdims: bool = True


class ReduceMax(Movement[ReduceMaxParams]):
    """Largest element over `axes`."""

    name: ClassVar[str] = "reduce_max"
    choose: ClassVar[np.ufunc] = np.maximum

    def infer(self, params: ReduceMaxParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the reduced axes are 1, or gone."""
        return reduced_shape(inputs[0].shape, params.axes, keepdims=params.keepdims)

    def float_ref(
        self, params: ReduceMaxParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Choose among the elements of each sample."""
        axes = tuple(axis + 1 for axis in params.axes)
        return np.asarray(self.choose.reduce(arrays[0], axis=axes, keepdims=params.keepdims))


class ReduceMin(ReduceMax):
    """Smallest element over `axes`."""

    name: ClassVar[str] = "reduce_min"
    choose: ClassVar[np.ufunc] = np.minimum


def _importer(op: str, before: Expr = X, after: Expr = X) -> Importer:
    """Importer of a reduction of `before(x)`, whose result `after` takes."""

    def importer(node: ImportedNode, build: Builder) -> str:
        x = node.inputs[0]
        if before != X:
            x = build.emit("unary", [x], UnaryParams(before), node, ".terms")
        axes = reduced_axes(node, build)
        if axes:
            keepdims = bool(node.attrs.get("keepdims", 1))
            kind = ReduceMeanParams if op == "reduce_sum" else ReduceMaxParams
            x = build.emit(op, [x], kind(axes, keepdims), node)
        if after != X:
            x = build.emit("unary", [x], UnaryParams(after), node, ".result")
        return x

    return importer


_SQUARE = call("mul", X, X)

ONNX: dict[str, Importer] = {
    "ReduceSum": _importer("reduce_sum"),
    "ReduceMax": _importer("reduce_max"),
    "ReduceMin": _importer("reduce_min"),
    "ReduceL1": _importer("reduce_sum", call("abs", X)),
    "ReduceL2": _importer("reduce_sum", _SQUARE, call("sqrt", X)),
    "ReduceSumSquare": _importer("reduce_sum", _SQUARE),
    "ReduceLogSum": _importer("reduce_sum", X, call("log", X)),
    "ReduceLogSumExp": _importer("reduce_sum", call("exp", X), call("log", X)),
}
