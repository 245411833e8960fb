"""Functions of one variable as ONNX operators."""

import math
from collections.abc import Mapping

import numpy as np

from edgecomp.ops.expression import Expr
from edgecomp.quant.qdq_builder import QdqBuilder

_ATTRIBUTES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "leaky_relu": ("LeakyRelu", ("alpha",)),
    "hard_sigmoid": ("HardSigmoid", ("alpha", "beta")),
    "elu": ("Elu", ("alpha",)),
    "celu": ("Celu", ("alpha",)),
    "selu": ("Selu", ("alpha", "gamma")),
    "thresholded_relu": ("ThresholdedRelu", ("alpha",)),
    "hard_shrink": ("Shrink", ("lambd", "bias")),
    "hard_swish": ("HardSwish", ()),
}
_OPSETS = {"Gelu": 20}


def emit_expression(build: QdqBuilder, expr: Expr, x: str, output: str) -> str:
    """Add the operators that compute a tree.

    Args:
        build: the graph in the making.
        expr: the function (`edgecomp.ops.expression`).
        x: name of the input.
        output: wanted name of the result.

    Returns:
        Name of the result; of `x` itself for the identity.
    """
    head, *args = expr
    if head == "x":
        return x
    if head == "const":
        return build.constant(np.array(args[0], np.float32), f"{output}.constant")
    if head == "clip":
        inner = emit_expression(build, args[0], x, f"{output}.inner")
        return emit_clip(build, inner, args[1][1], args[2][1], output)
    if head == "silu":
        inner = emit_expression(build, args[0], x, f"{output}.inner")
        gate = build.emit("Sigmoid", [inner], f"{output}.sigmoid")
        return build.emit("Mul", [inner, gate], output)
    if head in _ATTRIBUTES:
        op_type, names = _ATTRIBUTES[head]
        inner = emit_expression(build, args[0], x, f"{output}.inner")
        numbers = {name: arg[1] for name, arg in zip(names, args[1:], strict=True)}
        return build.emit(op_type, [inner], output, **numbers)
    names_of_args = [
        emit_expression(build, arg, x, f"{output}.{index}") for index, arg in enumerate(args)
    ]
    if head in {"gelu", "gelu_tanh"}:
        build.needs_opset(_OPSETS["Gelu"])
        kind = "tanh" if head == "gelu_tanh" else "none"
        return build.emit("Gelu", names_of_args, output, approximate=kind)
    return build.emit(head.capitalize(), names_of_args, output)


def emit_clip(build: QdqBuilder, x: str, low: float, high: float, output: str) -> str:
    """Add a Relu or a Clip; bounds may be infinite, and nothing is added where both are."""
    if math.isinf(high) and math.isinf(low):
        return x
    if low == 0 and math.isinf(high):
        return build.emit("Relu", [x], output)
    least = "" if math.isinf(low) else build.constant(np.array(low, np.float32), f"{output}.low")
    most = (
        [] if math.isinf(high) else [build.constant(np.array(high, np.float32), f"{output}.high")]
    )
    return build.emit("Clip", [x, least, *most], output)
