"""The real functions of `edgecomp.ops.expression` in PyTorch, with gradients."""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgecomp.ops.expression import Expr

if TYPE_CHECKING:
    from torch import Tensor


@functools.cache
def functions() -> "dict[str, Callable[..., Tensor]]":
    """Every function by the name that it has in a tree."""
    import torch
    from torch.nn import functional as f

    same_name = (
        "abs", "neg", "sqrt", "exp", "log", "reciprocal", "floor", "ceil", "round", "sign",
        "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
        "erf", "sigmoid", "tanh", "relu", "add", "sub", "mul", "div", "pow",
    )  # fmt: skip
    where, zero = torch.where, 0.0
    found: dict[str, Callable[..., Any]] = {name: getattr(torch, name) for name in same_name}
    found |= {
        "softplus": lambda x: torch.logaddexp(torch.zeros_like(x), x),
        "softsign": f.softsign,
        "silu": f.silu,
        "mish": f.mish,
        "gelu": f.gelu,
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"),
        "hard_swish": lambda x: x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        "clip": torch.clamp,
        "leaky_relu": lambda x, alpha: where(x >= 0, x, alpha * x),
        "hard_sigmoid": lambda x, alpha, beta: (alpha * x + beta).clamp(0.0, 1.0),
        "elu": lambda x, alpha: where(x >= 0, x, alpha * torch.expm1(x.clamp(max=zero))),
        "celu": lambda x, alpha: where(x >= 0, x, alpha * torch.expm1(x.clamp(max=zero) / alpha)),
        "selu": lambda x, alpha, gamma: (
            gamma * where(x >= 0, x, alpha * torch.expm1(x.clamp(max=zero)))
        ),
        "thresholded_relu": lambda x, alpha: where(x > alpha, x, zero),
        "hard_shrink": lambda x, lambd, bias: where(
            x < -lambd, x + bias, where(x > lambd, x - bias, zero)
        ),
        "min": torch.minimum,
        "max": torch.maximum,
    }
    return found


def evaluate(expr: Expr, x: "Tensor") -> "Tensor":
    """Value of the tree at `x`, in the dtype of `x`."""
    head, *args = expr
    if head == "x":
        return x
    if head == "const":
        # Kept finite: torch clamps to infinity as wanted, but multiplies it by 0 in gradients.
        value = float(args[0])
        return x.new_tensor(value if math.isfinite(value) else math.copysign(1e30, value))
    return functions()[head](*(evaluate(arg, x) for arg in args))
