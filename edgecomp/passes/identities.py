"""Removal of nodes that return their input, and of nodes that nobody reads."""

from dataclasses import replace

from edgecomp.ir import Graph, Node
from edgecomp.ops.movement import PadParams, ReshapeParams, TransposeParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.unary import UnaryParams


def drop_identities(graph: Graph) -> Graph:
    """Remove nodes whose output equals their input, in value, shape and scale.

    An output of the graph keeps its own tensor.
    """
    tensors = dict(graph.tensors)
    source: dict[str, str] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        node = replace(old, inputs=tuple(source.get(name, name) for name in old.inputs))
        x, y = tensors[node.inputs[0]], tensors[node.output]
        agree = y.qparams in {None, x.qparams} or x.qparams is None
        removable = agree and not x.is_const and node.output not in graph.outputs
        if removable and _returns_input(graph, node):
            source[node.output] = x.name
            tensors[x.name] = replace(x, qparams=x.qparams or y.qparams)
        else:
            nodes.append(node)
    return graph.with_nodes(nodes, tensors)


def _returns_input(graph: Graph, node: Node) -> bool:
    """Whether a node computes the identity."""
    x = graph.tensor(node.inputs[0])
    match node.params:
        case UnaryParams():
            return node.params.is_identity
        case ReshapeParams():
            return node.params.shape == x.shape
        case TransposeParams():
            return node.params.perm == tuple(range(len(x.shape)))
        case PadParams():
            return not any(node.params.before + node.params.after)
        case MaxPoolParams():
            return node.params.is_pointwise
        case AveragePoolParams():
            return node.params.is_pointwise and node.params.clamp.is_none
    return node.op == "concat" and len(node.inputs) == 1


def drop_dead(graph: Graph) -> Graph:
    """Remove nodes that no output and no state depends on; the inputs stay."""
    needed = {*graph.outputs, *(state.update for state in graph.states)}
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            nodes.append(node)
            needed.update(node.inputs)
    return graph.with_nodes(reversed(nodes), graph.tensors)
