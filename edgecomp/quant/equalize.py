"""Cross-layer equalization: neighbouring layers share out the ranges of the channels between them.

Under ReLU, dividing a channel of one layer's output by a positive number and multiplying the
weights that read it changes nothing but how far the channels of a tensor lie apart, and they have
one scale.  Sources: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction" (ICCV 2019), section 4.1; G. Xiao et al., "SmoothQuant" (ICML 2023), for measured ranges
of activations in place of weights, whose own scales are per channel here.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edgecomp.ir import Array, Graph, Node, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.quant.observe import observe_channels

LARGEST_FACTOR = 32.0


def equalize(graph: Graph, inputs: Mapping[str, Array]) -> tuple[Graph, tuple[str, ...]]:
    """Balance the channels between pairs of linear layers.

    Args:
        graph: a float graph.
        inputs: for each graph input the samples, `(samples, *shape)` float32.

    Returns:
        A graph that computes the same function, up to float rounding, and the names of the first
        layers of the pairs that were balanced.  Layers with parameters from a model file stay as
        they are.
    """
    pairs = list(_pairs(graph))
    if not pairs:
        return graph, ()
    largest = observe_channels(graph, inputs, [first.output for first, _ in pairs])
    tensors = dict(graph.tensors)
    for first, second in pairs:
        weights = tensors[second.inputs[1]]
        factor = balancing_factors(largest[first.output], _input_ranges(second, weights))
        _divide_outputs(tensors, first, factor)
        tensors[weights.name] = _multiply_inputs(second, weights, factor)
    return graph.replace(tensors=tensors), tuple(first.name for first, _ in pairs)


def balancing_factors(outputs: Array, weights: Array | None) -> Array:
    """By how much each channel between two layers is divided.

    Args:
        outputs: largest absolute value of each channel.
        weights: largest absolute weight that reads each channel; None where every channel's
            weights have a scale of their own (depthwise), so that only the outputs matter.

    Returns:
        One positive float64 per channel, 1 for channels that are dead on either side.
    """
    factor = outputs.astype(np.float64)
    alive = factor > 0
    if weights is not None:
        alive &= weights > 0
        factor = np.sqrt(factor / np.where(alive, weights, 1.0))
    if not alive.any():
        return np.ones(len(outputs))
    # The largest channels keep their size: what matters is how far the others lie below.
    factor = factor / factor[alive].max()
    return np.where(alive, np.clip(factor, 1 / LARGEST_FACTOR, 1.0), 1.0)


def _pairs(graph: Graph) -> Sequence[tuple[Node, Node]]:
    """Linear layers of which the second is the only reader of the first, with ReLU between."""
    producers, consumers = graph.producers(), graph.consumers()
    pairs = []
    for second in graph.nodes:
        first = producers.get(second.inputs[0])
        if first is None or not (_is_free(graph, first) and _is_free(graph, second)):
            continue
        passes_through = first.output not in graph.outputs and consumers[first.output] == [second]
        given = graph.tensors[first.output].qparams is not None
        if (
            passes_through
            and not given
            and _is_homogeneous(first)
            and _reads_plainly(graph, second)
        ):
            pairs.append((first, second))
    return pairs


def _is_free(graph: Graph, node: Node) -> bool:
    """Whether a linear layer's constants are its own and not bound to given scales."""
    if node.op not in LINEAR:
        return False
    consumers = graph.consumers()
    return all(
        graph.tensors[name].qparams is None and len(consumers[name]) == 1
        for name in node.inputs[1:]
    )


def _is_homogeneous(node: Node) -> bool:
    """Whether the fused activation commutes with positive factors."""
    assert isinstance(node.params, Conv2dParams | DenseParams)
    clamp = node.params.clamp
    return clamp.high == math.inf and clamp.low in {0.0, -math.inf}


def _is_depthwise(node: Node, weights: Tensor) -> bool:
    return isinstance(node.params, Conv2dParams) and node.params.groups > 1 == weights.shape[3]


def _reads_plainly(graph: Graph, node: Node) -> bool:
    """Whether each input channel is read by the last axis of the weights, or depthwise."""
    grouped = isinstance(node.params, Conv2dParams) and node.params.groups > 1
    return not grouped or _is_depthwise(node, graph.tensors[node.inputs[1]])


def _input_ranges(node: Node, weights: Tensor) -> Array | None:
    """Largest absolute weight per input channel; None for depthwise layers."""
    if _is_depthwise(node, weights):
        return None
    return np.asarray(np.abs(weights.value).reshape(-1, weights.shape[-1]).max(axis=0))


def _divide_outputs(tensors: dict[str, Tensor], node: Node, factor: Array) -> None:
    """Divide a layer's weights and bias by its output channels' factors."""
    for name in node.inputs[1:]:
        tensor = tensors[name]
        shaped = factor.reshape(-1, *(1,) * (len(tensor.shape) - 1))
        tensors[name] = tensor.with_data((tensor.value / shaped).astype(np.float32))


def _multiply_inputs(node: Node, weights: Tensor, factor: Array) -> Tensor:
    """Multiply the weights that read each channel."""
    if _is_depthwise(node, weights):
        repeated = np.repeat(factor, weights.shape[0] // len(factor)).reshape(-1, 1, 1, 1)
        return weights.with_data((weights.value * repeated).astype(np.float32))
    return weights.with_data((weights.value * factor).astype(np.float32))
