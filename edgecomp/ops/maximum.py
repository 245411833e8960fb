"""The larger or the smaller of two tensors, element by element, with broadcasting.

Both operands are scaled to the output's codes before they are compared, so that their scales may
differ; one rounding (docs/numerics.md, "Max").  Source of the semantics: ONNX Max, Min.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, QParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Importer, Op
from edgecomp.ops.binary import (
    broadcast_shape,
    import_binary,
    import_many,
    one_is_computed,
    ranks_are_equal,
)

MAX_FRACTION_BITS = 24


@dataclass(frozen=True)
class MaximumParams(OpParams):
    """Fused activation."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class ScaledOperands:
    """Operands in units of `2^-fraction_bits` of the output's codes, the rounding half added.

    `operand i = multiplier[i] * q_i + addend[i]`; every one fits int32, and shifting any of them to
    the right by `fraction_bits` gives its output code before saturation.
    """

    multiplier: tuple[int, ...]
    addend: tuple[int, ...]
    fraction_bits: int
    low: int
    high: int

    def scaled(self, index: int, codes: Array) -> Array:
        """Operand `index` in those units."""
        return np.asarray(codes.astype(np.int64) * self.multiplier[index] + self.addend[index])

    def finish(self, chosen: Array) -> Array:
        """Output codes."""
        return saturate(chosen >> self.fraction_bits, self.low, self.high)


def scale_operands(
    operands: Sequence[QParams], out: QParams, clamp: Clamp, layer: str
) -> ScaledOperands:
    """Choose the most fraction bits, at most 24, with which every operand fits int32.

    Raises:
        InternalError: the output's scale is too small for its operands.
    """
    for bits in range(MAX_FRACTION_BITS, -1, -1):
        multipliers = [int(np.rint(np.ldexp(q.scalar / out.scalar, bits))) for q in operands]
        addends = [
            (out.zero_point << bits) + ((1 << bits) >> 1) - m * q.zero_point
            for m, q in zip(multipliers, operands, strict=True)
        ]
        if all(
            abs(a) + 128 * abs(m) <= INT32_MAX for m, a in zip(multipliers, addends, strict=True)
        ):
            low, high = clamp.codes(out)
            return ScaledOperands(tuple(multipliers), tuple(addends), bits, low, high)
    raise InternalError(f"the scale of {layer!r} is too small for its operands")


class Maximum(Op[MaximumParams]):
    """`y = clamp(max(a, b))`."""

    name: ClassVar[str] = "maximum"
    choose: ClassVar[np.ufunc] = np.maximum

    def constraints(self) -> Sequence[Constraint[MaximumParams]]:
        """Limits of element-wise operators."""
        return (ranks_are_equal, one_is_computed)

    def infer(self, params: MaximumParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: MaximumParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Choose among real values."""
        return params.clamp.apply(self.choose(arrays[0], arrays[1]))

    def prepare(
        self, params: MaximumParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ScaledOperands:
        """Make the multipliers."""
        known = [tensor.qparams for tensor in inputs if tensor.qparams is not None]
        assert len(known) == len(inputs)
        assert output.qparams is not None
        return scale_operands(known, output.qparams, params.clamp, output.name)

    def int_ref(
        self,
        params: MaximumParams,
        prepared: ScaledOperands,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Choose among codes exactly."""
        a, b = (prepared.scaled(index, array) for index, array in enumerate(arrays))
        return prepared.finish(self.choose(a, b))


class Minimum(Maximum):
    """`y = clamp(min(a, b))`."""

    name: ClassVar[str] = "minimum"
    choose: ClassVar[np.ufunc] = np.minimum


ONNX: dict[str, Importer] = {
    "Max": import_many(import_binary("maximum", "max", MaximumParams())),
    "Min": import_many(import_binary("minimum", "min", MaximumParams())),
}
