"""How ONNX's element-wise operators of two operands arrive.

A scalar constant makes a function of one variable; other constants stay tensors; operands of
different rank get leading axes of 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, SingleImporter
from edgecomp.ops.expression import X, call
from edgecomp.ops.unary import UnaryParams


@dataclass(frozen=True)
class ProductConstants:
    """Of products of two activations.

    `q = clamp(zero_point + rescale(sum (a - zero_point_a) * (b - zero_point_b)))`; a product of
    elements is a sum of one.
    """

    arithmetic: ClassVar[str] = "edgecomp"

    zero_point_a: int
    zero_point_b: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int

    def finish(self, acc: Array) -> Array:
        """Turn sums of products into output codes."""
        scaled = rescale(acc, self.multiplier, self.shift)
        return saturate(scaled + self.zero_point, self.low, self.high)


def broadcast_shape(inputs: Sequence[Tensor]) -> Shape:
    """Shape of the element-wise combination of equally ranked operands."""
    return tuple(int(n) for n in np.broadcast_shapes(*(tensor.shape for tensor in inputs)))


def ranks_are_equal(params: OpParams, inputs: Sequence[Tensor]) -> bool:
    """The operands must have the same number of axes."""
    return len(inputs[0].shape) == len(inputs[1].shape)


def one_is_computed(params: OpParams, inputs: Sequence[Tensor]) -> bool:
    """At least one operand must be computed (two constants are folded before)."""
    return not all(tensor.is_const for tensor in inputs)


def align(node: ImportedNode, build: Builder) -> list[str]:
    """Give both operands the same rank."""
    rank = max(len(build.shape(name)) for name in node.inputs[:2])
    names = []
    for name in node.inputs[:2]:
        shape = build.shape(name)
        names.append(
            name
            if len(shape) == rank
            else build.reshape(name, (1,) * (rank - len(shape)) + shape, node)
        )
    return names


def _scalar_zero(value: Array | None, other: Shape) -> Array | None:
    """Zeros as one number, where they do not widen the other operand; all else as it is."""
    if value is None or value.any() or np.broadcast_shapes(value.shape, other) != other:
        return value
    return np.zeros((), value.dtype)


def import_binary(op: str, function: str, params: OpParams) -> SingleImporter:
    """Importer of `op`, or of `function` of one variable where an operand is a scalar constant."""

    def importer(node: ImportedNode, build: Builder) -> str:
        values = [build.value(name) for name in node.inputs[:2]]
        for index, given in enumerate(values):
            other = build.shape(node.inputs[1 - index])
            value = _scalar_zero(given, other) if op == "add" else given
            if value is not None and value.size == 1 and value.ndim <= len(other):
                number = float(value.reshape(()))
                expr = call(function, number, X) if index == 0 else call(function, X, number)
                clamp = getattr(params, "clamp", NO_CLAMP)
                if not clamp.is_none:
                    expr = call("clip", expr, clamp.low, clamp.high)
                return build.emit("unary", [node.inputs[1 - index]], UnaryParams(expr), node)
        return build.emit(op, align(node, build), params, node)

    return importer


def import_many(pair: SingleImporter) -> SingleImporter:
    """Importer of any number of operands, combined from the left by that of two."""

    def importer(node: ImportedNode, build: Builder) -> str:
        name = node.inputs[0]
        for index, other in enumerate(node.inputs[1:]):
            label = node.name if index == 0 else f"{node.name}.{index}"
            name = pair(replace(node, name=label, inputs=(name, other)), build)
        return name

    return importer
