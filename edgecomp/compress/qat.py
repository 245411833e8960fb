"""Quantization-aware training: the network is trained in the integers that it will run in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgecomp.compress.grids import MOST, best_scales, few_inputs, least_scales_of
from edgecomp.compress.technique import Outcome, Workshop
from edgecomp.compress.train.fake_quant import (
    fake_activation,
    fake_bias,
    fake_weights,
    learned_qparams,
)
from edgecomp.compress.train.graph_module import as_module, constants_of, linear_weights
from edgecomp.config import Quantize
from edgecomp.ir import Array, Graph
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.quant import calibrate, insert_rescales
from edgecomp.quant.sharing import share_groups


def train_in_integers(
    graph: Graph,
    bits: Mapping[str, int],
    scales: Mapping[str, Array],
    step: Quantize,
    workshop: Workshop,
) -> Outcome:
    """Train with every tensor on its integer grid; all grids are pinned in the result.

    Args:
        graph: a float graph.
        bits: of weights, by name; weights that are not named are int8.
        scales: of the named weights' output channels, to begin with.
        step: how to train.
        workshop: what with.
    """
    ready = insert_rescales(graph)
    module, activations, weights = integer_module(ready, bits, scales, workshop)
    result = workshop.train(ready, module, step)
    values = constants_of(ready, module)
    tensors = dict(ready.tensors)
    for name, fake in activations.items():
        tensors[name] = replace(tensors[name], qparams=learned_qparams(fake))
    for name, value in values.items():
        if name in weights:
            qparams = learned_qparams(weights[name])
            exact = qparams.dequantize(qparams.quantize(value)).astype(np.float32)
            tensors[name] = replace(tensors[name].with_data(exact), qparams=qparams)
        else:
            tensors[name] = tensors[name].with_data(value)
    return Outcome(ready.replace(tensors=tensors), result.score, result.diverged)


def integer_module(
    graph: Graph,
    bits: Mapping[str, int],
    scales: Mapping[str, Array],
    workshop: Workshop,
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The graph as a module that computes in integers.

    Returns:
        The module, and its pieces for activations and for weights, by tensor.
    """
    qparams = calibrate(graph, few_inputs(workshop))
    activations: dict[str, Any] = {}
    for group in share_groups(graph):
        # What a layer's meaning fixes (a softmax, say) is not learned.
        computed = [node for node in graph.nodes if node.output in group.sources]
        fixed = any(OPS[node.op].name == "softmax" or node.op == "unary" for node in computed)
        fake = fake_activation(qparams[group.members[0]], learned=not fixed)
        activations.update(dict.fromkeys(group.members, fake))
    weights: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    readers = graph.consumers()
    layers = linear_weights(graph)
    for node in graph.nodes:
        if node.op not in LINEAR or node.inputs[1] in weights:
            continue
        name, *bias = node.inputs[1:]
        most = MOST[bits.get(name, 8)]
        tensor = graph.tensors[name]
        own = scales[name] if name in scales else best_scales(tensor.value, most)
        own = np.maximum(own, least_scales_of(graph, node, qparams))
        fake = fake_weights(tensor.value, tensor.value != 0, own, most)
        weights[name] = sources[name] = fake
        if bias and len(readers[bias[0]]) == 1:
            value = graph.tensors[bias[0]].value
            sources[bias[0]] = fake_bias(value, fake, activations[node.inputs[0]])
    assert set(weights) == set(layers)
    return as_module(graph, sources, after=activations), activations, weights
