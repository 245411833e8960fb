"""Every element-wise function of one tensor: on int8, one table of 256 codes.

Source of the semantics: the ONNX operators named in `ONNX`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import round_half_up, saturate
from edgecomp.ir import Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op
from edgecomp.ops.expression import Expr, X, call, describe, evaluate


@dataclass(frozen=True)
class UnaryParams(OpParams):
    """The function, as a tree (`edgecomp.ops.expression`)."""

    expr: Expr

    @property
    def text(self) -> str:
        """The function for people."""
        return describe(self.expr)

    @property
    def is_identity(self) -> bool:
        """Whether the function returns its input: between two scales, a rescaling."""
        return self.expr == X

    @property
    def as_clamp(self) -> Clamp | None:
        """The interval that the function clamps to, or None if it is another function."""
        match self.expr:
            case ("relu", ("x",)):
                return Clamp(0.0)
            case ("clip", ("x",), ("const", low), ("const", high)):
                return Clamp(low, high)
        return None


class Unary(Op[UnaryParams]):
    """`y = f(x)`."""

    name: ClassVar[str] = "unary"

    def infer(self, params: UnaryParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the input's."""
        return inputs[0].shape

    def float_ref(
        self, params: UnaryParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Apply the function, computed in float64."""
        y = evaluate(params.expr, arrays[0])
        return np.broadcast_to(y, arrays[0].shape).astype(arrays[0].dtype)

    def prepare(self, params: UnaryParams, inputs: Sequence[Tensor], output: Tensor) -> Array:
        """Return the table: output code of input code `i - 128` at index `i`, int8."""
        assert inputs[0].qparams is not None
        assert output.qparams is not None
        real = inputs[0].qparams.dequantize(np.arange(-128, 128))
        y = np.broadcast_to(evaluate(params.expr, real), (256,))
        # Where the function has no value (sqrt of a negative number), 0 stands in.
        y = np.nan_to_num(y / output.qparams.scalar, nan=0.0, posinf=1e6, neginf=-1e6)
        codes = round_half_up(np.clip(y, -1e6, 1e6)) + output.qparams.zero_point
        return saturate(codes)

    def int_ref(
        self,
        params: UnaryParams,
        prepared: Array,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Look every code up."""
        looked_up: Array = prepared[arrays[0].astype(np.int16) + 128]
        return looked_up


def _simple(function: str, **defaults: float) -> Importer:
    """Importer of an operator whose attributes are `defaults`, in the function's order."""

    def importer(node: ImportedNode, build: Builder) -> str:
        args = [float(node.attrs.get(key, value)) for key, value in defaults.items()]
        return build.emit("unary", node.inputs[:1], UnaryParams(call(function, X, *args)), node)

    return importer


def _clip(node: ImportedNode, build: Builder) -> str:
    """Import Clip: bounds as attributes (opset < 11) or constant inputs."""
    bounds = [float(node.attrs.get("min", -np.inf)), float(node.attrs.get("max", np.inf))]
    for index in (1, 2):
        if node.has_input(index):
            value = build.value(node.inputs[index])
            if value is None:
                raise build.unsupported(node, "bounds must be constants")
            bounds[index - 1] = float(value.reshape(()))
    return build.emit("unary", node.inputs[:1], UnaryParams(call("clip", X, *bounds)), node)


def _gelu(node: ImportedNode, build: Builder) -> str:
    """Import Gelu, exact or by tanh."""
    function = "gelu_tanh" if node.attrs.get("approximate", "none") == "tanh" else "gelu"
    return build.emit("unary", node.inputs[:1], UnaryParams(call(function, X)), node)


def _swish(node: ImportedNode, build: Builder) -> str:
    """Import Swish: x * sigmoid(alpha * x)."""
    alpha = float(node.attrs.get("alpha", 1.0))
    expr = call("mul", X, call("sigmoid", call("mul", X, alpha)))
    return build.emit("unary", node.inputs[:1], UnaryParams(expr), node)


ONNX: dict[str, Importer] = {
    "Relu": _simple("relu"),
    "Clip": _clip,
    "LeakyRelu": _simple("leaky_relu", alpha=0.01),
    "HardSigmoid": _simple("hard_sigmoid", alpha=0.2, beta=0.5),
    "Elu": _simple("elu", alpha=1.0),
    "Celu": _simple("celu", alpha=1.0),
    "Selu": _simple("selu", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "ThresholdedRelu": _simple("thresholded_relu", alpha=1.0),
    "Shrink": _simple("hard_shrink", lambd=0.5, bias=0.0),
    "Gelu": _gelu,
    "Swish": _swish,
    "HardSwish": _simple("hard_swish"),
    "Mish": _simple("mish"),
    **{
        name.capitalize(): _simple(name)
        for name in (
            "abs", "neg", "sqrt", "exp", "log", "reciprocal", "floor", "ceil", "round", "sign",
            "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
            "erf", "sigmoid", "tanh", "softplus", "softsign",
        )
    },
}  # fmt: skip
