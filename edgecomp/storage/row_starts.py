"""Where rows of coded weights begin, for tables of which single rows are read.

Rows of packed and of shared weights are found by their number.  Codes of the other storages have no
fixed length: of every so many rows the place is kept, and the rows between are read over.
"""

from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded
from edgecomp.storage.huffman import tables_of
from edgecomp.storage.runs import Runs

WEIGHTS_PER_BYTE = 32
"""Weights for each byte of a place that is kept; half of them are read over on average."""


@dataclass(frozen=True)
class RowStarts:
    """Places of some rows.

    Attributes:
        shift: of every `2^shift` rows the place of the first is kept.
        arrays: a number for each of these rows, under the names that `storage/seek.c.j2` knows;
            none where places follow from a row's number.
    """

    shift: int
    arrays: tuple[CodedArray, ...]


def row_starts(encoded: Encoded, weights: Array) -> RowStarts:
    """Find the places of a table's rows.

    Args:
        encoded: what a storage made of `weights`.
        weights: int8 `(rows, width)`.
    """
    found = _PLACES.get(encoded.decoder)
    if found is None:
        return RowStarts(0, ())
    places = found(encoded, weights)
    largest = max(int(array.max(initial=0)) for array, _ in places.values())
    kind, dtype = ("uint16_t", np.uint16) if largest < 1 << 16 else ("uint32_t", np.uint32)
    rows = WEIGHTS_PER_BYTE * np.dtype(dtype).itemsize // weights.shape[1]
    shift = max(rows.bit_length() - 1, 0)
    arrays = tuple(
        CodedArray(name, kind, array[:: 1 << shift].astype(dtype), comment)
        for name, (array, comment) in places.items()
    )
    return RowStarts(shift, arrays)


_Places = dict[str, tuple[IntArray, str]]


def _before(lengths: IntArray) -> IntArray:
    """What stands before each of several things in a row, and before their end."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _of_symbols(encoded: Encoded, weights: Array) -> _Places:
    """Bits before each row, of one code for all weights."""
    lengths = tables_of(encoded, "value").lengths()[weights.reshape(-1).astype(np.int64)]
    return {"bits": (_before(lengths)[:-1][:: weights.shape[1]], "bits before some rows")}


def _of_gaps(encoded: Encoded, weights: Array) -> _Places:
    """Bits before the first weight that is not zero in each row or behind it, and zeros there."""
    flat = weights.reshape(-1).astype(np.int64)
    runs = Runs.of(flat)
    symbols, counts = runs.limited(int(encoded.fields["limit"]))
    gap_bits = _before(tables_of(encoded, "gap").lengths()[symbols])
    ends = _before(counts)
    own = tables_of(encoded, "value").lengths()[runs.values] + np.diff(gap_bits[ends])
    rows = np.arange(0, flat.size, weights.shape[1])
    present = np.flatnonzero(flat)
    following = np.searchsorted(present, rows)
    zeros = np.append(present, flat.size)[following] - rows
    return {
        "bits": (_before(own)[following], "bits before some rows"),
        "zeros": (zeros, "zeros with which these rows begin"),
    }


def _of_sparse(encoded: Encoded, weights: Array) -> _Places:
    """Weights (or blocks of four) and bytes of gaps before each row."""
    counts = encoded.array("counts").astype(np.int64)
    return {
        "value_starts": (_before(counts)[:-1], "what stands in the values before some rows"),
        "gap_starts": (_before((counts + 1) // 2)[:-1], "and in the gaps"),
    }


_PLACES = {
    "huffman": _of_symbols,
    "huffman_gaps": _of_gaps,
    "sparse": _of_sparse,
    "sparse_blocks": _of_sparse,
}
