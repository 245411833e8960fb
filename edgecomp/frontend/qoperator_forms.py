"""Layers on codes: which float operator each is, and where its operands and scales stand.

Sources: ONNX operators QLinearConv and QLinearMatMul; the contrib operators QGemm and QLinear* of
onnxruntime (`docs/ContribOperators.md`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx


def has_input(node: onnx.NodeProto, index: int) -> bool:
    """Whether the optional input `index` is given."""
    return 0 <= index < len(node.input) and node.input[index] != ""


def integer_of(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute."""
    return next((a.i for a in node.attribute if a.name == name), default)


@dataclass(frozen=True)
class Operand:
    """Where a layer has an operand: its codes, scale and zero point; `axis` of several scales.

    What is no code, as the condition of Where, has no scale: its place is -1.
    """

    codes: int
    scale: int = -1
    zero_point: int = -1
    axis: int = 1


@dataclass(frozen=True)
class Form:
    """A layer on codes: the float operator, its operands, and where scale and zero point stand.

    Attributes:
        op: the float operator.
        operands: what it reads, in its own order.
        scale: input that is the result's scale; its zero point is the next one.
        bias: input that is an int32 bias at the product of the two operands' scales, or -1.
    """

    op: str
    operands: tuple[Operand, ...]
    scale: int
    bias: int = -1


def _unary(op: str) -> Form:
    return Form(op, (Operand(0, 1, 2),), 3)


def _binary(op: str, *, axis: int = 1, bias: int = -1, scale: int = 6) -> Form:
    return Form(op, (Operand(0, 1, 2), Operand(3, 4, 5, axis)), scale, bias)


def _gemm(node: onnx.NodeProto) -> Form:
    return _binary("Gemm", axis=0 if integer_of(node, "transB", 0) else 1, bias=6, scale=7)


def _concat(node: onnx.NodeProto) -> Form:
    places = range(2, len(node.input) - 2, 3)
    return Form("Concat", tuple(Operand(i, i + 1, i + 2) for i in places), 0)


def _always(form: Form) -> Callable[[onnx.NodeProto], Form]:
    return lambda node: form


FORMS: Mapping[str, Callable[[onnx.NodeProto], Form]] = {
    "QLinearConv": _always(_binary("Conv", axis=0, bias=8)),
    "QLinearMatMul": _always(_binary("MatMul", axis=-1)),
    "com.microsoft.QLinearConv": _always(_binary("Conv", axis=0, bias=8)),
    "com.microsoft.QGemm": _gemm,
    "com.microsoft.QLinearAdd": _always(_binary("Add")),
    "com.microsoft.QLinearMul": _always(_binary("Mul")),
    "com.microsoft.QLinearConcat": _concat,
    "com.microsoft.QLinearWhere": _always(
        Form("Where", (Operand(0), Operand(1, 2, 3), Operand(4, 5, 6)), 7)
    ),
    "com.microsoft.QLinearAveragePool": _always(_unary("AveragePool")),
    "com.microsoft.QLinearGlobalAveragePool": _always(_unary("GlobalAveragePool")),
    "com.microsoft.QLinearReduceMean": _always(_unary("ReduceMean")),
    "com.microsoft.QLinearSigmoid": _always(_unary("Sigmoid")),
    "com.microsoft.QLinearLeakyRelu": _always(_unary("LeakyRelu")),
    "com.microsoft.QLinearSoftmax": _always(_unary("Softmax")),
}
"""How each layer on codes is taken apart, by operator and domain."""
