"""Addition and subtraction of two tensors, with broadcasting.

Both operands are scaled to the output's codes with one common number of fraction bits and one
rounding (docs/numerics.md, "Add").  Source of the semantics: ONNX Add, Sub.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op
from edgecomp.ops.binary import (
    broadcast_shape,
    import_binary,
    import_many,
    one_is_computed,
    ranks_are_equal,
)
from edgecomp.ops.expression import X, call
from edgecomp.ops.unary import UnaryParams

MAX_FRACTION_BITS = 24


@dataclass(frozen=True)
class AddParams(OpParams):
    """Fused activation of an addition."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class AddConstants:
    """`q = clamp((multiplier_a * a + multiplier_b * b + addend) >> fraction_bits)`.

    Every partial sum fits int32 for all codes; zero points and the rounding half are in `addend`.
    """

    arithmetic: ClassVar[str] = "edgecomp"

    multiplier_a: int
    multiplier_b: int
    addend: int
    fraction_bits: int
    low: int
    high: int

    def combine(self, a: Array, b: Array) -> Array:
        """Add (or subtract) codes exactly."""
        acc = (
            self.multiplier_a * a.astype(np.int64)
            + self.multiplier_b * b.astype(np.int64)
            + self.addend
        )
        return saturate(acc >> self.fraction_bits, self.low, self.high)


def prepare_add(
    inputs: Sequence[Tensor], output: Tensor, clamp: Clamp, sign_b: int
) -> AddConstants:
    """Choose the most fraction bits, at most 24, with which no sum can leave int32.

    Raises:
        InternalError: the scales are so far apart that not even 0 fraction bits do.
    """
    a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
    assert a is not None
    assert b is not None
    assert out is not None
    low, high = clamp.codes(out)
    for bits in range(MAX_FRACTION_BITS, -1, -1):
        multiplier_a = int(np.rint(np.ldexp(a.scalar / out.scalar, bits)))
        multiplier_b = sign_b * int(np.rint(np.ldexp(b.scalar / out.scalar, bits)))
        addend = (out.zero_point << bits) + ((1 << bits) >> 1)
        addend -= multiplier_a * a.zero_point + multiplier_b * b.zero_point
        if abs(addend) + 128 * (abs(multiplier_a) + abs(multiplier_b)) <= INT32_MAX:
            return AddConstants(multiplier_a, multiplier_b, addend, bits, low, high)
    raise InternalError(f"the scales of the operands of {output.name!r} are too far apart")


class Add(Op[AddParams]):
    """`y = clamp(a + b)`."""

    name: ClassVar[str] = "add"
    sign_b: ClassVar[int] = 1

    def constraints(self) -> Sequence[Constraint[AddParams]]:
        """Limits of element-wise operators."""
        return (ranks_are_equal, one_is_computed)

    def infer(self, params: AddParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: AddParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Add real values."""
        return params.clamp.apply(arrays[0] + self.sign_b * arrays[1])

    def prepare(self, params: AddParams, inputs: Sequence[Tensor], output: Tensor) -> AddConstants:
        """Make the multipliers."""
        return prepare_add(inputs, output, params.clamp, self.sign_b)

    def int_ref(
        self,
        params: AddParams,
        prepared: AddConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Add codes exactly."""
        return prepared.combine(arrays[0], arrays[1])


class Sub(Add):
    """`y = clamp(a - b)`."""

    name: ClassVar[str] = "sub"
    sign_b: ClassVar[int] = -1


_sum = import_many(import_binary("add", "add", AddParams()))


def _mean(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Mean: the sum of all operands, divided by their number."""
    total = _sum(node, build)
    expr = call("div", X, float(len(node.inputs)))
    return build.emit("unary", [total], UnaryParams(expr), node, ".mean")


ONNX: dict[str, Importer] = {
    "Sum": _sum,
    "Mean": _mean,
    "Add": import_binary("add", "add", AddParams()),
    "Sub": import_binary("sub", "sub", AddParams()),
}
