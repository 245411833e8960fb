"""Real functions of one variable, as small trees: the meaning of every table-driven layer.

A tree is a nested tuple: `("x",)` is the input, `("const", 0.5)` a number, and
`("mul", ("x",), ("sigmoid", ("x",)))` is SiLU.  On int8 every such function is a table of 256
codes, so a whole chain of element-wise layers costs one load.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgecomp.ir import Array

Expr = tuple[Any, ...]

X: Expr = ("x",)

_erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "abs": np.abs,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "reciprocal": lambda x: 1.0 / x,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": _erf,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "softplus": _softplus,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "gelu": lambda x: 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: (
        0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "hard_swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "clip": np.clip,
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "hard_sigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0.0, 1.0),
    "elu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    "celu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),
    "selu": lambda x, alpha, gamma: (
        gamma * np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0)))
    ),
    "thresholded_relu": lambda x, alpha: np.where(x > alpha, x, 0.0),
    "hard_shrink": lambda x, lambd, bias: np.where(
        x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0)
    ),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "min": np.minimum,
    "max": np.maximum,
}
"""Real functions by name: the first arguments are trees, `const` among them."""


def call(function: str, *args: float | Expr) -> Expr:
    """Build the tree of `function` applied to trees and numbers.

    >>> call("clip", X, 0.0, 6.0)
    ('clip', ('x',), ('const', 0.0), ('const', 6.0))
    """
    if function not in FUNCTIONS:
        raise KeyError(function)
    return (function, *(arg if isinstance(arg, tuple) else ("const", float(arg)) for arg in args))


def evaluate(expr: Expr, x: Array) -> Array:
    """Value of the tree at `x`, in float64."""
    head, *args = expr
    if head == "x":
        return np.asarray(x, dtype=np.float64)
    if head == "const":
        return np.asarray(args[0], dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(FUNCTIONS[head](*(evaluate(arg, x) for arg in args)), dtype=np.float64)


def substitute(expr: Expr, inner: Expr) -> Expr:
    """The tree with `inner` in place of the input: `expr` after `inner`."""
    head, *args = expr
    if head == "x":
        return inner
    if head == "const":
        return expr
    return (head, *(substitute(arg, inner) for arg in args))


def is_integral(expr: Expr) -> bool:
    """Whether the tree has no values but integers.

    >>> is_integral(call("mul", call("sign", X), 3.0)), is_integral(call("mul", X, 3.0))
    (True, False)
    """
    head, *args = expr
    if head in {"floor", "ceil", "round", "sign"}:
        return True
    if head == "const":
        return float(args[0]).is_integer()
    kept = {"abs", "neg", "relu", "clip", "add", "sub", "mul", "min", "max"}
    return head in kept and all(is_integral(arg) for arg in args)


def complexity(expr: Expr) -> int:
    """Number of functions in the tree.

    >>> complexity(call("mul", X, call("sigmoid", X)))
    2
    """
    head, *args = expr
    return 0 if head in {"x", "const"} else 1 + sum(complexity(arg) for arg in args)


def describe(expr: Expr) -> str:
    """The tree as people write it.

    >>> describe(call("mul", X, call("sigmoid", X)))
    'mul(x, sigmoid(x))'
    """
    head, *args = expr
    if head == "x":
        return "x"
    if head == "const":
        return f"{args[0]:g}"
    return f"{head}({', '.join(describe(arg) for arg in args)})"
