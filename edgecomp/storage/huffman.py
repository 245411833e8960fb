"""Entropy-coded weights: canonical Huffman codes of the weights, or of weights and runs of zeros.

Whichever is smaller is taken: one code for all weights, zero among them, or, for sparse layers, one
code for the weights that are not zero and one for the zeros behind each.  Few different weights (of
four bits, or shared ones) make short codes: the table of symbols is the codebook.
"""

from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.bits import BitReader, pack_bits
from edgecomp.storage.canonical import PrefixCode, Tables
from edgecomp.storage.runs import Runs

LIMITS = (127, 63, 31, 15, 7, 3)
"""Longest gaps of one symbol that are tried."""
WORTH = 0.99
"""Part of the bytes that a shorter limit must not exceed: it costs more symbols to read."""


class Huffman(Storage):
    """Canonical Huffman codes of up to 16 bits."""

    name: ClassVar[str] = "huffman"

    def encode(self, weights: Array) -> Encoded:
        """Code in each of the ways and take the one with the fewest bytes."""
        flat = weights.reshape(-1).astype(np.int64)
        runs = Runs.of(flat)
        best = _plain(flat, weights.shape)
        for limit in LIMITS if len(runs.values) else ():
            coded = _with_gaps(runs, limit, weights.shape)
            if coded.bytes < (best.bytes if best.decoder == "huffman" else WORTH * best.bytes):
                best = coded
        return best

    def decode(self, encoded: Encoded) -> Array:
        """Read symbol by symbol, as the device does."""
        count = int(np.prod(encoded.shape))
        reader = BitReader(encoded.array("codes"))
        value = tables_of(encoded, "value")
        if encoded.decoder == "huffman":
            flat = [value.next(reader) for _ in range(count)]
            return np.array(flat, np.int8).reshape(encoded.shape)
        gap, limit = tables_of(encoded, "gap"), int(encoded.fields["limit"])
        first = int(encoded.fields["at"])
        values, gaps, at = [], [], first
        while at < count:
            values.append(value.next(reader))
            gaps.append(0)
            symbol = limit
            while symbol == limit:
                symbol = gap.next(reader)
                gaps[-1] += symbol
            at += 1 + gaps[-1]
        runs = Runs(first, np.array(values, np.int64), np.array(gaps, np.int64))
        return runs.weights(count).reshape(encoded.shape)


def _plain(flat: IntArray, shape: tuple[int, ...]) -> Encoded:
    """One code for all weights."""
    code = PrefixCode.for_symbols(flat)
    stream = CodedArray("codes", "uint16_t", pack_bits(*code.bits(flat)), "Huffman codes")
    return Encoded(
        Huffman.name,
        "huffman",
        shape,
        (stream, *code.arrays("value", "weights")),
        {"stream.next": "codes", **_fields("value", code)},
    )


def _with_gaps(runs: Runs, limit: int, shape: tuple[int, ...]) -> Encoded:
    """One code for weights that are not zero, and one for the zeros behind them."""
    symbols, counts = runs.limited(limit)
    value, gap = PrefixCode.for_symbols(runs.values), PrefixCode.for_symbols(symbols)
    # Each weight stands before the symbols of its gap.
    begins = np.cumsum(counts) - counts
    pairs = zip(value.bits(runs.values), gap.bits(symbols), strict=True)
    codes, lengths = (np.insert(of_gaps, begins, of_values) for of_values, of_gaps in pairs)
    stream = pack_bits(codes, lengths)
    return Encoded(
        Huffman.name,
        "huffman_gaps",
        shape,
        (
            CodedArray("codes", "uint16_t", stream, "Huffman codes: a weight, the zeros behind it"),
            *value.arrays("value", "weights that are not zero"),
            *gap.arrays("gap", f"zeros, {limit}: and more"),
        ),
        {
            "stream.next": "codes",
            **_fields("value", value),
            **_fields("gap", gap),
            "limit": limit,
            "at": runs.first,
        },
    )


def _fields(name: str, code: PrefixCode) -> dict[str, str | int]:
    return {
        f"{name}.steps": f"{name}_steps",
        f"{name}.symbols": f"{name}_symbols",
        f"{name}.least": code.least,
    }


def tables_of(encoded: Encoded, name: str) -> Tables:
    """The tables of one of the decoder's codes, `value` or `gap`."""
    return Tables(
        encoded.array(f"{name}_steps"),
        encoded.array(f"{name}_symbols"),
        int(encoded.fields[f"{name}.least"]),
    )
