"""Eight outputs in five words on Armv6-M: packing, proofs and streams.

Sums of eight outputs with one row of weights, `S0 ... S7`, are made as five sums modulo 2^32:

    pair[i] = S[2i] - 2^16 * S[2i + 1],   i = 0 ... 3
    mix     = S[1] + 16 * S[3] + 256 * S[5] + 4096 * S[7]

by packing the activations likewise, once for all output channels: five multiplications make eight
products, and nothing has to be parted on the way.  At the end, where every sum lies in
`[0, 15 * 2^16]`, with `u[i] = pair[i] >> 16` (unsigned)

    mix + sum(16^i * u[i]) = sum(16^i * (h[i] + 2^16 * k[i])),  h[i] = S[2i] >> 16,  0 <= k[i] < 16

because `S[2i + 1] = h[i] + 2^16 * k[i] - u[i]`: the digits to the base 16 give the odd sums, these
the even ones.  The range is proved from the weights; longer sums are taken in several chunks.

With odd sums that start 2^16 lower, in `[16 - 2^16, 15 * 2^16]`, the digits hold as well, and both
are parted from `[16, 2^20)`: a `wide` range, for two instructions more per pair.

Weights lie in flash as `weight + 128`, so that LDRB with an immediate offset reads them; the sums
start from -128 times the sum of the packed activations.
"""

from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.ops.linear import LinearConstants
from edgecomp.requant.pieces import POINT, Pieces, signed_pieces
from edgecomp.requant.tflite import TfliteConstants
from edgecomp.requant.tflite_pieces import Shortened, shortened

PIXELS = 8
"""Outputs at once."""
WORDS = 5
"""Words of an input of eight pixels."""
TAPS_AT_ONCE = 8
"""Inputs that the loop takes at once; a sum may begin in the middle of the loop."""
RANGE = 15 << 16
"""Largest sum that can be parted."""
WIDE_LOW, WIDE_HIGH = 16, (1 << 20) - 1
"""Smallest and largest sum that can be parted where odd sums start lower."""
CENTRE = RANGE // 2
"""What a chunk's sum starts from where there are several."""
SINGLE = Pieces(2, 12, signed=False)
"""The multiplier's pieces where the only chunk's sum is not negative."""


