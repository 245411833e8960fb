"""A float graph in the layers that TFLite has, for `--numerics tflite`."""

from dataclasses import replace

from edgecomp.ir import Graph, Node, Tensor
from edgecomp.ops.movement import PadParams
from edgecomp.ops.pool import AveragePoolParams


def as_tflite(graph: Graph) -> Graph:
    """Give every layer the numerics `tflite`, and take apart what TFLite has only in parts.

    Args:
        graph: a float graph, optimized by the passes.

    Returns:
        The same network.  An average that counts its padding has the padding in a layer of its own.
    """
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for given in graph.nodes:
        node = replace(given, numerics="tflite")
        params = node.params
        if isinstance(params, AveragePoolParams) and _counts_padding(params):
            nodes += _split_padding(node, params, tensors)
        else:
            nodes.append(node)
    return graph.with_nodes(nodes, tensors)


def _counts_padding(params: AveragePoolParams) -> bool:
    return params.count_include_pad and params.has_padding


def _split_padding(
    node: Node, params: AveragePoolParams, tensors: dict[str, Tensor]
) -> tuple[Node, Node]:
    x = tensors[node.inputs[0]]
    sides = {
        4: ((0, params.pad_top, params.pad_left, 0), (0, params.pad_bottom, params.pad_right, 0)),
        3: ((0, params.pad_left, 0), (0, params.pad_right, 0)),
    }
    before, after = sides[len(x.shape)]
    border = PadParams(before, after)
    name = f"{node.output}.padded"
    while name in tensors:
        name += "_"
    shape = tuple(n + a + b for n, a, b in zip(x.shape, before, after, strict=True))
    tensors[name] = Tensor(name, shape, layout=x.layout)
    without = replace(
        params, pad_top=0, pad_bottom=0, pad_left=0, pad_right=0, count_include_pad=False
    )
    pad = Node(name, "pad", (x.name,), name, border, "tflite")
    return pad, replace(node, inputs=(name, *node.inputs[1:]), params=without)
