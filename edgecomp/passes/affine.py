"""Reading layers as `y[c] = factor[c] * x[c] + addend[c]` over the last axis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp.ir import NO_CLAMP, Clamp, Graph, Node
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.expression import Expr
from edgecomp.ops.mul import MulParams
from edgecomp.ops.unary import UnaryParams

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """A factor and an addend per channel, or one for all, and the clamp that follows.

    Attributes:
        source: the tensor it is applied to.
        factor: `(channels,)` or `(1,)`, float64.
        addend: likewise.
        clamp: fused activation.
        is_scalar: whether one factor and addend serve every element.
    """

    source: str
    factor: Float64
    addend: Float64
    clamp: Clamp = NO_CLAMP
    is_scalar: bool = False


def as_affine(graph: Graph, node: Node) -> Affine | None:
    """Read `node` as an affine map per channel, or return None.

    BatchNorm (a depthwise 1x1 convolution), products, sums and differences with a constant along
    the last axis, and functions such as `0.5 * x + 1` are.  Quantized constants are left alone.
    """
    constants = [t for t in graph.node_inputs(node) if t.is_const]
    if any(t.qparams is not None for t in constants):
        return None
    match node.params:
        case Conv2dParams():
            return _from_depthwise(graph, node, node.params)
        case UnaryParams():
            line = _line(node.params.expr)
            if line is None:
                return None
            factor, addend = np.array([line[0]]), np.array([line[1]])
            return Affine(node.inputs[0], factor, addend, is_scalar=True)
        case AddParams() | MulParams():
            return _from_binary(graph, node, node.params.clamp)
    return None


def _from_depthwise(graph: Graph, node: Node, params: Conv2dParams) -> Affine | None:
    """Read a 1x1 convolution with one group per channel."""
    weights = graph.tensor(node.inputs[1])
    channels = graph.tensor(node.inputs[0]).shape[-1]
    if not params.is_pointwise or not params.groups == channels == weights.shape[0]:
        return None
    addend = np.zeros(channels)
    if len(node.inputs) > 2:
        addend = graph.tensor(node.inputs[2]).value.astype(np.float64)
    factor = weights.value.reshape(-1).astype(np.float64)
    return Affine(node.inputs[0], factor, addend, params.clamp)


def _from_binary(graph: Graph, node: Node, clamp: Clamp) -> Affine | None:
    """Read a sum, difference or product with a constant that varies along the last axis only."""
    first, second = graph.node_inputs(node)
    constant, other = (first, second) if first.is_const else (second, first)
    if not constant.is_const or constant.size not in {1, other.shape[-1]}:
        return None
    if constant.size != constant.shape[-1] or graph.node_output(node).shape != other.shape:
        return None
    values = constant.value.reshape(-1).astype(np.float64)
    one, zero = np.ones_like(values), np.zeros_like(values)
    if node.op == "mul":
        factor, addend = values, zero
    elif node.op == "add":
        factor, addend = one, values
    elif constant is first:
        factor, addend = -one, values
    else:
        factor, addend = one, -values
    return Affine(other.name, factor, addend, clamp, is_scalar=constant.size == 1)


def _line(expr: Expr) -> tuple[float, float] | None:
    """Slope and intercept of a tree that is a straight line, else None."""
    head, *args = expr
    if head == "x":
        return 1.0, 0.0
    if head == "const":
        return 0.0, float(args[0])
    parts: list[Any] = [_line(arg) for arg in args]
    if any(part is None for part in parts):
        return None
    if head == "neg":
        return -parts[0][0], -parts[0][1]
    if head in {"add", "sub"}:
        sign = 1.0 if head == "add" else -1.0
        return parts[0][0] + sign * parts[1][0], parts[0][1] + sign * parts[1][1]
    if head == "mul" and 0.0 in {parts[0][0], parts[1][0]}:
        constant, line = sorted(parts, key=lambda part: part[0] != 0.0)
        return constant[1] * line[0], constant[1] * line[1]
    if head == "div" and parts[1][0] == 0.0 and parts[1][1] != 0.0:
        return parts[0][0] / parts[1][1], parts[0][1] / parts[1][1]
    return None
