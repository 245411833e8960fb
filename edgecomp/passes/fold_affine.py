"""BatchNorm and other factors and addends per channel disappear in the layer beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ir import Graph, Node, Tensor
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.affine import Affine, Float64, as_affine
from edgecomp.passes.edit import clamp_of, sole_reader, unused_name, with_changes, with_clamp

LINEAR = (Conv2dParams, DenseParams)
MAX_RANK = 4


def fold_affine(graph: Graph) -> Graph:
    """Fold affine layers into the convolution or dense layer before or after them.

    Two that follow each other become one.  Into the layer before also where whole pixels are moved
    in between; into the layer after only where its padding adds nothing: there the border is 0
    before the affine map, and must be 0 after it.  Nothing is folded across a tensor with qparams,
    nor into quantized weights: their layer takes addends only.
    """
    while True:
        folded = _fold_one(graph)
        if folded is None:
            return graph
        graph = folded


def _fold_one(graph: Graph) -> Graph | None:
    """Fold the first affine layer that can be, or return None."""
    producers, consumers = graph.producers(), graph.consumers()
    for node in graph.nodes:
        affine = as_affine(graph, node)
        if affine is None or _is_identity_of_scale(node):
            continue
        maker, moved = _maker(graph, producers, consumers, affine.source)
        if maker is not None:
            folded = _into_maker(graph, maker, moved, node, affine)
            if folded is not None:
                return folded
        reader = sole_reader(graph, consumers, node.output)
        if reader is not None and graph.node_output(node).qparams is None:
            folded = _into_reader(graph, node, reader, affine)
            if folded is not None:
                return folded
    return None


def _maker(
    graph: Graph,
    producers: Mapping[str, Node],
    consumers: Mapping[str, list[Node]],
    name: str,
) -> tuple[Node | None, list[Node]]:
    """What computes a tensor for one reader, and what moves whole pixels of it, the last first."""
    moved: list[Node] = []
    while True:
        maker = producers.get(name)
        alone = sole_reader(graph, consumers, name) is not None
        if maker is None or not alone or graph.tensor(name).qparams is not None:
            return None, []
        if not _moves_pixels(graph, maker):
            return maker, moved
        moved.append(maker)
        name = maker.inputs[0]


def _moves_pixels(graph: Graph, node: Node) -> bool:
    """Whether a layer leaves the channels, which are last, as they are."""
    if isinstance(node.params, GatherParams):
        return node.params.indices[-1] is None
    channels = graph.node_output(node).shape[-1:]
    return node.op == "reshape" and graph.tensor(node.inputs[0]).shape[-1:] == channels


def _is_identity_of_scale(node: Node) -> bool:
    """Whether the node only changes the scale of codes."""
    return isinstance(node.params, UnaryParams) and node.params.is_identity


def _constants(graph: Graph, node: Node) -> tuple[Tensor, Float64, Float64] | None:
    """Weights tensor, weights and bias (float64) of a linear layer that is not quantized."""
    tensors = graph.node_inputs(node)[1:]
    if not isinstance(node.params, LINEAR) or any(
        not t.is_const or t.qparams is not None for t in tensors
    ):
        return None
    weights = tensors[0].value.astype(np.float64)
    bias = tensors[1].value.astype(np.float64) if len(tensors) > 1 else np.zeros(len(weights))
    return tensors[0], weights, bias


def _rebuilt(
    graph: Graph, node: Node, weights: Float64, bias: Float64
) -> tuple[tuple[str, ...], list[Tensor]]:
    """New constants of a linear layer, and its inputs."""
    old = graph.tensor(node.inputs[1])
    weights_name = unused_name(graph, f"{node.name}.weights.folded")
    bias_name = unused_name(graph, f"{node.name}.bias.folded")
    tensors = [
        old.with_data(weights.astype(np.float32), name=weights_name),
        Tensor(bias_name, bias.shape, data=bias.astype(np.float32), layout="O"),
    ]
    return (node.inputs[0], weights_name, bias_name), tensors


def _into_maker(
    graph: Graph, maker: Node, moved: Sequence[Node], node: Node, affine: Affine
) -> Graph | None:
    """Scale the outputs of the layer before, or of that before what moves its pixels."""
    clamp = clamp_of(maker.params)
    parts = _constants(graph, maker)
    if clamp is None or not clamp.is_none:
        return None
    if parts is None and moved:
        return None
    if parts is None:
        return _biased(graph, maker, node, affine) or _merged(graph, maker, node, affine)
    _, weights, bias = parts
    factor = affine.factor.reshape(-1, *(1,) * (weights.ndim - 1))
    inputs, tensors = _rebuilt(graph, maker, weights * factor, bias * affine.factor + affine.addend)
    changes: dict[str, Node | None] = {node.output: None}
    if moved:
        changes[moved[0].output] = replace(moved[0], output=node.output)
    output = maker.output if moved else node.output
    changes[maker.output] = with_clamp(maker, affine.clamp, inputs=inputs, output=output)
    return with_changes(graph, changes, tensors)


def _biased(graph: Graph, maker: Node, node: Node, affine: Affine) -> Graph | None:
    """Add to the bias of a layer whose weights are quantized."""
    bias = [graph.tensor(name) for name in maker.inputs[2:]]
    plain = all(tensor.is_const and tensor.qparams is None for tensor in bias)
    if not isinstance(maker.params, LINEAR) or not plain or (affine.factor != 1).any():
        return None
    channels = graph.node_output(maker).shape[-1]
    total = np.broadcast_to(affine.addend, (channels,)) + (bias[0].value if bias else 0.0)
    name = unused_name(graph, f"{maker.name}.bias.folded")
    tensor = Tensor(name, total.shape, data=total.astype(np.float32), layout="O")
    inputs = (*maker.inputs[:2], name)
    made = with_clamp(maker, affine.clamp, inputs=inputs, output=node.output)
    return with_changes(graph, {maker.output: made, node.output: None}, [tensor])


def _merged(graph: Graph, maker: Node, node: Node, affine: Affine) -> Graph | None:
    """Turn two affine layers into one: a depthwise 1x1 convolution."""
    before = as_affine(graph, maker)
    shape = graph.node_output(node).shape
    batch_is_one = math.prod(shape[:1]) == 1 and 1 < len(shape) <= MAX_RANK
    if before is None or not batch_is_one or (before.is_scalar and affine.is_scalar):
        return None
    channels = shape[-1]
    factor = np.broadcast_to(before.factor * affine.factor, (channels,))
    addend = np.broadcast_to(before.addend * affine.factor + affine.addend, (channels,))
    params = Conv2dParams(kernel_h=1, kernel_w=1, groups=channels, clamp=affine.clamp)
    names = [unused_name(graph, f"{node.name}.{part}") for part in ("weights", "bias")]
    weights = factor.astype(np.float32).reshape(channels, 1, 1, 1)
    tensors = [
        Tensor(names[0], weights.shape, data=weights, layout="OHWI"),
        Tensor(names[1], (channels,), data=addend.astype(np.float32), layout="O"),
    ]
    made = Node(node.name, "conv2d", (before.source, *names), node.output, params)
    return with_changes(graph, {maker.output: None, node.output: made}, tensors)


def _into_reader(graph: Graph, node: Node, reader: Node, affine: Affine) -> Graph | None:
    """Scale the inputs of the layer after."""
    parts = _constants(graph, reader)
    if parts is None or not affine.clamp.is_none or reader.inputs[0] != node.output:
        return None
    params = reader.params
    if isinstance(params, Conv2dParams) and params.has_padding and affine.addend.any():
        return None
    _, weights, bias = parts
    channels = graph.node_output(node).shape[-1]
    factor = np.broadcast_to(affine.factor, (channels,))
    addend = np.broadcast_to(affine.addend, (channels,))
    groups = params.groups if isinstance(params, Conv2dParams) else 1
    # Row o of these belongs to the group of output channel o.
    per_group = (groups, *(1,) * (weights.ndim - 2), channels // groups)
    repeat = weights.shape[0] // groups
    factors = np.repeat(factor.reshape(per_group), repeat, axis=0)
    addends = np.repeat(addend.reshape(per_group), repeat, axis=0)
    added = (weights * addends).reshape(weights.shape[0], -1).sum(axis=1)
    inputs, tensors = _rebuilt(graph, reader, weights * factors, bias + added)
    made = replace(reader, inputs=(affine.source, *inputs[1:]))
    return with_changes(graph, {node.output: None, reader.output: made}, tensors)
