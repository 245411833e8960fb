"""ReLU, ReLU6 and other clamps become part of the layer before them."""

from dataclasses import replace

from edgecomp.ir import Clamp, Graph, Node
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.edit import clamp_of, sole_reader, with_changes, with_clamp

COMMUTES = frozenset({"max_pool", "reshape", "transpose", "gather"})
"""Layers that a clamp may be moved in front of: the maximum of clamped values is the clamped
maximum."""


def fuse_clamp(graph: Graph) -> Graph:
    """Fuse clamps into the layer that makes their input, if nobody else reads it.

    A clamp after max pools and movements moves in front of them.  Nothing is fused across a tensor
    that has qparams of its own, other than those of the clamp's output.
    """
    for node in graph.nodes:
        if isinstance(node.params, UnaryParams) and node.params.as_clamp is not None:
            graph = _fused(graph, node, node.params.as_clamp)
    return graph


def _fused(graph: Graph, node: Node, clamp: Clamp) -> Graph:
    """Fuse one clamp, if possible."""
    producers, consumers = graph.producers(), graph.consumers()
    qparams = graph.node_output(node).qparams
    between: list[Node] = []
    name = node.inputs[0]
    while True:
        maker = producers.get(name)
        if maker is None or sole_reader(graph, consumers, name) is None:
            return graph
        if graph.tensor(name).qparams not in {None, qparams}:
            return graph
        fused = clamp_of(maker.params)
        if fused is not None:
            break
        if maker.op not in COMMUTES:
            return graph
        between.append(maker)
        name = maker.inputs[0]
    # The clamp's output takes the place of its input; what lies between keeps its own tensors.
    clamped = with_clamp(maker, fused.intersect(clamp))
    changes: dict[str, Node | None] = {node.output: None, maker.output: clamped}
    last = between[0] if between else clamped
    changes[last.output] = replace(last, output=node.output)
    moved = [replace(graph.tensor(made.output), qparams=qparams) for made in (maker, *between)]
    return with_changes(graph, changes, moved if between else ())
