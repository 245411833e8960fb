"""Sparse weights: only those that are not zero, and where they lie.

Two ways, of which the smaller is taken: single weights, each with the number of zeros behind it in
four bits (15: so many, and no weight yet), or blocks of four weights in a row, of which a bit each
says whether they are there.
"""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.runs import Runs

LIMIT = 15
"""A gap of four bits that goes on."""
BLOCK = 4
MASK_BITS = 32


class Sparse(Storage):
    """Relative indices of four bits, or blocks of 1x4."""

    name: ClassVar[str] = "sparse"

    def refusal(self, weights: Array) -> str | None:
        """Something must be zero."""
        return None if (weights == 0).any() else "no weight is zero"

    def encode(self, weights: Array) -> Encoded:
        """Code both ways and take the one with fewer bytes."""
        singles = _singles(weights)
        if int(np.prod(weights.shape[1:])) % BLOCK:
            return singles
        return min(_blocks(weights), singles, key=lambda one: one.bytes)

    def decode(self, encoded: Encoded) -> Array:
        """Put the zeros back."""
        count = int(np.prod(encoded.shape))
        values = encoded.array("values")
        if encoded.decoder == "sparse_blocks":
            masks = encoded.array("masks")
            bits = (masks[:, None] >> np.arange(MASK_BITS, dtype=np.uint32) & 1).reshape(-1)
            blocks = np.zeros((count // BLOCK, BLOCK), np.int8)
            blocks[bits[: len(blocks)] == 1] = values.reshape(-1, BLOCK)
            return blocks.reshape(encoded.shape)
        packed = encoded.array("gaps")
        symbols = iter(np.stack([packed & 15, packed >> 4], axis=1).reshape(-1).tolist())
        gaps = []
        for _ in values[: int((values != 0).sum())]:
            gaps.append(0)
            symbol = LIMIT
            while symbol == LIMIT:
                symbol = next(symbols)
                gaps[-1] += symbol
        first = int(encoded.fields["at"])
        runs = Runs(first, values[values != 0].astype(np.int64), np.array(gaps, np.int64))
        return runs.weights(count).reshape(encoded.shape)


def _singles(weights: Array) -> Encoded:
    """Weights that are not zero, and the zeros behind each."""
    runs = Runs.of(weights.reshape(-1))
    symbols, _ = runs.limited(LIMIT)
    symbols = np.append(symbols, np.zeros(len(symbols) % 2 or 2 * (not len(symbols)), np.int64))
    values = runs.values if len(runs.values) else np.zeros(1, np.int64)
    gaps = (symbols[::2] | symbols[1::2] << 4).astype(np.uint8)
    return Encoded(
        Sparse.name,
        "sparse",
        weights.shape,
        (
            CodedArray("values", "int8_t", values.astype(np.int8), "weights that are not zero"),
            CodedArray("gaps", "uint8_t", gaps, "zeros behind each, low halves first, 15: go on"),
        ),
        {"values": "values", "gaps": "gaps", "at": runs.first},
    )


def _blocks(weights: Array) -> Encoded:
    """Blocks of which not all are zero, and which they are."""
    blocks = weights.reshape(-1, BLOCK)
    live: Array = np.abs(blocks.astype(np.int64)).max(axis=1) > 0
    bits = np.append(live, np.zeros(-len(live) % MASK_BITS, bool)).reshape(-1, MASK_BITS)
    masks = (bits.astype(np.uint32) << np.arange(MASK_BITS, dtype=np.uint32)).sum(
        axis=1, dtype=np.uint32
    )
    values = blocks[live] if live.any() else np.zeros((1, BLOCK), np.int8)
    return Encoded(
        Sparse.name,
        "sparse_blocks",
        weights.shape,
        (
            CodedArray("values", "int8_t", values, "blocks of 4 weights that are not all zero"),
            CodedArray("masks", "uint32_t", masks, "a bit per block, the lowest first"),
        ),
        {"values": "values", "masks": "masks"},
    )
