"""How TFLite's functions of one variable, PReLU and softmax become layers.

Source: TensorFlow Lite `schema/schema.fbs`, `kernels/internal/reference`.
"""

from collections.abc import Mapping

import numpy as np

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.frontend.tflite_more import TfliteImporter, constant_input
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.log_softmax import LogSoftmaxParams
from edgecomp.ops.prelu import PReluParams
from edgecomp.ops.softmax import SoftmaxParams
from edgecomp.ops.unary import UnaryParams


def _function(expr: Expr) -> TfliteImporter:
    """Importer of a function of one variable."""

    def importer(node: ImportedNode, build: GraphBuilder) -> str:
        return build.emit("unary", node.inputs[:1], UnaryParams(expr), node)

    return importer


def _leaky_relu(node: ImportedNode, build: GraphBuilder) -> str:
    expr = call("leaky_relu", X, float(node.attrs.get("Alpha", 0.0)))
    return build.emit("unary", node.inputs[:1], UnaryParams(expr), node)


def _gelu(node: ImportedNode, build: GraphBuilder) -> str:
    function = "gelu_tanh" if node.attrs.get("Approximate", False) else "gelu"
    return build.emit("unary", node.inputs[:1], UnaryParams(call(function, X)), node)


def _prelu(node: ImportedNode, build: GraphBuilder) -> str:
    slopes = constant_input(node, build, 1, "the slopes")
    channels = build.shape(node.inputs[0])[-1]
    if slopes.size not in {1, channels} or slopes.shape[-1:] not in {(), (1,), (channels,)}:
        raise build.unsupported(node, "the slopes must be one number, or one per channel")
    full = np.broadcast_to(slopes.reshape(-1), (channels,))
    name = build.constant(np.ascontiguousarray(full), f"{node.name}.slopes", "C")
    return build.emit("prelu", [node.inputs[0], name], PReluParams(), node)


def _softmax(node: ImportedNode, build: GraphBuilder) -> str:
    """SOFTMAX along the last axis; beta scales the input."""
    beta, x = float(node.attrs.get("Beta", 1.0)), node.inputs[0]
    if beta != 1.0:
        x = build.emit("unary", [x], UnaryParams(call("mul", X, beta)), node, ".beta")
    return build.emit("softmax", [x], SoftmaxParams(), node)


def _log_softmax(node: ImportedNode, build: GraphBuilder) -> str:
    """LOG_SOFTMAX along the last axis."""
    return build.emit("log_softmax", node.inputs[:1], LogSoftmaxParams(), node)


FUNCTIONS: Mapping[str, TfliteImporter] = {
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": _log_softmax,
    "PRELU": _prelu,
    "LEAKY_RELU": _leaky_relu,
    "GELU": _gelu,
    "RELU": _function(call("relu", X)),
    "RELU6": _function(call("clip", X, 0.0, 6.0)),
    "RELU_N1_TO_1": _function(call("clip", X, -1.0, 1.0)),
    "LOGISTIC": _function(call("sigmoid", X)),
    "TANH": _function(call("tanh", X)),
    "HARD_SWISH": _function(call("hard_swish", X)),
    "ELU": _function(call("elu", X, 1.0)),
    "ABS": _function(call("abs", X)),
    "NEG": _function(call("neg", X)),
    "EXP": _function(call("exp", X)),
    "LOG": _function(call("log", X)),
    "SQRT": _function(call("sqrt", X)),
    "RSQRT": _function(call("reciprocal", call("sqrt", X))),
    "SQUARE": _function(call("mul", X, X)),
    "SIN": _function(call("sin", X)),
    "COS": _function(call("cos", X)),
    "FLOOR": _function(call("floor", X)),
    "CEIL": _function(call("ceil", X)),
    "ROUND": _function(call("round", X)),
}
"""Operators by their name in the schema, joined to `TFLITE`."""
