"""Sparse weights: only those that are not zero, and where they lie.

Two ways, of which the smaller is taken: single weights, each with the number of zeros before it in
four bits, or blocks of four weights in a row, of which a bit each says whether they are there.
A row (the first axis) is read at once: its single weights are counted, and where more than 15
zeros follow each other a weight of 0 stands between, so that a reader need not ask.
"""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage

LIMIT = 15
"""Largest gap of four bits."""
MOST = 65535
"""Largest count of a row."""
BLOCK = 4
MASK_BITS = 32


class Sparse(Storage):
    """Relative indices of four bits, or blocks of 1x4."""

    name: ClassVar[str] = "sparse"

    def refusal(self, weights: Array) -> str | None:
        """Something must be zero, and rows must not be endless."""
        if int(np.prod(weights.shape[1:])) > MOST:
            return f"more than {MOST:,} weights in a row"
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
        values = encoded.array("values").reshape(-1)
        if encoded.decoder == "sparse_blocks":
            masks = encoded.array("masks")
            bits = (masks[:, None] >> np.arange(MASK_BITS, dtype=np.uint32) & 1).reshape(-1)
            blocks = np.zeros((count // BLOCK, BLOCK), np.int8)
            live = bits[: len(blocks)] == 1
            blocks[live] = values[: BLOCK * int(live.sum())].reshape(-1, BLOCK)
            return blocks.reshape(encoded.shape)
        return self._decoded_singles(encoded)

    def _decoded_singles(self, encoded: Encoded) -> Array:
        """Row by row, as the device does."""
        rows = np.zeros((encoded.shape[0], int(np.prod(encoded.shape[1:]))), np.int8)
        values, packed = encoded.array("values"), encoded.array("gaps")
        value = byte = 0
        for row, count in zip(rows, encoded.array("counts").tolist(), strict=True):
            own = packed[byte : byte + (count + 1) // 2]
            gaps = np.stack([own & 15, own >> 4], axis=1).reshape(-1)[:count].astype(np.int64)
            row[np.cumsum(gaps + 1) - 1] = values[value : value + count]
            value, byte = value + count, byte + len(own)
        return rows.reshape(encoded.shape)


def _singles(weights: Array) -> Encoded:
    """For each row, weights that are not zero and the zeros before each."""
    values, gaps, counts = [], [], []
    for row in weights.reshape(len(weights), -1):
        own, before = _with_fillers(row)
        values.append(own)
        gaps.append(np.append(before, np.zeros(len(before) % 2, np.int64)))
        counts.append(len(own))
    symbols = np.concatenate(gaps)
    packed = (symbols[::2] | symbols[1::2] << 4).astype(np.uint8)
    return Encoded(
        Sparse.name,
        "sparse",
        weights.shape,
        (
            CodedArray("values", "int8_t", _present(np.concatenate(values)), "weights, row by row"),
            CodedArray("gaps", "uint8_t", _present(packed), "zeros before each, low halves first"),
            CodedArray("counts", "uint16_t", np.array(counts, np.uint16), "weights of each row"),
        ),
        {"values": "values", "gaps": "gaps", "counts": "counts"},
    )


def _present(array: Array) -> Array:
    """An array of C has at least one element."""
    return array if array.size else np.zeros(1, array.dtype)


def _with_fillers(row: Array) -> tuple[Array, Array]:
    """Weights of a row and the zeros before each; of more than 15 zeros each sixteenth is kept."""
    places = np.flatnonzero(row)
    zeros = np.diff(np.concatenate([[-1], places])) - 1
    fillers = zeros // (LIMIT + 1)
    ends = np.cumsum(fillers + 1) - 1
    values = np.zeros(int((fillers + 1).sum()), np.int8)
    gaps = np.full(len(values), LIMIT, np.int64)
    values[ends] = row[places]
    gaps[ends] = zeros % (LIMIT + 1)
    return values, gaps


def _blocks(weights: Array) -> Encoded:
    """Blocks of which not all are zero, and which they are."""
    blocks = weights.reshape(-1, BLOCK)
    live: Array = np.abs(blocks.astype(np.int64)).max(axis=1) > 0
    bits = np.append(live, np.zeros(-len(live) % MASK_BITS, bool)).reshape(-1, MASK_BITS)
    masks = (bits.astype(np.uint32) << np.arange(MASK_BITS, dtype=np.uint32)).sum(
        axis=1, dtype=np.uint32
    )
    values = _present(blocks[live].astype(np.int8))
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
