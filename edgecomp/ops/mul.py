"""Product of two tensors, with broadcasting (squeeze-and-excite gates, masks).

Source of the semantics: ONNX Mul; Div by a constant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import quantize_multiplier
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Op
from edgecomp.ops.binary import (
    ProductConstants,
    broadcast_shape,
    import_binary,
    one_is_computed,
    ranks_are_equal,
)

MAX_SHIFT = 15
"""Products of two codes take 17 bits with their sign, so int32 has room for this left shift."""


@dataclass(frozen=True)
class MulParams(OpParams):
    """Fused activation of a product."""

    clamp: Clamp = NO_CLAMP


class Mul(Op[MulParams]):
    """`y = clamp(a * b)`."""

    name: ClassVar[str] = "mul"

    def constraints(self) -> Sequence[Constraint[MulParams]]:
        """Limits of element-wise operators."""
        return (ranks_are_equal, one_is_computed)

    def infer(self, params: MulParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: MulParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Multiply real values."""
        return params.clamp.apply(arrays[0] * arrays[1])

    def prepare(
        self, params: MulParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ProductConstants:
        """Make the multiplier.

        Raises:
            InternalError: the output's scale is too small for a product of these operands.
        """
        a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
        assert a is not None
        assert b is not None
        assert out is not None
        multiplier, shift = quantize_multiplier(a.scalar * b.scalar / out.scalar)
        if shift > MAX_SHIFT:
            raise InternalError(f"the scale of {output.name!r} is too small for a product")
        low, high = params.clamp.codes(out)
        return ProductConstants(
            a.zero_point, b.zero_point, multiplier, shift, out.zero_point, low, high
        )

    def int_ref(
        self,
        params: MulParams,
        prepared: ProductConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Multiply codes exactly."""
        a = arrays[0].astype(np.int64) - prepared.zero_point_a
        b = arrays[1].astype(np.int64) - prepared.zero_point_b
        return prepared.finish(a * b)


ONNX = {
    "Mul": import_binary("mul", "mul", MulParams()),
}
