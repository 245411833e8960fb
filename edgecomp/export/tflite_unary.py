"""How functions of one variable are written in TFLite."""

from collections.abc import Mapping

import numpy as np

from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.export.tflite_layers import fixed_output, rescaled
from edgecomp.export.tflite_real import emit_real
from edgecomp.ir import NO_CLAMP, Clamp, Node, QParams
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.unary import UnaryParams

LOGISTIC_QPARAMS = QParams.per_tensor(1 / 256, -128)
TANH_QPARAMS = QParams.per_tensor(1 / 128, 0)

_FIXED: Mapping[Expr, tuple[str, QParams]] = {
    call("sigmoid", X): ("LOGISTIC", LOGISTIC_QPARAMS),
    call("tanh", X): ("TANH", TANH_QPARAMS),
}
"""Functions whose output has one scale there."""

_CODES: Mapping[Expr, tuple[str, str]] = {
    call("relu", X): ("RELU", ""),
    call("hard_swish", X): ("HARD_SWISH", "HardSwishOptions"),
    call("elu", X, 1.0): ("ELU", ""),
    call("abs", X): ("ABS", "AbsOptions"),
    call("gelu", X): ("GELU", "GeluOptions"),
}
"""Functions that runtimes compute on codes."""

_WITH_NUMBER = {
    "add": ("ADD", "AddOptions"),
    "sub": ("SUB", "SubOptions"),
    "mul": ("MUL", "MulOptions"),
}


def emit_unary(build: TfliteBuilder, node: Node) -> None:
    """Add the operator of a function of one variable, or its parts in real numbers."""
    params = node.params
    assert isinstance(params, UnaryParams)
    whole = _unbounded(params.expr, build.qparams(node.output))
    expr, clamp = _without_clamp(whole)
    if expr in _FIXED:
        op, fixed = _FIXED[expr]
        fixed_output(build, node, op, "", fixed)
        return
    if expr in _CODES:
        op, kind = _CODES[expr]
        source, out = build.beside(node.inputs[0], node.output)
        build.file.operator(op, [source], out, kind)
        return
    match expr:
        case ("x",) | ("clip", ("x",), _, _):
            _clip(build, node, UnaryParams(whole))
        case ("leaky_relu", ("x",), ("const", alpha)):
            source, out = build.beside(node.inputs[0], node.output)
            build.file.operator("LEAKY_RELU", [source], out, "LeakyReluOptions", Alpha=alpha)
        case ("div", ("x",), ("const", number)) if number:
            _with_number(build, node, "mul", 1.0 / number, clamp, is_left=False)
        case (("add" | "sub" | "mul") as function, ("x",), ("const", number)):
            _with_number(build, node, function, number, clamp, is_left=False)
        case (("add" | "sub" | "mul") as function, ("const", number), ("x",)):
            _with_number(build, node, function, number, clamp, is_left=True)
        case (("max" | "min") as function, ("x",), ("const", number)):
            _extremum(build, node, function, number)
        case (("max" | "min") as function, ("const", number), ("x",)):
            _extremum(build, node, function, number)
        case _:
            emit_real(build, node, whole)


def _clip(build: TfliteBuilder, node: Node, params: UnaryParams) -> None:
    """Add a change of scale and bounds; both may be missing."""
    clamp = params.as_clamp
    q = build.qparams(node.output)
    _bounded(build, node, q.limits if clamp is None else clamp.codes(q))


def _bounded(build: TfliteBuilder, node: Node, bounds: tuple[int, int]) -> None:
    """Add what brings codes to the output's scale and within bounds."""
    x, y = node.inputs[0], node.output
    q = build.qparams(y)
    if build.qparams(x) != q or (bounds == q.limits and not build.is_free(y)):
        rescaled(build, *build.beside(x, y), bounds, q)
    elif bounds == q.limits:
        build.alias(y, x)
    else:
        build.limited(*build.beside(x, y), bounds, q)


def _unbounded(expr: Expr, q: QParams) -> Expr:
    """The function without bounds that its codes have anyway."""
    match expr:
        case ("clip", inner, ("const", low), ("const", high)):
            return inner if Clamp(low, high).codes(q) == q.limits else expr
    return expr


def _without_clamp(expr: Expr) -> tuple[Expr, Clamp]:
    """A sum or product with a number without the bounds around it, and these."""
    match expr:
        case ("clip", (("add" | "sub" | "mul"), _, _) as inner, ("const", low), ("const", high)):
            if inner != call("mul", X, X):
                return inner, Clamp(low, high)
    return expr, NO_CLAMP


def _with_number(
    build: TfliteBuilder, node: Node, function: str, number: float, clamp: Clamp, *, is_left: bool
) -> None:
    """Add an operator of two operands, one of them a number: the code 1 or -1 at its size."""
    x, out = build.beside(node.inputs[0], node.output)
    size = QParams.per_tensor(abs(number) or 1.0)
    other = build.code(out, ".number", (number > 0) - (number < 0), size)
    op, kind = _WITH_NUMBER[function]
    build.fused(op, [other, x] if is_left else [x, other], out, kind, clamp)


def _extremum(build: TfliteBuilder, node: Node, function: str, number: float) -> None:
    """Add a bound, at the output's scale."""
    q = build.qparams(node.output)
    code = int(q.quantize(np.array(number), *q.limits))
    _bounded(build, node, (code, q.limits[1]) if function == "max" else (q.limits[0], code))
