"""Let weights share a few values: k-means per layer, on the layer's own int8 grid.

The grid has one scale for the whole tensor, which the tensor carries from then on: quantization
keeps it, so that the shared values are as many codes.  Source: S. Han et al., "Deep Compression"
(2016), with their linear initialization.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgecomp.compress.storing import allow_also
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import as_module, constants_of, with_constants
from edgecomp.compress.train.sources import keeping_zeros, shared
from edgecomp.config import Cluster
from edgecomp.ir import Array, Graph, QParams

ROUNDS = 60
MOST_INDEXED = 64
"""Clusters that indices of a codebook tell apart."""


@dataclass(frozen=True)
class Shared:
    """Weights that share values.

    Attributes:
        codebook: real values on the grid, float64; entry 0 is 0, for pruned weights.
        indices: entry of each weight.
        scale: of the int8 grid, as float32 has it.
    """

    codebook: Array
    indices: Array
    scale: float


def cluster_step(graph: Graph, step: Cluster, workshop: Workshop) -> Outcome:
    """Give the weights of each chosen layer `step.clusters` values, and fine-tune these.

    Where a layer has weights that are 0, 0 is one of the values and these weights keep it.
    """
    names = chosen_weights(graph, step)
    found = {name: share(graph.tensors[name].value, step.clusters) for name in names}
    sources = {name: shared(s.codebook, s.indices, s.scale) for name, s in found.items()}
    module = as_module(graph, {**keeping_zeros(graph), **sources})
    result = workshop.train(graph, module, step)
    values = constants_of(graph, module)
    clustered = with_constants(graph, values)
    tensors = dict(clustered.tensors)
    for name, shares in found.items():
        qparams = QParams.per_tensor(shares.scale)
        exact = qparams.dequantize(qparams.quantize(values[name])).astype(np.float32)
        tensors[name] = replace(tensors[name].with_data(exact), qparams=qparams)
    counts = [len(np.unique(tensors[name].value)) for name in names]
    note = f"{len(names)} layers with at most {max(counts)} values each"
    made = clustered.replace(tensors=tensors)
    if step.clusters <= MOST_INDEXED:
        made = allow_also(made, names, "codebook")
    return Outcome(made, result.score, result.diverged, note)


def share(weights: Array, count: int) -> Shared:
    """Choose at most `count` values for `weights` by k-means, each on the int8 grid.

    The grid's largest code, 127, is the largest magnitude.
    """
    largest = float(np.abs(weights).max())
    scale = float(np.float32((largest or 1.0) / 127))
    flat = weights.ravel().astype(np.float64)
    pruned = flat == 0
    # Without zeros, entry 0 of the codebook is there but no weight has it.
    centers = _centers(flat[~pruned], count - int(pruned.any()))
    codes = np.unique(np.clip(np.rint(centers / scale), -127, 127))
    codebook = np.concatenate([[0.0], codes * scale])
    nearest = np.searchsorted((codebook[1:-1] + codebook[2:]) / 2, flat) + 1
    indices = np.where(pruned, 0, nearest).reshape(weights.shape)
    return Shared(codebook, indices, scale)


def _centers(values: Array, count: int) -> Array:
    """Means of at most `count` clusters, ascending, by Lloyd's rounds on sorted numbers."""
    if not values.size:
        return np.zeros(1)
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
