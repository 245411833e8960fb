"""Quotient of two tensors, with broadcasting: a factor for each code of the divisor.

Source of the semantics: ONNX Div of two computed tensors, or of a constant by a computed one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, quantize_multipliers, rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op
from edgecomp.ops.binary import (
    align,
    broadcast_shape,
    import_binary,
    one_is_computed,
    ranks_are_equal,
)
from edgecomp.ops.mul import MulParams

LARGEST_FACTOR = 2.0**20
"""A dividend of one code times this saturates, as the quotient by 0 does."""


@dataclass(frozen=True)
class DivParams(OpParams):
    """Fused activation of a quotient."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class DivConstants:
    """`q = clamp(zero_point + rescale(a - zero_point_a))` with the factor of the divisor's code.

    Attributes:
        zero_point_a: of the dividend.
        multiplier: by divisor code + 128.
        shift: by divisor code + 128.
        zero_point: of the output.
        low: smallest output code.
        high: largest output code.
    """

    zero_point_a: int
    multiplier: IntArray
    shift: IntArray
    zero_point: int
    low: int
    high: int


class Div(Op[DivParams]):
    """`y = clamp(a / b)`; division by 0 saturates, 0 / 0 is 0."""

    name: ClassVar[str] = "div"

    def constraints(self) -> Sequence[Constraint[DivParams]]:
        """Limits of element-wise operators."""
        return (ranks_are_equal, one_is_computed)

    def infer(self, params: DivParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: DivParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Divide real values."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return params.clamp.apply(np.asarray(arrays[0] / arrays[1]))

    def prepare(self, params: DivParams, inputs: Sequence[Tensor], output: Tensor) -> DivConstants:
        """Make a multiplier for each code of the divisor."""
        a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
        assert a is not None
        assert b is not None
        assert out is not None
        divisor = out.scalar * b.scalar * (np.arange(-128, 128) - b.zero_point)
        with np.errstate(divide="ignore"):
            factor = a.scalar / divisor
        multiplier, shift = quantize_multipliers(np.clip(factor, -LARGEST_FACTOR, LARGEST_FACTOR))
        low, high = params.clamp.codes(out)
        return DivConstants(a.zero_point, multiplier, shift, out.zero_point, low, high)

    def int_ref(
        self,
        params: DivParams,
        prepared: DivConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Divide codes exactly."""
        a = arrays[0].astype(np.int64) - prepared.zero_point_a
        index = arrays[1].astype(np.int64) + 128
        scaled = rescale(a, prepared.multiplier[index], prepared.shift[index])
        return saturate(scaled + prepared.zero_point, prepared.low, prepared.high)


_BY_CONSTANT = import_binary("mul", "div", MulParams())
"""Of a scalar constant, on either side; or, given the reciprocal, of any constant."""


def import_division(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Div: by a constant it is a product with the reciprocal."""
    values = [build.value(name) for name in node.inputs[:2]]
    if any(value is not None and value.size == 1 for value in values):
        return _BY_CONSTANT(node, build)
    divisor = values[1]
    if divisor is None:
        return build.emit("div", align(node, build), DivParams(), node)
    if not np.all(divisor):
        raise build.unsupported(node, "the divisor has zeros")
    name = build.constant((1.0 / divisor).astype(np.float32), f"{node.name}.reciprocal")
    return _BY_CONSTANT(replace(node, inputs=(node.inputs[0], name)), build)


ONNX: dict[str, Importer] = {"Div": import_division}
