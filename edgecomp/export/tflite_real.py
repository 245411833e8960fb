"""Functions that no runtime computes on codes: in real numbers, between two changes of type.

The codes become float32 numbers, the function's tree is computed by TFLite's operators of real
numbers, and the result is quantized.  At most rounding to float32 lies between that and a table.
"""

import math
from collections.abc import Mapping

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.ir import Node
from edgecomp.ops.expression import Expr, X, call, describe

_OPERATORS: Mapping[str, tuple[str, str]] = {
    "abs": ("ABS", "AbsOptions"),
    "neg": ("NEG", "NegOptions"),
    "sqrt": ("SQRT", ""),
    "exp": ("EXP", "ExpOptions"),
    "log": ("LOG", ""),
    "sin": ("SIN", ""),
    "cos": ("COS", "CosOptions"),
    "floor": ("FLOOR", ""),
    "ceil": ("CEIL", ""),
    "round": ("ROUND", ""),
    "sigmoid": ("LOGISTIC", ""),
    "tanh": ("TANH", ""),
    "relu": ("RELU", ""),
    "hard_swish": ("HARD_SWISH", "HardSwishOptions"),
    "gelu": ("GELU", "GeluOptions"),
    "add": ("ADD", "AddOptions"),
    "sub": ("SUB", "SubOptions"),
    "mul": ("MUL", "MulOptions"),
    "div": ("DIV", "DivOptions"),
    "max": ("MAXIMUM", "MaximumMinimumOptions"),
    "min": ("MINIMUM", "MaximumMinimumOptions"),
}
"""Functions of real numbers, their arguments in the operator's order."""

_WITH_ATTRIBUTE = frozenset({"leaky_relu", "elu"})
"""Functions whose numbers are attributes; ELU's is always 1."""

LEAST = float(np.float32(1e-30))


def emit_real(build: TfliteBuilder, node: Node, expr: Expr) -> None:
    """Add the parts of a function.

    Raises:
        UnsupportedError: TFLite has no operator for one of them.
    """
    parts = _Parts(build, node)
    parts.check(_spelled(expr))
    source, out = build.beside(node.inputs[0], node.output)
    shape = build.file.shape_of(out)
    name = build.file.name_of(out)
    real = build.file.tensor(f"{name}.in", shape, "float32")
    build.file.operator("DEQUANTIZE", [source], real, "DequantizeOptions")
    result = parts.add(_spelled(expr), real, f"{name}.real")
    build.requantized(result, out)


def _spelled(expr: Expr) -> Expr:
    """A tree in functions that TFLite has: what it can only combine is written out."""
    head, *args = expr
    if head in {"x", "const"}:
        return expr
    args = [_spelled(arg) for arg in args]
    match (head, *args):
        case ("clip", inner, ("const", low), ("const", high)):
            bounded = inner if np.isneginf(low) else call("max", inner, low)
            return bounded if np.isposinf(high) else call("min", bounded, high)
        case ("silu", inner):
            return call("mul", inner, call("sigmoid", inner))
        case ("reciprocal", inner):
            return call("div", 1.0, inner)
        case ("softsign", inner):
            return call("div", inner, call("add", call("abs", inner), 1.0))
        case ("softplus", inner):
            tail = call("exp", call("neg", call("abs", inner)))
            return call("add", call("max", inner, 0.0), call("log", call("add", tail, 1.0)))
        case ("mish", inner):
            return call("mul", inner, call("tanh", _spelled(call("softplus", inner))))
        case ("elu", inner, ("const", alpha)) if alpha != 1.0:
            return _exponential(inner, 1.0, alpha, 1.0)
        case ("celu", inner, ("const", alpha)):
            return _exponential(inner, 1.0, alpha, alpha)
        case ("selu", inner, ("const", alpha), ("const", gamma)):
            return _exponential(inner, gamma, gamma * alpha, 1.0)
        case ("hard_sigmoid", inner, alpha, beta):
            line = call("add", call("mul", inner, alpha), beta)
            return call("min", call("max", line, 0.0), 1.0)
        case ("log", inner) if inner[0] not in {"max", "add"}:
            # Of 0 it is the lowest code, and not minus infinity.
            return call("log", call("max", inner, LEAST))
        case ("gelu_tanh", inner):
            cube = call("mul", call("mul", inner, inner), inner)
            arg = call("add", inner, call("mul", cube, 0.044715))
            gate = call("add", call("tanh", call("mul", arg, math.sqrt(2 / math.pi))), 1.0)
            return call("mul", call("mul", inner, 0.5), gate)
        case ("mul", inner, ("add", ("erf", ("div", same, ("const", root))), ("const", 1.0))) if (
            inner == same and math.isclose(root, math.sqrt(2), rel_tol=1e-6)
        ):
            # As exporters take GELU apart; TFLite has no erf.
            return call("mul", call("gelu", inner), 2.0)
        case ("pow", inner, ("const", 2.0)):
            return call("mul", inner, inner)
    return (head, *args)


def _exponential(inner: Expr, above: float, below: float, width: float) -> Expr:
    """`above * x` where x is positive, `below * (exp(x / width) - 1)` elsewhere."""
    bent = call("exp", call("div", call("min", inner, 0.0), width))
    tail = call("mul", call("sub", bent, 1.0), below)
    return call("add", call("mul", call("max", inner, 0.0), above), tail)


class _Parts:
    """Adds a tree, each part once."""

    def __init__(self, build: TfliteBuilder, node: Node) -> None:
        self._build = build
        self._node = node
        self._made: dict[Expr, int] = {}

    def check(self, expr: Expr) -> None:
        """Refuse a tree with a function that TFLite has not."""
        head, *args = expr
        if head in {"const", "x"}:
            return
        if head not in {*_OPERATORS, *_WITH_ATTRIBUTE}:
            raise self._refusal(expr)
        for arg in args:
            self.check(arg)

    def add(self, expr: Expr, x: int, name: str) -> int:
        """Add a tree over the tensor `x` and return where its value is."""
        if expr == X:
            return x
        if expr not in self._made:
            self._made[expr] = self._added(expr, x, name)
        return self._made[expr]

    def _added(self, expr: Expr, x: int, name: str) -> int:
        head, *args = expr
        file = self._build.file
        if head == "const":
            return file.constant(name, np.array([args[0]], np.float32))
        taken = args[:1] if head in _WITH_ATTRIBUTE else args
        inputs = [self.add(arg, x, f"{name}.{index}") for index, arg in enumerate(taken)]
        out = file.tensor(name, file.shape_of(x), "float32")
        if head == "leaky_relu":
            return file.operator("LEAKY_RELU", inputs, out, "LeakyReluOptions", Alpha=args[1][1])
        if head == "elu":
            return file.operator("ELU", inputs, out)
        op, kind = _OPERATORS[head]
        return file.operator(op, inputs, out, kind)

    def _refusal(self, expr: Expr) -> UnsupportedError:
        return self._build.refusal(
            self._node,
            f"no operator computes {expr[0]}, a part of {describe(expr)}",
            "take another activation, or export QDQ ONNX",
        )
