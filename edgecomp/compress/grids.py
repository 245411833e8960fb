"""Which grid the weights of each layer get: int8 or int4, and with which scales."""

import fnmatch
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgecomp.compress.sensitivity import harm_of, probing_samples
from edgecomp.compress.technique import Workshop, chosen_weights
from edgecomp.compress.train.graph_module import linear_weights, weight_tensors, with_constants
from edgecomp.config import Quantize
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph, Node, QParams
from edgecomp.quant import calibrate
from edgecomp.quant.quantize import weight_qparams

MOST = {8: 127, 4: 7}
"""Largest code by bits; the smallest is its negative."""
CALIBRATION_SAMPLES = 256
SHRINKS = np.linspace(1.0, 0.5, 26)


def chosen_bits(graph: Graph, step: Quantize, workshop: Workshop) -> dict[str, int]:
    """Bits of the weights of every chosen layer, by the tensor's name.

    Raises:
        UserError: a glob chooses nothing, or the budget of bytes cannot be met.
    """
    layers = linear_weights(graph)
    kept = {
        name
        for name, layer in layers.items()
        if any(fnmatch.fnmatchcase(layer, p) for p in step.keep8)
    }
    for pattern in step.keep8:
        if not fnmatch.filter(layers.values(), pattern):
            raise UserError(
                f"quantize: keep8: no layer with weights is named {pattern!r}; there are "
                + ", ".join(layers.values())
            )
    names = chosen_weights(graph, step, layers)
    bits = {name: 8 if step.weights == "int8" or name in kept else 4 for name in names}
    if step.weights == "mixed" and step.bytes is not None:
        small = [name for name, count in bits.items() if count == 4]
        bits |= _within(graph, small, step.bytes, workshop)
    return bits


def _within(graph: Graph, names: list[str], budget: int, workshop: Workshop) -> dict[str, int]:
    """int4 where it harms least for what it saves, until all weights fit the budget."""
    total = sum(graph.tensors[name].size for name in weight_tensors(graph))
    least = total - sum(graph.tensors[name].size // 2 for name in names)
    if least > budget:
        raise UserError(
            f"quantize: the weights cannot fit {budget:,} bytes: with int4 wherever it is allowed "
            f"they take {least:,}, with int8 {total:,}; prune or cluster as well"
        )
    examples = probing_samples(workshop.split.train)
    before = harm_of(graph, examples)
    harms = {}
    for name in names:
        value = graph.tensors[name].value
        rounded = on_grid(value, best_scales(value, MOST[4]), MOST[4])
        harm = harm_of(with_constants(graph, {name: rounded}), examples) - before
        harms[name] = harm / (value.size / 2)
    bits = dict.fromkeys(names, 8)
    for name in sorted(names, key=lambda name: harms[name]):
        if total <= budget:
            break
        bits[name] = 4
        total -= graph.tensors[name].size // 2
    return bits


def few_inputs(workshop: Workshop) -> dict[str, Array]:
    """The training samples that calibrate."""
    inputs = workshop.split.train.inputs
    return {name: array[:CALIBRATION_SAMPLES] for name, array in inputs.items()}


def least_scales(graph: Graph, workshop: Workshop) -> dict[str, Array]:
    """The least scale that each output channel's multiplier and bias allow, by weights.

    Channels that weight decay has shrunk to nothing reach it: `edgecomp.quant.quantize`.
    """
    qparams = calibrate(graph, few_inputs(workshop))
    layers = linear_weights(graph).values()
    return {
        node.inputs[1]: least_scales_of(graph, node, qparams)
        for node in graph.nodes
        if node.name in layers
    }


def least_scales_of(graph: Graph, node: Node, qparams: Mapping[str, QParams]) -> Array:
    """`least_scales` of one layer, with the parameters of the activations."""
    weights, *bias = (graph.tensors[name] for name in node.inputs[1:])
    floor = weight_qparams(
        replace(weights, data=weights.value * 0),
        bias[0] if bias else None,
        qparams[node.inputs[0]],
        qparams[node.output],
    )
    return np.asarray(floor.scale)


def best_scales(value: Array, most: int) -> Array:
    """The scale of each output channel whose grid is nearest to its weights, float64.

    For int8 that reaches the largest weight; for int4 a smaller one may leave it out.
    """
    rows = value.reshape(len(value), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    whole = np.where(largest > 0, largest, 1.0) / most
    if most > MOST[4]:
        return np.asarray(whole)
    best, least = whole, np.full(len(rows), np.inf)
    for shrink in SHRINKS:
        scales = shrink * whole
        codes = np.clip(np.rint(rows / scales[:, None]), -most, most)
        error = np.square(rows - codes * scales[:, None]).sum(axis=1)
        best = np.where(error < least, scales, best)
        least = np.minimum(error, least)
    return np.asarray(best)


def on_grid(value: Array, scales: Array, most: int) -> Array:
    """The nearest values that the grids have, float32."""
    qparams = QParams.per_channel(scales, 0)
    return qparams.dequantize(qparams.quantize(value, -most, most)).astype(np.float32)
