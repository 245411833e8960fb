"""Canonical Huffman codes: the lengths of the codes say everything, and a decoder needs few bytes.

Codes of one length are consecutive numbers, shorter codes are smaller when both are filled up with
zeros to 16 bits.  For each length from the least on, the decoder has the largest such number and
what to add to a code to get its place among the symbols, which are sorted by length and value.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray
from edgecomp.storage.bits import UNIT, BitReader


def code_lengths(counts: Mapping[int, int]) -> dict[int, int]:
    """Lengths (0 to 16) of an optimal prefix code for symbols with these counts.

    A single symbol needs no bits.  Where a code would be longer than 16 bits, all counts are
    halved until none is.
    """
    if len(counts) == 1:
        return dict.fromkeys(counts, 0)
    scaled = dict(counts)
    while True:
        lengths = dict.fromkeys(scaled, 0)
        heap: list[tuple[int, int, tuple[int, ...]]] = [
            (count, order, (symbol,)) for order, (symbol, count) in enumerate(scaled.items())
        ]
        heapq.heapify(heap)
        while len(heap) > 1:
            one, two = heapq.heappop(heap), heapq.heappop(heap)
            for symbol in (*one[2], *two[2]):
                lengths[symbol] += 1
            heapq.heappush(heap, (one[0] + two[0], one[1], (*one[2], *two[2])))
        if max(lengths.values()) <= UNIT:
            return lengths
        scaled = {symbol: (count + 1) // 2 for symbol, count in scaled.items()}


@dataclass(frozen=True)
class PrefixCode:
    """A canonical code.

    Attributes:
        lengths: bits of each symbol's code; symbols are numbers of eight bits.
    """

    lengths: Mapping[int, int]

    @classmethod
    def for_symbols(cls, symbols: IntArray) -> "PrefixCode":
        """The code that writes `symbols` (at least one) with the fewest bits."""
        found, counts = np.unique(symbols, return_counts=True)
        return cls(code_lengths(dict(zip(found.tolist(), counts.tolist(), strict=True))))

    @cached_property
    def symbols(self) -> list[int]:
        """The symbols in the order of their codes."""
        return sorted(self.lengths, key=lambda symbol: (self.lengths[symbol], symbol))

    @cached_property
    def codes(self) -> dict[int, int]:
        """Each symbol's code."""
        codes, code, length = {}, 0, self.lengths[self.symbols[0]]
        for symbol in self.symbols:
            code <<= self.lengths[symbol] - length
            length = self.lengths[symbol]
            codes[symbol] = code
            code += 1
        return codes

    @property
    def least(self) -> int:
        """Bits of the shortest code."""
        return self.lengths[self.symbols[0]]

    @cached_property
    def steps(self) -> Array:
        """For each length from `least` on two numbers (uint16).

        The largest code of at most that length, filled up with ones to 16 bits, and what leads
        from a code of that length to the place of its symbol, modulo 2^16.
        """
        found, last = [], -1
        for length in range(self.least, self.lengths[self.symbols[-1]] + 1):
            own = [place for place, s in enumerate(self.symbols) if self.lengths[s] == length]
            step = 0
            if own:
                codes = [self.codes[self.symbols[place]] for place in own]
                last = ((codes[-1] + 1) << (UNIT - length)) - 1
                step = own[0] - codes[0]
            found += [last & 0xFFFF, step & 0xFFFF]
        return np.array(found, np.uint16)

    def arrays(self, name: str, meaning: str) -> tuple[CodedArray, CodedArray]:
        """The decoder's tables of this code."""
        symbols = np.array(self.symbols, np.int64).astype(np.int8)
        return (
            CodedArray(f"{name}_steps", "uint16_t", self.steps, f"{meaning}: lengths of the codes"),
            CodedArray(f"{name}_symbols", "int8_t", symbols, f"{meaning} in the order of codes"),
        )

    def bits(self, symbols: IntArray) -> tuple[IntArray, IntArray]:
        """Codes and lengths of a row of symbols."""
        known = sorted(self.lengths)
        place = np.searchsorted(np.array(known, np.int64), symbols)
        codes = np.array([self.codes[s] for s in known], np.int64)
        lengths = np.array([self.lengths[s] for s in known], np.int64)
        return codes[place], lengths[place]


@dataclass(frozen=True)
class Tables:
    """The tables of a code as the decoder reads them."""

    steps: Array
    symbols: Array
    least: int

    def next(self, reader: BitReader) -> int:
        """The next symbol: what the C does."""
        symbol, length = self._found(reader.peek(UNIT))
        reader.skip(length)
        return symbol

    def lengths(self) -> IntArray:
        """Bits of every symbol's code, by the symbol's lowest eight bits; 0 of those without one.

        So that negative symbols are found as well, as places from the end.
        """
        lengths, top = np.zeros(256, np.int64), 0
        for _ in self.symbols:
            symbol, length = self._found(top)
            lengths[symbol] = length
            top += 1 << (UNIT - length)
        return lengths

    def _found(self, top: int) -> tuple[int, int]:
        """The symbol whose code begins a row of 16 bits, and the code's length."""
        length, place = self.least, 0
        while top > self.steps[place]:
            length, place = length + 1, place + 2
        symbol = self.symbols[(int(self.steps[place + 1]) + (top >> (UNIT - length))) & 0xFFFF]
        return int(symbol), length
