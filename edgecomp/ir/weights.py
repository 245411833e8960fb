"""Which inputs of a layer are weights, which flash may hold in several ways."""

from collections.abc import Mapping
from types import MappingProxyType

from edgecomp.ir.graph import Graph
from edgecomp.ir.types import Node

LINEAR = frozenset({"conv2d", "dense"})
"""Operators with one tensor of weights, channels first."""
WEIGHTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys((*sorted(LINEAR), "embedding"), (1,)),
        **dict.fromkeys(("lstm", "gru", "rnn"), (1, 2)),
    }
)
"""Inputs that are weights, by operator; several of a layer are stored and decoded together."""


def weights_of(graph: Graph, node: Node) -> tuple[str, ...]:
    """Names of a layer's constant weights, in the order of its inputs; none for most operators."""
    names = [node.inputs[i] for i in WEIGHTS.get(node.op, ()) if i < len(node.inputs)]
    return tuple(name for name in names if graph.tensors[name].is_const)
