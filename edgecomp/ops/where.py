"""Comparisons of two tensors, and choosing between two by a third.

A truth value is the real number 0 or 1; a condition holds where its code is not the zero point.
Source of the semantics: ONNX Less, LessOrEqual, Greater, GreaterOrEqual, Equal, Where, Not, And,
Or, Xor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from edgecomp.fixedpoint import saturate
from edgecomp.ir import NO_CLAMP, Array, OpParams, QParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op
from edgecomp.ops.binary import align, broadcast_shape, import_binary, one_is_computed
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.maximum import MaximumParams, ScaledOperands, scale_operands
from edgecomp.ops.unary import UnaryParams

TRUTH_QPARAMS = QParams.per_tensor(1.0, 0)
"""What calibration gives a truth value: the codes 0 and 1."""
COMPARED_BITS = 23
COMPARE = {"less": np.less, "less_or_equal": np.less_equal, "equal": np.equal}


@dataclass(frozen=True)
class CompareParams(OpParams):
    """How the left operand is compared with the right one."""

    kind: Literal["less", "less_or_equal", "equal"]


@dataclass(frozen=True)
class CompareConstants:
    """`multiplier[i] * q_i + addend[i]` are compared; the codes of the answers."""

    multiplier: tuple[int, int]
    addend: tuple[int, int]
    true_code: int
    false_code: int


@dataclass(frozen=True)
class WhereParams(OpParams):
    """Where has no parameters: condition, what holds where it is true, and where it is not."""


def ranks_agree(params: OpParams, inputs: Sequence[Tensor]) -> bool:
    """All operands must have the same number of axes."""
    return len({len(tensor.shape) for tensor in inputs}) == 1


class Compare(Op[CompareParams]):
    """1 where the comparison holds, 0 elsewhere."""

    name: ClassVar[str] = "compare"

    def constraints(self) -> Sequence[Constraint[CompareParams]]:
        """Limits of element-wise operators."""
        return (ranks_agree, one_is_computed)

    def infer(self, params: CompareParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: CompareParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Compare real values."""
        truth = COMPARE[params.kind](arrays[0], arrays[1])
        return np.asarray(truth, dtype=np.result_type(*arrays))

    def prepare(
        self, params: CompareParams, inputs: Sequence[Tensor], output: Tensor
    ) -> CompareConstants:
        """Bring both operands to the larger of their scales, with 23 more bits."""
        a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
        assert a is not None
        assert b is not None
        assert out is not None
        unit = max(a.scalar, b.scalar)
        left, right = (int(np.rint(np.ldexp(q.scalar / unit, COMPARED_BITS))) for q in (a, b))
        codes = saturate(out.quantize(np.array([1.0, 0.0])))
        return CompareConstants(
            (left, right),
            (-left * a.zero_point, -right * b.zero_point),
            int(codes[0]),
            int(codes[1]),
        )

    def int_ref(
        self,
        params: CompareParams,
        prepared: CompareConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Compare codes exactly."""
        a, b = (
            array.astype(np.int64) * m + c
            for array, m, c in zip(arrays, prepared.multiplier, prepared.addend, strict=True)
        )
        truth = COMPARE[params.kind](a, b)
        return np.where(truth, prepared.true_code, prepared.false_code).astype(np.int8)


class Where(Op[WhereParams]):
    """The second operand where the first is not 0, else the third."""

    name: ClassVar[str] = "where"

    def constraints(self) -> Sequence[Constraint[WhereParams]]:
        """Limits of element-wise operators."""
        return (ranks_agree, one_is_computed)

    def infer(self, params: WhereParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by broadcasting."""
        return broadcast_shape(inputs)

    def float_ref(
        self, params: WhereParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Choose between real values."""
        return np.where(arrays[0] != 0, arrays[1], arrays[2])

    def prepare(
        self, params: WhereParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ScaledOperands:
        """Make the multipliers of both choices."""
        known = [tensor.qparams for tensor in inputs[1:] if tensor.qparams is not None]
        assert len(known) == 2
        assert output.qparams is not None
        return scale_operands(known, output.qparams, NO_CLAMP, output.name)

    def int_ref(
        self,
        params: WhereParams,
        prepared: ScaledOperands,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Choose between codes exactly."""
        condition = inputs[0].qparams
        assert condition is not None
        yes, no = (prepared.scaled(index, array) for index, array in enumerate(arrays[1:]))
        return prepared.finish(np.where(arrays[0] != condition.zero_point, yes, no))


def _of_constant(kind: str, number: float, *, on_the_left: bool) -> Expr:
    """A comparison with a constant, as a function of one variable."""
    difference = call("sub", X, number) if not on_the_left else call("sub", number, X)
    sign = call("sign", difference)
    if kind == "equal":
        return call("sub", 1.0, call("abs", sign))
    if kind == "less":
        return call("relu", call("neg", sign))
    return call("sub", 1.0, call("relu", sign))


def _with_infinity(node: ImportedNode, build: Builder, kind: str, value: Array, index: int) -> str:
    """A comparison with infinities: what is computed is a finite number."""
    shapes = [build.shape(name) for name in node.inputs[:2]]
    above = (value > 0) if index else (value < 0)
    truth = np.zeros_like(above) if kind == "equal" else above
    return build.constant(
        np.broadcast_to(truth, np.broadcast_shapes(*shapes)), f"{node.name}.truth"
    )


def _comparison(kind: Literal["less", "less_or_equal", "equal"], *, swapped: bool) -> Importer:
    """Importer of a comparison; with a scalar constant it is a table."""

    def importer(node: ImportedNode, build: Builder) -> str:
        """Import ONNX comparison."""
        names = node.inputs[1::-1] if swapped else node.inputs[:2]
        for index, name in enumerate(names):
            value, other = build.value(name), names[1 - index]
            if value is not None and np.isinf(value).all():
                return _with_infinity(node, build, kind, value, index)
            if value is not None and value.size == 1 and value.ndim <= len(build.shape(other)):
                number = float(value.reshape(()))
                expr = _of_constant(kind, number, on_the_left=index == 0)
                return build.emit("unary", [other], UnaryParams(expr), node)
        pair = ImportedNode(node.op_type, node.name, names, node.outputs)
        return build.emit("compare", align(pair, build), CompareParams(kind), node)

    return importer


def _always(node: ImportedNode, build: Builder) -> str:
    """The computed operand that a constant condition chooses everywhere, if there is one."""
    condition = build.value(node.inputs[0])
    if condition is None or condition.min() != condition.max():
        return ""
    choice = node.inputs[1 if condition.all() else 2]
    shapes = [build.shape(name) for name in node.inputs]
    whole = build.shape(choice) == np.broadcast_shapes(*shapes)
    return choice if whole and build.value(choice) is None else ""


def _where(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Where: condition and choices computed or constant."""
    chosen = _always(node, build)
    if chosen:
        return chosen
    rank = max(len(build.shape(name)) for name in node.inputs)
    names = []
    for index, name in enumerate(node.inputs):
        shape = build.shape(name)
        value = build.value(name)
        full = (1,) * (rank - len(shape)) + shape
        if value is not None:
            real = value.astype(np.float32).reshape(full)
            names.append(build.constant(real, f"{node.name}.operand{index}"))
        else:
            names.append(name if len(shape) == rank else build.reshape(name, full, node))
    return build.emit("where", names, WhereParams(), node)


def _not(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Not: 1 - x."""
    return build.emit("unary", node.inputs[:1], UnaryParams(call("sub", 1.0, X)), node)


def _xor(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Xor: not equal."""
    y = build.emit("compare", align(node, build), CompareParams("equal"), node)
    return build.emit("unary", [y], UnaryParams(call("sub", 1.0, X)), node, ".not")


ONNX: dict[str, Importer] = {
    "Less": _comparison("less", swapped=False),
    "LessOrEqual": _comparison("less_or_equal", swapped=False),
    "Greater": _comparison("less", swapped=True),
    "GreaterOrEqual": _comparison("less_or_equal", swapped=True),
    "Equal": _comparison("equal", swapped=False),
    "Where": _where,
    "Not": _not,
    "And": import_binary("minimum", "min", MaximumParams()),
    "Or": import_binary("maximum", "max", MaximumParams()),
    "Xor": _xor,
}
