"""Layers with coded weights, which are made for the storage that they get."""

from dataclasses import replace

import numpy as np

from edgecomp.kernels import Layer
from edgecomp.storage import STORAGES

CODED = [name for name in STORAGES if name != "dense8"]
"""Every storage but plain int8."""


def storable(storage, values, seed):
    """Weights near the given ones that a storage is made for: few bits, few values, many zeros."""
    rng = np.random.default_rng(seed)
    density = 0.07 if seed % 2 else 0.6
    if storage == "packed4":
        return (values // 16).astype(np.int8)
    if storage == "codebook":
        shift = 8 if seed % 2 else 32  # tables of 32 or 8 values
        fours = np.arange(len(values)) // 4 % shift if seed % 3 else np.zeros(len(values), int)
        own = fours.reshape(-1, *(1,) * (values.ndim - 1))  # tables of their own
        return (values // shift * shift + own).astype(np.int8)
    if storage == "huffman":
        kept = (values // 16 * 16) * (rng.random(values.shape) < density)
        return (kept if seed % 3 else values).astype(np.int8)
    if seed % 3:
        return (values * (rng.random(values.shape) < density)).astype(np.int8)
    blocks = rng.random((values.size + 3) // 4).repeat(4)[: values.size].reshape(values.shape)
    return (values * (blocks < density)).astype(np.int8)


def with_stored_weights(graph, node, storage, seed, decode=()):
    """Return the graph with weights of one layer that are and must be stored in one way."""
    layer = Layer(graph, node)
    data = storable(storage, layer.stored_weights, seed)
    if storage == "sparse" and data.all():
        data.reshape(-1)[0] = 0
    # Those of a recurrent layer are stored together.
    ends = np.cumsum([tensor.size for tensor in layer.weights])[:-1]
    marked = {
        t.name: replace(t, data=part.reshape(t.shape), storages=(storage,), decode=decode)
        for t, part in zip(layer.weights, np.split(data.reshape(-1), ends), strict=True)
    }
    return graph.replace(tensors={**graph.tensors, **marked})
