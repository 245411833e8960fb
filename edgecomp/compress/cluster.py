"""Let weights share a few values: k-means per layer, or per group of its output channels.

The values lie on the layer's own integer grid.  Weights that an earlier step put on one (int4, say)
keep it; for others it is int8, with one scale for the whole tensor or for each output channel.  The
tensor carries it from then on: quantization keeps it, so that the shared values are as many codes.
Source: S. Han et al., "Deep Compression" (2016), with their linear initialization.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgecomp.compress.grids import best_scales, least_scales
from edgecomp.compress.storing import allow_also, weight_codes
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import (
    as_module,
    constants_of,
    weight_tensors,
    with_constants,
)
from edgecomp.compress.train.sources import keeping_zeros, shared
from edgecomp.config import Cluster
from edgecomp.ir import Array, Graph, QParams, Tensor
from edgecomp.passes.channel_classes import is_depthwise
from edgecomp.storage.codebook import channels_per_table

ROUNDS = 60
FEW = 16
"""Different values of which the best clusters are found."""
MOST_INDEXED = 64
"""Clusters that indices of a codebook tell apart."""


@dataclass(frozen=True)
class Shared:
    """Weights that share values.

    Attributes:
        codebook: codes, float64; entry 0 is 0, for pruned weights.
        indices: entry of each weight.
    """

    codebook: Array
    indices: Array


def cluster_step(graph: Graph, step: Cluster, workshop: Workshop) -> Outcome:
    """Give the weights of each chosen layer `step.clusters` values, and fine-tune these.

    With groups, each group of output channels has values of its own; depthwise layers have one.
    Where a layer has weights that are 0, 0 is one of the values and these weights keep it.  Other
    layers whose weights lie on a grid go on to share the values that they have.
    """
    names = chosen_weights(graph, step)
    least = least_scales(graph, workshop) if step.scales == "channel" else {}
    grids = {name: _grid(graph.tensors[name], least.get(name)) for name in names}
    sizes = {name: _group_size(graph, name, step.groups) for name in names}
    found = {}
    for name, (scales, most) in grids.items():
        units = _without_nothing(graph.tensors[name].value / scales)
        found[name] = share_in_groups(units, step.clusters, most, sizes[name])
    for name in weight_tensors(graph):
        if name not in grids and graph.tensors[name].qparams is not None:
            grids[name] = _grid(graph.tensors[name], None)
            found[name] = _as_they_are(weight_codes(graph.tensors[name]))
    sources = {
        name: shared(shares.codebook, shares.indices, grids[name][0])
        for name, shares in found.items()
    }
    module = as_module(graph, {**keeping_zeros(graph), **sources})
    result = workshop.train(graph, module, step)
    values = constants_of(graph, module)
    clustered = with_constants(graph, values)
    tensors = dict(clustered.tensors)
    for name, (scales, _) in grids.items():
        qparams = graph.tensors[name].qparams or _qparams(scales)
        exact = qparams.dequantize(qparams.quantize(values[name])).astype(np.float32)
        tensors[name] = replace(tensors[name].with_data(exact), qparams=qparams)
    most = max(_most_values(weight_codes(tensors[name]), sizes[name]) for name in names)
    each = "each" if step.groups == 1 else f"in each of up to {step.groups} groups of channels"
    note = f"{len(names)} layers with at most {most} values {each}"
    made = clustered.replace(tensors=tensors)
    if step.clusters <= MOST_INDEXED:
        made = allow_also(made, names, "codebook")
    return Outcome(made, result.score, result.diverged, note)


def share(units: Array, count: int, most: int = 127) -> Shared:
    """Choose at most `count` whole numbers for `units` by k-means.

    Args:
        units: weights in units of their grid.
        count: of values; 0 is one of them where a weight is 0.
        most: largest magnitude.
    """
    flat = units.ravel().astype(np.float64)
    pruned = flat == 0
    # Without zeros, entry 0 of the codebook is there but no weight has it.
    centers = _centers(flat[~pruned], count - int(pruned.any()))
    codebook = np.concatenate([[0.0], np.unique(np.clip(np.rint(centers), -most, most))])
    nearest = np.searchsorted((codebook[1:-1] + codebook[2:]) / 2, flat) + 1
    indices = np.where(pruned, 0, nearest).reshape(units.shape)
    return Shared(codebook, indices)


def share_in_groups(units: Array, count: int, most: int, channels: int) -> Shared:
    """Choose values by `share` for every `channels` output channels (the first axis)."""
    codebook, indices = [np.zeros(1)], []
    for first in range(0, len(units), channels):
        part = share(units[first : first + channels], count, most)
        before = sum(map(len, codebook)) - 1
        codebook.append(part.codebook[1:])
        indices.append(np.where(part.indices == 0, 0, part.indices + before))
    return Shared(np.concatenate(codebook), np.concatenate(indices))


def _group_size(graph: Graph, name: str, groups: int) -> int:
    """Output channels of each group; all of a depthwise layer, which kernels read at once."""
    channels = graph.tensors[name].shape[0]
    readers = [node for node in graph.nodes if name in node.inputs[1:2]]
    if groups == 1 or any(is_depthwise(graph, node) for node in readers):
        return channels
    return channels_per_table(channels, groups)


def _most_values(codes: Array, channels: int) -> int:
    """The most different codes of `channels` output channels."""
    return max(len(np.unique(codes[at : at + channels])) for at in range(0, len(codes), channels))


def _as_they_are(codes: Array) -> Shared:
    """Codes that are not 0 as the codebook of a layer."""
    values = np.unique(codes[codes != 0]).astype(np.float64)
    indices = np.where(codes == 0, 0, np.searchsorted(values, codes) + 1)
    return Shared(np.concatenate([[0.0], values]), indices)


def _grid(tensor: Tensor, least: Array | None) -> tuple[Array, int]:
    """Scales that broadcast over the weights, and the largest code: of the grid they lie on.

    Weights without one get a grid of int8 with one scale, whose largest code is their largest
    magnitude, or one for each output channel, at least `least`, where that is given.
    """
    if tensor.qparams is not None:
        scales = tensor.qparams.scales(len(tensor.shape))
        most = int(np.abs(tensor.qparams.quantize(tensor.value)).max(initial=1))
        return scales, 7 if most <= 7 else 127
    if least is not None:
        scales = np.maximum(best_scales(tensor.value, 127), least).astype(np.float32)
        return scales.astype(np.float64).reshape(-1, *(1,) * (tensor.value.ndim - 1)), 127
    largest = float(np.abs(tensor.value).max())
    return np.asarray(float(np.float32((largest or 1.0) / 127))), 127


def _without_nothing(units: Array) -> Array:
    """Output channels whose codes would all be 0 are 0, so that no shared value revives them."""
    dead = ~np.rint(units).reshape(len(units), -1).any(axis=1)
    units[dead] = 0.0
    return units


def _qparams(scales: Array) -> QParams:
    """Scales that broadcast over the weights as the parameters of their tensor."""
    if scales.ndim:
        return QParams.per_channel(scales.ravel(), 0)
    return QParams.per_tensor(float(scales))


def _centers(values: Array, count: int) -> Array:
    """Means of at most `count` clusters, ascending, by Lloyd's rounds on sorted numbers.

    Few different values (codes of int4) are shared out exactly: from a bad start, rounds join
    codes that many weights have and keep the rare ones apart.
    """
    if not values.size:
        return np.zeros(1)
    distinct, sizes = np.unique(values, return_counts=True)
    if distinct.size <= FEW:
        return _best_centers(distinct, sizes, count)
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centers = np.linspace(ordered[0], ordered[-1], count)
    for _ in range(ROUNDS):
        borders = np.searchsorted(ordered, (centers[1:] + centers[:-1]) / 2)
        edges = np.concatenate([[0], borders, [ordered.size]])
        sizes = np.diff(edges)
        moved = np.divide(np.diff(sums[edges]), sizes, out=centers.copy(), where=sizes > 0)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return np.asarray(centers)


def _best_centers(values: Array, sizes: Array, count: int) -> Array:
    """Means of the clusters with the least squared error, by dynamic programming.

    Args:
        values: different ones, ascending.
        sizes: how many weights have each.
        count: of clusters, at most.
    """
    moments = [np.concatenate([[0.0], np.cumsum(sizes * values**power)]) for power in range(3)]

    def error(first: int, end: int) -> float:
        number, total, squares = (float(moment[end] - moment[first]) for moment in moments)
        return squares - total * total / number

    none: tuple[float, tuple[int, ...]] = (np.inf, (0,))
    best = [(0.0, none[1])] + [none] * values.size
    for _ in range(min(count, values.size)):
        best = [best[0]] + [
            min((best[a][0] + error(a, b), (*best[a][1], b)) for a in range(b))
            for b in range(1, values.size + 1)
        ]
        # From the second cluster on, an empty beginning is none.
        best[0] = none
    edges = np.array(best[-1][1])
    return np.asarray(np.diff(moments[1][edges]) / np.diff(moments[0][edges]))
