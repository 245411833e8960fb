"""Streams of bits: half words, the first bit highest, with one spare half word at the end.

A reader fills up by half words before it takes up to 16 bits, so that it may read one half word
more than it needs.
"""

from collections.abc import Iterator

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array

UNIT = 16


def packed_bytes(total: int) -> int:
    """Bytes that `pack_bits` needs for `total` bits, the spare half word included."""
    return 2 * (total // UNIT + 2)


def pack_bits(codes: IntArray, lengths: IntArray) -> Array:
    """Write `codes[i]` as `lengths[i]` bits (0 to 16), one behind the other, as uint16."""
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    bits = np.zeros(8 * packed_bytes(total), np.uint8)
    for position in range(int(lengths.max(initial=0))):  # from the last bit of every code
        has = lengths > position
        bits[ends[has] - 1 - position] = codes[has] >> position & 1
    return np.packbits(bits).view(">u2").astype(np.uint16)


class BitReader:
    """Reads what `pack_bits` wrote."""

    def __init__(self, units: Array) -> None:
        """Begin with the first bit."""
        self._bits = np.unpackbits(units.astype(">u2").view(np.uint8))
        self._at = 0

    def peek(self, count: int) -> int:
        """The next `count` bits; behind the end come zeros."""
        bits = self._bits[self._at : self._at + count]
        value = 0
        for bit in bits.tolist():
            value = 2 * value + bit
        return value << (count - len(bits))

    def skip(self, count: int) -> None:
        """Go on by `count` bits."""
        self._at += count

    def take(self, count: int) -> int:
        """The next `count` bits."""
        value = self.peek(count)
        self.skip(count)
        return value

    def many(self, count: int, length: int) -> Iterator[int]:
        """`count` numbers of `length` bits."""
        for _ in range(count):
            yield self.take(length)
