"""Constants: a node that reads nothing else is one; a network that is nothing else is none."""

from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph, Node
from edgecomp.ops import OPS


def refuse_constant(graph: Graph) -> Graph:
    """Return the graph as it is.

    Raises:
        UserError: no output of its file depends on the inputs.
    """
    if graph.constant_outputs and not graph.outputs:
        names = ", ".join(repr(name) for name in graph.constant_outputs)
        raise UserError(
            f"no output depends on the inputs: {names} is the same for all of them\n"
            "  there is nothing to compute; give the network another output"
        )
    return graph


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
