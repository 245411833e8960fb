"""How much each filter matters: norms, distances, spreads, gradients.

Sources: H. Li et al., "Pruning filters for efficient ConvNets" (2017); P. Molchanov et al.,
"Importance estimation for neural network pruning" (2019), for `taylor`; Y. He et al., "Filter
pruning via geometric median" (2019), for `fpgm`; Z. Liu et al., "Network slimming" (2017), for
`bn`: after BatchNorm is folded, the factor of a channel is the spread of its values.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from edgecomp.compress.train.examples import Examples
from edgecomp.compress.train.graph_module import as_module, import_torch, trainable_tensors
from edgecomp.compress.train.scoring import loss_of
from edgecomp.compress.train.torch_ops import TORCH_OPS
from edgecomp.ir import NO_CLAMP, Array, Graph
from edgecomp.passes.channel_classes import is_depthwise, is_mixing

SAMPLES = 512
BATCH = 64


def filter_importance(
    graph: Graph, criterion: str, examples: Examples | None = None
) -> dict[str, Array]:
    """Importance of each output channel of every layer whose channels may be removed, by layer.

    Args:
        graph: a float graph.
        criterion: `l1`, `l2`, `fpgm`, `bn` or `taylor`.
        examples: training samples, of which the last two criteria look at the first 512.
    """
    makers = {
        node.name: node
        for node in graph.nodes
        if is_mixing(graph, node) or is_depthwise(graph, node)
    }
    if criterion in {"taylor", "bn"}:
        assert examples is not None
        few = examples.take(np.arange(min(SAMPLES, len(examples))))
        if criterion == "taylor":
            return _taylor(graph, {node.name: node.inputs[1] for node in makers.values()}, few)
        return _spreads(graph, {node.name: node.output for node in makers.values()}, few)
    found = {}
    for name, node in makers.items():
        weights = graph.tensors[node.inputs[1]].value.astype(np.float64)
        filters = weights.reshape(len(weights), -1)
        if criterion == "l1":
            value = np.abs(filters).sum(axis=1)
        elif criterion == "fpgm":
            squares = np.square(filters).sum(axis=1)
            gaps = squares[:, None] + squares[None, :] - 2 * filters @ filters.T
            value = np.sqrt(np.maximum(gaps, 0)).sum(axis=1)
        else:
            value = np.sqrt(np.square(filters).sum(axis=1))
        found[name] = value / (value.mean() or 1.0)
    return found


def _spreads(graph: Graph, outputs: dict[str, str], examples: Examples) -> dict[str, Array]:
    """Standard deviation of each channel before the layer's activation, relative to the layer's."""
    torch = import_torch()
    values: dict[str, Any] = {
        name: torch.tensor(tensor.value)
        for name, tensor in graph.tensors.items()
        if tensor.is_const
    }
    values |= {name: torch.tensor(examples.inputs[name]) for name in graph.inputs}
    found = {}
    for node in graph.nodes:
        arrays = [values[name] for name in node.inputs]
        values[node.output] = TORCH_OPS[node.op](graph, node, arrays)
        if node.name in outputs:
            params: Any = node.params
            plain = replace(node, params=replace(params, clamp=NO_CLAMP))
            y = TORCH_OPS[node.op](graph, plain, arrays)
            spread = y.reshape(-1, y.shape[-1]).std(dim=0).numpy().astype(np.float64)
            found[node.name] = spread / (spread.mean() or 1.0)
    return found


def _taylor(graph: Graph, weights: dict[str, str], examples: Examples) -> dict[str, Array]:
    """Square of what the loss would change by without a filter, to first order, summed up."""
    torch = import_torch()
    module: Any = as_module(graph)
    sources = dict(zip(trainable_tensors(graph), module.sources, strict=True))
    found = {layer: np.zeros(graph.tensors[name].shape[0]) for layer, name in weights.items()}
    for start in range(0, len(examples), BATCH):
        part = examples.take(np.arange(start, min(start + BATCH, len(examples))))
        inputs = [torch.tensor(part.inputs[name]) for name in graph.inputs]
        module.zero_grad()
        targets = torch.tensor(part.targets)
        loss_of(graph, module, inputs, targets, part.are_labels).backward()  # type: ignore[no-untyped-call]
        for layer, name in weights.items():
            weight = sources[name].weight
            change = (weight.grad * weight).detach().numpy().astype(np.float64)
            found[layer] += np.square(change.reshape(len(change), -1).sum(axis=1))
    # Layers of many channels have little in each: compared as they are, they would lose them all.
    return {layer: value / (value.mean() or 1.0) for layer, value in found.items()}