def sum_range(weights: IntArray) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest sum of products per channel, `(channels, taps)`."""
    positive = np.where(weights > 0, weights, 0).sum(axis=1)
    negative = np.where(weights < 0, -weights, 0).sum(axis=1)
    return -128 * positive - 127 * negative, 127 * positive + 128 * negative


@dataclass(frozen=True)
class Chunks:
    """How the taps are cut.

    Attributes:
        first: taps of the first chunk, a multiple of 4.
        length: taps of every other chunk, a multiple of 8.
        count: chunks.
    """

    first: int
    length: int
    count: int

    @property
    def taps(self) -> int:
        """Taps of all chunks."""
        return self.first + (self.count - 1) * self.length


@dataclass(frozen=True)
class Octets:
    """A layer's weights and constants as the kernel needs them.

    Attributes:
        chunks: how the taps are cut.
        pieces: how the multiplier is cut.
        addend: of the requantization where there are several chunks; else the stream has it.
        stream: uint32, per channel: start, weights, multiplier / 4 and, for one chunk, addend.
        wide: whether odd sums start lower; only with one chunk.
        short: what takes the place of TFLite's arithmetic; the stream has its addends.
    """

    chunks: Chunks
    pieces: Pieces
    addend: int
    stream: Array
    wide: bool = False
    short: Shortened | None = None

    @property
    def chunked(self) -> bool:
        """Whether the function for chunks computes it, be there but one."""
        return self.chunks.count > 1 or self.short is not None


def _padded(weights: Array) -> IntArray:
    """Weights `(channels, taps)`, filled with 0 to a multiple of 4."""
    missing = -weights.shape[1] % 4
    return np.pad(weights.astype(np.int64), ((0, 0), (0, missing)))


def _words(weights: IntArray) -> IntArray:
    """Four weights per word, each plus 128."""
    fours = (weights + 128).reshape(len(weights), -1, 4)
    return np.asarray((fours << np.array([0, 8, 16, 24])).sum(axis=2), np.int64)


def _stream(columns: tuple[IntArray, ...]) -> Array:
    parts = [column.reshape(len(column), -1) & 0xFFFFFFFF for column in columns]
    return np.concatenate(parts, axis=1).reshape(-1).astype(np.uint32)


def _single(weights: IntArray, k: LinearConstants, *, wide: bool) -> Octets | None:
    """One chunk; the sum begins with the bias and what keeps it from being negative."""
    low, high = sum_range(weights)
    step = 1 << SINGLE.bits
    raised = -((low + k.bias - (WIDE_LOW if wide else 0)) // step) * step
    start = k.bias + raised
    if (start + high).max() > (WIDE_HIGH if wide else RANGE):
        return None
    whole = (1 << (POINT - 1)) + ((k.zero_point - k.low) << POINT) - raised * (k.multiplier >> 2)
    addend = whole >> SINGLE.bits
    if np.abs(addend).max() >= 1 << 31:
        return None
    if not SINGLE.holds(start + low, start + high, k.multiplier, addend):
        return None
    stream = _stream((start, _words(weights), k.multiplier >> 2, addend))
    return Octets(Chunks(weights.shape[1], 0, 1), SINGLE, 0, stream, wide)


def cut_taps(weights: IntArray, least: int = 2) -> Chunks:
    """Return the fewest chunks of which every sum can be parted, but no fewer than `least`."""
    taps = weights.shape[1]
    for count in range(least, taps // TAPS_AT_ONCE + 2):
        length = -(-taps // (count * TAPS_AT_ONCE)) * TAPS_AT_ONCE
        first = taps - (count - 1) * length
        if first <= 0:
            continue
        starts = [0, *range(first, taps, length)]
        ranges = [sum_range(part) for part in np.split(weights, starts[1:], axis=1)]
        if all(low.min() >= -CENTRE and high.max() <= CENTRE for low, high in ranges):
            return Chunks(first, length, count)
    return Chunks(taps % TAPS_AT_ONCE or TAPS_AT_ONCE, TAPS_AT_ONCE, -(-taps // TAPS_AT_ONCE))


def _tflite_octets(padded: IntArray, k: TfliteConstants) -> Octets | None:
    """Prepare a layer in TFLite's arithmetic: multipliers of three pieces, addends of their own."""
    short = shortened(k)
    if short is None:
        return None
    chunks = cut_taps(padded, 1)
    start = k.bias - chunks.count * CENTRE
    stream = _stream((start, _words(padded), short.factor, short.addend))
    return Octets(chunks, short.pieces, 0, stream, short=short)


def octets(weights: Array, k: LinearConstants) -> Octets | None:
    """Prepare a layer; None if its requantization cannot be proved.

    Args:
        weights: int8 `(channels, taps)` in the order of the packed activations.
        k: bias, multipliers and ranges, without shifts.
    """
    padded = _padded(weights)
    if isinstance(k, TfliteConstants):
        return _tflite_octets(padded, k)
    single = _single(padded, k, wide=False) or _single(padded, k, wide=True)
    if single is not None:
        return single
    pieces = signed_pieces(k.acc_min, k.acc_max, k.multiplier, k.zero_point, k.low)
    if pieces is None or padded.shape[1] <= TAPS_AT_ONCE:
        return None
    chunks = cut_taps(padded)
    start = k.bias - chunks.count * CENTRE
    stream = _stream((start, _words(padded), k.multiplier >> 2))
    return Octets(chunks, pieces, pieces.addend(k.zero_point, k.low), stream)
