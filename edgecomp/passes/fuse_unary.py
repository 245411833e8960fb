"""Chains of element-wise functions of one tensor become one function: one table on the device.

Decomposed activations, such as `x * sigmoid(x)` or GELU by Erf, are found this way too.
"""

from collections.abc import Mapping
from dataclasses import replace

from edgecomp.ir import Graph, Node
from edgecomp.ops.expression import Expr, X, call, complexity, substitute
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.edit import clamp_of, sole_reader, with_changes
from edgecomp.passes.identities import drop_dead

_FUNCTIONS: Mapping[str, str] = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "maximum": "max", "minimum": "min",
}  # fmt: skip
"""Operators of two operands, and the function of real numbers that each computes."""
MOST_CALLS = 100
"""Functions in one: a value that is used twice is written twice, so that trees could explode."""


def fuse_unary(graph: Graph) -> Graph:
    """Merge functions of functions, and sums and products of functions of the same tensor.

    Nothing is merged across a tensor with qparams: its rounding is part of the network.
    """
    while True:
        fused = _once(graph)
        if fused.nodes == graph.nodes:
            return graph
        # A merged pair can leave its source with one reader only: look again.
        graph = fused


def _once(graph: Graph) -> Graph:
    """Try every element-wise node."""
    for node in graph.nodes:
        current = graph.producers().get(node.output)
        if current is None:
            continue
        if isinstance(current.params, UnaryParams):
            graph = _merged(graph, current, current.params.expr)
        elif current.op in _FUNCTIONS:
            graph = _combined(graph, current)
    return drop_dead(graph)


def _merged(graph: Graph, node: Node, expr: Expr) -> Graph:
    """Merge a function with the one that makes its input."""
    source, inner = _origin(graph, node.inputs[0])
    if inner == X:
        return graph
    return _as_function(graph, node, source, substitute(expr, inner))


def _combined(graph: Graph, node: Node) -> Graph:
    """Turn `f(x) op g(x)` into one function of x."""
    clamp = clamp_of(node.params)
    if clamp is None or any(graph.tensor(name).is_const for name in node.inputs):
        return graph
    (left, first), (right, second) = (_origin(graph, name) for name in node.inputs)
    # One of the two may itself be the tensor that the other is a function of.
    if left != right and right == node.inputs[0]:
        left, first = right, X
    elif left != right and left == node.inputs[1]:
        right, second = left, X
    if left != right:
        return graph
    expr = call(_FUNCTIONS[node.op], first, second)
    if not clamp.is_none:
        expr = call("clip", expr, clamp.low, clamp.high)
    return _as_function(graph, node, left, expr)


def _as_function(graph: Graph, node: Node, source: str, expr: Expr) -> Graph:
    if complexity(expr) > MOST_CALLS:
        return graph
    made = replace(node, op="unary", inputs=(source,), params=UnaryParams(expr))
    return drop_dead(with_changes(graph, {node.output: made}))


def _origin(graph: Graph, name: str) -> tuple[str, Expr]:
    """What a tensor is a function of, if that function has no other reader."""
    maker = graph.producers().get(name)
    own = graph.tensor(name).qparams is not None
    if maker is None or own or sole_reader(graph, graph.consumers(), name) is None:
        return name, X
    if isinstance(maker.params, UnaryParams):
        return maker.inputs[0], maker.params.expr
    return name, X
