"""Inputs that choose rows of tables: int16 codes where int8 ones cannot tell all rows apart."""

from edgecomp.ir import Graph, QParams
from edgecomp.ops.embedding import MOST

WIDE_INDEX_QPARAMS = QParams((1.0,), is_wide=True)
"""Codes are the indices themselves, up to 32,767."""
_MOVEMENTS = frozenset({"reshape", "transpose", "gather", "concat"})
"""Operators behind which indices are still the same numbers."""


def wide_indices(graph: Graph) -> frozenset[str]:
    """Tensors that have int16 codes in a network of int8 ones: inputs, and what is moved of them.

    All inputs of the network must be indices then, as the C interface has one type for them.
    """
    readers = [node for node in graph.nodes if node.op == "embedding"]
    if all(graph.tensors[node.inputs[1]].shape[0] <= MOST for node in readers):
        return frozenset()
    producers = graph.producers()
    found: set[str] = set()
    left = [node.inputs[0] for node in readers]
    while left:
        name = left.pop()
        maker = producers.get(name)
        if name in found or (maker is None and name in graph.inputs):
            found.add(name)
        elif maker is not None and maker.op in _MOVEMENTS:
            found.add(name)
            left += maker.inputs
        else:
            return frozenset()
    others = [
        node
        for node in graph.nodes
        if found.intersection(node.inputs) and node.op != "embedding" and node.output not in found
    ]
    whole = found.issuperset(graph.inputs) and not found.intersection(graph.outputs)
    return frozenset(found) if whole and not others else frozenset()
