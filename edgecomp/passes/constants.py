"""Constant folding: a node that reads constants only is a constant."""

from dataclasses import replace

from edgecomp.ir import Graph, Node
from edgecomp.ops import OPS


def fold_constants(graph: Graph) -> Graph:
    """Compute every node of constants; graph outputs stay computed."""
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = [tensors[name] for name in node.inputs]
        if node.output in graph.outputs or not all(tensor.is_const for tensor in inputs):
            nodes.append(node)
            continue
        # Only the first input of a layer carries samples; operands of the others may have to.
        arrays = [
            tensor.value[None] if index == 0 or node.op in _ALL_SAMPLES else tensor.value
            for index, tensor in enumerate(inputs)
        ]
        data = OPS[node.op].float_ref(node.params, inputs, arrays)[0]
        folded = data.astype(inputs[0].value.dtype)
        tensors[node.output] = replace(tensors[node.output], data=folded)
    return graph.with_nodes(nodes, tensors)


_ALL_SAMPLES = frozenset(
    {"add", "sub", "mul", "div", "maximum", "minimum", "compare", "where", "matmul", "concat"}
)
