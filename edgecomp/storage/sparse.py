"""Sparse weights: only those that are not zero, and where they lie.

Two ways, of which the smaller is taken: single weights, or blocks of four in a row, each with the
number of those before it that are zero in four bits.  A row (the first axis) is read at once: what
it has is counted, and where more than 15 zeros follow each other one is kept, so that a reader
need not ask.
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
        singles = _coded(weights, 1, "sparse")
        if int(np.prod(weights.shape[1:])) % BLOCK:
            return singles
        return min(encode_blocks(weights), singles, key=lambda one: one.bytes)

    def decode(self, encoded: Encoded) -> Array:
        """Put the zeros back, row by row, as the device does."""
        size = BLOCK if encoded.decoder == "sparse_blocks" else 1
        per_row = int(np.prod(encoded.shape[1:])) // size
        rows = np.zeros((encoded.shape[0], per_row, size), np.int8)
        values, packed = encoded.array("values").reshape(-1, size), encoded.array("gaps")
        value = byte = 0
        for row, count in zip(rows, encoded.array("counts").tolist(), strict=True):
            own = packed[byte : byte + (count + 1) // 2]
            gaps = np.stack([own & 15, own >> 4], axis=1).reshape(-1)[:count].astype(np.int64)
            row[np.cumsum(gaps + 1) - 1] = values[value : value + count]
            value, byte = value + count, byte + len(own)
        return rows.reshape(encoded.shape)


def encode_blocks(weights: Array) -> Encoded:
    """Code blocks of four whatever single weights would take.

    Args:
        weights: int8, channels first; rows are multiples of four.
    """
    return _coded(weights, BLOCK, "sparse_blocks")


def _coded(weights: Array, size: int, decoder: str) -> Encoded:
    """Code blocks of `size` weights: those that are not all zero, and the zero ones before each."""
    values, gaps, counts = [], [], []
    for row in weights.reshape(len(weights), -1, size):
        own, before = _with_fillers(row)
        values.append(own)
        gaps.append(np.append(before, np.zeros(len(before) % 2, np.int64)))
        counts.append(len(own))
    symbols = np.concatenate(gaps)
    packed = (symbols[::2] | symbols[1::2] << 4).astype(np.uint8)
    what = f"blocks of {size} weights" if size > 1 else "weights"
    return Encoded(
        Sparse.name,
        decoder,
        weights.shape,
        (
            CodedArray("values", "int8_t", _present(np.concatenate(values)), f"{what}, by rows"),
            CodedArray("gaps", "uint8_t", _present(packed), "zeros before each, low halves first"),
            CodedArray("counts", "uint16_t", np.array(counts, np.uint16), f"{what} of each row"),
        ),
        {"values": "values", "gaps": "gaps", "counts": "counts"},
    )


def _present(array: Array) -> Array:
    """Elements of an array of C, which has at least one block."""
    return array if array.size else np.zeros((1, *array.shape[1:]), array.dtype)


def _with_fillers(row: Array) -> tuple[Array, Array]:
    """Blocks `(n, size)` of a row and the zero ones before each; of 16 of these one is kept."""
    places = np.flatnonzero(row.any(axis=1))
    zeros = np.diff(np.concatenate([[-1], places])) - 1
    fillers = zeros // (LIMIT + 1)
    ends = np.cumsum(fillers + 1) - 1
    values = np.zeros((int((fillers + 1).sum()), row.shape[1]), np.int8)
    gaps = np.full(len(values), LIMIT, np.int64)
    values[ends] = row[places]
    gaps[ends] = zeros % (LIMIT + 1)
    return values, gaps
