"""What layers cost whose weights are decoded as a whole, estimated from plain ones."""

import math

import numpy as np

from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.decoded import Decoded
from edgecomp.plan.costs import PLAIN, Cost, CostTable

DECODING: dict[str, tuple[float, float]] = {
    "packed4": (3.5, 0.0),
    "codebook": (7.0, 0.0),
    "huffman": (22.0, 0.0),
    "huffman_gaps": (2.0, 43.0),
    "sparse": (2.0, 12.0),
    "sparse_blocks": (2.0, 5.0),
}
"""Modelled cycles of each decoder per weight, and per weight that is not 0; on the Cortex-M4."""
RAW_CYCLES = 2.0
"""What raw words take besides, per weight."""
OWN_BYTES = 120
"""Code of a layer's function that decodes."""
RECORDS = "ec_{}_records"
RECORDS_BYTES = 120
"""Code that puts decoded weights between words."""


def cost_of(kernel: Kernel, layer: Layer, table: CostTable) -> Cost | None:
    """What `layer` costs when `kernel` computes it; None for a kernel never measured."""
    if isinstance(kernel, Decoded):
        return _decoded_cost(kernel, layer, table)
    return table.cost(kernel.name, layer)


def _decoded_cost(kernel: Decoded, layer: Layer, table: CostTable) -> Cost | None:
    """The plain kernel, and for each inference what decoding takes."""
    plain = table.cost(kernel.plain.name, layer.replace_weights(storages=(PLAIN,)))
    if plain is None:
        return None
    decoder = kernel.encoded(layer).decoder
    functions = {
        name: size
        for name, size in table.functions.items()
        if name in {f"ec_{decoder}_decode", "ec_prefix_prepare"}
    }
    if kernel.packing(layer).in_words:
        functions[RECORDS.format(decoder)] = RECORDS_BYTES
    once = 0 if kernel.at_boot else _decoding_cycles(kernel, layer)
    return Cost(
        plain.instructions + once,
        plain.cycles + once,
        plain.own_bytes + OWN_BYTES,
        {**plain.functions, **functions},
    )


def _decoding_cycles(kernel: Decoded, layer: Layer) -> int:
    weights = kernel.ordered(layer)
    each, nonzero = DECODING[kernel.encoded(layer).decoder]
    each += RAW_CYCLES if kernel.packing(layer).is_raw else 0.0
    return math.ceil(each * weights.size + nonzero * np.count_nonzero(weights))
