"""Cases of functions of one variable, each beside its definition in the ONNX specification."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.unary import UnaryParams
from tests.support.cases import Act, OpCase

SHAPE = (1, 5, 6, 3)


@dataclass(frozen=True)
class FunctionCase:
    """A function, the input's real range, and the same function written with `math`."""

    name: str
    expr: Expr
    low: float
    high: float
    definition: Callable[[float], float]
    out: tuple[float, float] | None = None
    few_codes: bool = False

    def case(self) -> OpCase:
        """The case of the layer."""
        x = Act(SHAPE, self.low, self.high)
        return OpCase(
            self.name, "unary", UnaryParams(self.expr), (x,), self.out, few_codes=self.few_codes
        )


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def _hard(x: float) -> float:
    return max(0.0, min(1.0, x))


SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875

FUNCTIONS = (
    FunctionCase("abs", call("abs", X), -2, 3, abs),
    FunctionCase("neg", call("neg", X), -2, 3, lambda x: -x),
    FunctionCase("sqrt", call("sqrt", X), 0, 9, math.sqrt),
    FunctionCase("sqrt-of-negative-numbers", call("sqrt", X), -2, 9,
                 lambda x: math.sqrt(x) if x >= 0 else 0.0, (0, 3)),
    FunctionCase("exp", call("exp", X), -3, 2, math.exp),
    FunctionCase("log", call("log", X), -0.001, 5,
                 lambda x: math.log(x) if x > 0 else (-1e6 if x == 0 else 0.0), (-5, 2)),
    FunctionCase("reciprocal", call("reciprocal", X), 0, 4,
                 lambda x: 1 / x if x else 1e6, (0, 20)),
    FunctionCase("floor", call("floor", X), -9, 9, math.floor),
    FunctionCase("ceil", call("ceil", X), -9, 9, math.ceil),
    FunctionCase("round", call("round", X), -9, 9, round),
    FunctionCase("sign", call("sign", X), -2, 2, lambda x: (x > 0) - (x < 0), (-1, 1),
                 few_codes=True),
    FunctionCase("sin", call("sin", X), -4, 4, math.sin),
    FunctionCase("cos", call("cos", X), -4, 4, math.cos),
    FunctionCase("tan", call("tan", X), -1.2, 1.2, math.tan),
    FunctionCase("asin", call("asin", X), -0.98, 0.98, math.asin),
    FunctionCase("acos", call("acos", X), -0.98, 0.98, math.acos),
    FunctionCase("atan", call("atan", X), -5, 5, math.atan),
    FunctionCase("sinh", call("sinh", X), -3, 3, math.sinh),
    FunctionCase("cosh", call("cosh", X), -3, 3, math.cosh),
    FunctionCase("asinh", call("asinh", X), -5, 5, math.asinh),
    FunctionCase("acosh", call("acosh", X), 0, 9,
                 lambda x: math.acosh(x) if x >= 1 else 0.0, (0, 3)),
    FunctionCase("atanh", call("atanh", X), -0.95, 0.95, math.atanh),
    FunctionCase("erf", call("erf", X), -2, 2, math.erf),
    FunctionCase("sigmoid", call("sigmoid", X), -6, 6, _sigmoid, (0, 255 / 256)),
    FunctionCase("tanh", call("tanh", X), -3, 3, math.tanh, (-1, 127 / 128)),
    FunctionCase("softplus", call("softplus", X), -5, 5, _softplus),
    FunctionCase("softsign", call("softsign", X), -5, 5, lambda x: x / (1 + abs(x))),
    FunctionCase("relu", call("relu", X), -5, 5, lambda x: max(x, 0.0)),
    FunctionCase("silu", call("silu", X), -6, 6, lambda x: x * _sigmoid(x)),
    FunctionCase("mish", call("mish", X), -6, 6, lambda x: x * math.tanh(_softplus(x))),
    FunctionCase("gelu", call("gelu", X), -4, 4,
                 lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
    FunctionCase("gelu-tanh", call("gelu_tanh", X), -4, 4,
                 lambda x: 0.5 * x
                 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    FunctionCase("hard-swish", call("hard_swish", X), -5, 5, lambda x: x * _hard(x / 6 + 0.5)),
    FunctionCase("clip", call("clip", X, -1.5, 2.5), -5, 5, lambda x: max(-1.5, min(2.5, x))),
    FunctionCase("leaky-relu", call("leaky_relu", X, 0.1), -5, 5,
                 lambda x: x if x >= 0 else 0.1 * x),
    FunctionCase("leaky-relu-negative", call("leaky_relu", X, -0.5), -5, 5,
                 lambda x: x if x >= 0 else -0.5 * x),
    FunctionCase("hard-sigmoid", call("hard_sigmoid", X, 0.2, 0.5), -5, 5,
                 lambda x: _hard(0.2 * x + 0.5)),
    FunctionCase("elu", call("elu", X, 1.5), -5, 5,
                 lambda x: x if x >= 0 else 1.5 * math.expm1(x)),
    FunctionCase("celu", call("celu", X, 2.0), -5, 5,
                 lambda x: max(0.0, x) + min(0.0, 2.0 * math.expm1(x / 2.0))),
    FunctionCase("selu", call("selu", X, SELU_ALPHA, SELU_GAMMA), -5, 5,
                 lambda x: SELU_GAMMA * (x if x > 0 else SELU_ALPHA * math.expm1(x))),
    FunctionCase("thresholded-relu", call("thresholded_relu", X, 0.7), -5, 5,
                 lambda x: x if x > 0.7 else 0.0),
    FunctionCase("shrink", call("hard_shrink", X, 0.5, 0.2), -5, 5,
                 lambda x: x + 0.2 if x < -0.5 else (x - 0.2 if x > 0.5 else 0.0)),
    FunctionCase("add-constant", call("add", X, 2.5), -5, 5, lambda x: x + 2.5),
    FunctionCase("subtract-from-constant", call("sub", 2.5, X), -5, 5, lambda x: 2.5 - x),
    FunctionCase("multiply", call("mul", X, -3.0), -5, 5, lambda x: -3.0 * x),
    FunctionCase("divide", call("div", X, 7.0), -5, 5, lambda x: x / 7.0),
    FunctionCase("square", call("pow", X, 2.0), -5, 5, lambda x: x**2.0),
    FunctionCase("minimum", call("min", X, 1.0), -5, 5, lambda x: min(x, 1.0)),
    FunctionCase("maximum", call("max", X, 1.0), -5, 5, lambda x: max(x, 1.0)),
    FunctionCase("rescale", X, -1, 3, lambda x: x, (-2, 2)),
    FunctionCase("chain", call("mul", X, call("sigmoid", call("mul", X, 1.702))), -5, 5,
                 lambda x: x * _sigmoid(1.702 * x)),
)  # fmt: skip
"""Where a function has no value, the layer's codes stand for 0; infinities saturate."""

CASES = tuple(function.case() for function in FUNCTIONS)
