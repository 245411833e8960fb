"""What weights of layers that are measured look like where they are coded."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgecomp.ir import Graph

SPREAD = 30.0
"""Standard deviation of the codes of plain weights."""
# Storage, largest code of a weight, share of weights that are not 0.
_CODED = (
    ("packed4", 7, 1.0),
    ("codebook", 7, 1.0),
    ("huffman", 7, 0.07),
    ("huffman", 7, 0.4),
    ("huffman", 15, 1.0),
    ("sparse", 127, 0.1),
    ("sparse", 127, 0.4),
)
_LIVE_BLOCKS = (0.15, 0.5)
"""Shares of blocks of four weights that are not 0."""


def coded(graph: Graph, rng: np.random.Generator) -> Iterator[Graph]:
    """Yield a layer with every storage, and weights that are made for it."""
    plain = graph.tensors["weights"]
    for storage, largest, share in _CODED:
        few = np.rint(plain.value / (3 * SPREAD) * largest).clip(-largest, largest)
        kept = np.where(few == 0, 1, few) * (rng.random(plain.shape) < share)
        kept.reshape(-1)[0] = 1
        weights = replace(plain, data=kept.astype(np.int8), storages=(storage,))
        yield graph.replace(tensors={**graph.tensors, "weights": weights})


def with_zero_blocks(graph: Graph, rng: np.random.Generator) -> Iterator[Graph]:
    """Yield a layer whose zero weights come in blocks of four."""
    weights = graph.tensors["weights"]
    for share in _LIVE_BLOCKS:
        live = rng.random(-(-weights.size // 4)).repeat(4)[: weights.size] < share
        kept = np.where(weights.value == 0, 1, weights.value) * live.reshape(weights.shape)
        kept.reshape(-1)[-1] = 0
        sparse = replace(weights, data=kept.astype(np.int8), storages=("sparse",))
        yield graph.replace(tensors={**graph.tensors, "weights": sparse})
