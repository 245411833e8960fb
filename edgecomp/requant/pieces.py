"""Requantization by 32-bit products: the multiplier in pieces, proved exact from the ranges.

Armv6-M multiplies 32 x 32 to the lower 32 bits and nothing else.  `M` is a multiple of 4, so that

    sat(zero_point + ((acc * M + 2^31) >> 32)) = sat(zero_point + ((acc * (M / 4) + 2^29) >> 30)).

With `M / 4 = high * 2^bits + low` and rounding down nested,

    (acc * M/4 + R) >> 30 = (acc * high + ((acc * low) >> bits) + (R >> bits)) >> (30 - bits)

for every `R` that is a multiple of `2^bits`: two MULS, or three with another piece in the middle.
It is the formula itself, not an approximation; all that has to be shown is that no sum leaves 32
bits.  `R` holds the rounding, the zero point and what brings the smallest code to 0, so that one
unsigned compare finds whatever must be saturated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import IntArray

POINT = 30
"""Fraction bits of a quarter of the multiplier."""


@dataclass(frozen=True)
class Pieces:
    """How a quarter of the multiplier is cut.

    Attributes:
        count: pieces, 2 or 3.
        bits: bits of every piece but the highest.
        signed: whether the accumulator is signed; else products of lower pieces have 32 bits.
        point: fraction bits of a quarter of the multiplier.
    """

    count: int
    bits: int
    signed: bool = True
    point: int = POINT

    @property
    def lower_bits(self) -> int:
        """Bits of all pieces but the highest."""
        return (self.count - 1) * self.bits

    @property
    def shift(self) -> int:
        """The last shift."""
        return self.point - self.lower_bits

    def addend(self, zero_point: int, low: int) -> int:
        """Return what is added to the product of the highest piece: a code of `low` becomes 0."""
        whole = (1 << (self.point - 1)) + ((zero_point - low) << self.point)
        return whole >> self.lower_bits

    def cut(self, multiplier: IntArray) -> IntArray:
        """Return the pieces, lowest first, `(count, ...)`."""
        rest = np.asarray(multiplier, np.int64) >> 2
        parts = []
        for _ in range(self.count - 1):
            parts.append(rest & ((1 << self.bits) - 1))
            rest = rest >> self.bits
        return np.stack([*parts, rest])

    def holds(self, low: IntArray, high: IntArray, multiplier: IntArray, addend: IntArray) -> bool:
        """Prove that no sum leaves 32 bits.

        Args:
            low: smallest accumulator per channel.
            high: largest accumulator per channel.
            multiplier: per channel.
            addend: what is added to the product of the highest piece, per channel.
        """
        if np.any(multiplier < 0) or np.any(multiplier % 4):
            return False
        size = int(max(np.abs(low).max(), np.abs(high).max()))
        if self.signed:
            if size << self.bits >= 1 << 31:
                return False
        elif low.min() < 0 or size << self.bits >= 1 << 32:
            return False
        for acc in (low, high):
            for value, factor, more in zip(acc, multiplier, addend, strict=True):
                last = (int(value) * (int(factor) >> 2) >> self.lower_bits) + int(more)
                if not -(1 << 31) <= last < 1 << 31:
                    return False
        return True

    def rescale(self, acc: IntArray, multiplier: IntArray, addend: IntArray) -> IntArray:
        """Return what the device computes, modulo 2^32 where it is so: codes less the lowest.

        Where `holds` is proved this is `rescale(acc) + zero_point - low`.
        """
        *lower, highest = self.cut(multiplier)
        carried = np.zeros_like(np.asarray(acc, np.int64))
        for piece in lower:
            carried = _wrapped(acc * piece + carried, self.signed) >> self.bits
        return _wrapped(acc * highest + carried + addend, True) >> self.shift


def _wrapped(values: IntArray, signed: bool) -> IntArray:
    """A register of 32 bits read as a number."""
    low = values & 0xFFFFFFFF
    return np.where(signed & (low >= 1 << 31), low - (1 << 32), low).astype(np.int64)


SIGNED_PIECES: Sequence[Pieces] = tuple(
    Pieces(count, bits) for count, bits in ((2, 12), (2, 11), (2, 10), (3, 9), (3, 7))
)
"""Cuts that are tried, fast ones first; few, so that layers share functions."""


def signed_pieces(
    low: IntArray,
    high: IntArray,
    multiplier: IntArray,
    zero_point: int,
    lowest: int,
    tried: Iterable[Pieces] = SIGNED_PIECES,
) -> Pieces | None:
    """Return the first cut that is proved for a layer; None if there is none.

    Args:
        low: smallest accumulator per channel.
        high: largest accumulator per channel.
        multiplier: per channel.
        zero_point: of the output.
        lowest: smallest code.
        tried: cuts, the ones that are preferred first.
    """
    for pieces in tried:
        addend = np.full(len(low), pieces.addend(zero_point, lowest), np.int64)
        if pieces.holds(low, high, multiplier, addend):
            return pieces
    return None
