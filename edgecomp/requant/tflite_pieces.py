"""TFLite's two roundings by 32-bit products, proved exact from the ranges.

Behind a ReLU `div(mul(acc, M), n)` (docs/numerics.md, "TFLite") is one rounding with a constant of
its own: for all codes above the zero point

    code - low >= v   if and only if   acc * M + 2^(30 + n) + 2^30 >= (v + low - z) * 2^(31 + n)

Elsewhere ties go down below the zero point, which the same formula gives for `|acc|` if its result
gets the sign of `acc`.  Channels differ in `n`; with the least of them for all, the others lose a
few bits of `M`.  What is left of it, `acc * F + A >> point`, is monotone, as TFLite's result is:
both are equal for every accumulator in the proved range if every code begins at the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, IntArray
from edgecomp.requant.pieces import Pieces
from edgecomp.requant.tflite import TfliteConstants

POINTS: Sequence[int] = (38, 36, 40, 34, 32)
"""Fraction bits that are tried; few, so that layers share functions."""
BITS: Sequence[int] = (10, 11, 9)
"""Bits of the lower two pieces that are tried."""
NEIGHBOURS: Sequence[int] = (0, 1, -1, 2, -2, 3, -3, 4, -4)
"""What is added to the rounded factor of a channel until one is proved."""
UNLIMITED = 1 << 62
"""More than any addend."""


@dataclass(frozen=True)
class Shortened:
    """How a layer's codes are computed: `acc * factor + addend >> point`, in pieces.

    Attributes:
        pieces: how the factors are cut, three pieces.
        factor: per channel, below 2^32.
        addend: per channel, what is added to the product of the highest piece.
        mirrored: whether `|acc|` is taken and the result's sign is that of `acc`.
        base: what is added to such a result: the zero point less the lowest code.
    """

    pieces: Pieces
    factor: IntArray
    addend: IntArray
    mirrored: bool
    base: int

    def name(self, function: str) -> str:
        """Return what a function is called that computes in this way."""
        sign = f"_mirrored_{self.base}" if self.mirrored else ""
        return f"{function}_tflite_{self.pieces.point}{sign}"

    def codes(self, acc: IntArray, channel: int) -> IntArray:
        """Return what the device computes for a channel, before saturation, less the lowest."""
        size = np.abs(acc) if self.mirrored else acc
        addend = int(self.addend[channel]) << self.pieces.lower_bits
        scaled = (size * int(self.factor[channel]) + addend) >> self.pieces.point
        return np.where(acc < 0, -scaled, scaled) + self.base if self.mirrored else scaled


def shortened(k: TfliteConstants) -> Shortened | None:
    """Return the first way that is proved equal to TFLite's result; None if there is none.

    Args:
        k: constants whose shifts are all to the right, by at least 1.
    """
    if k.right_shift.min() < 1:
        return None
    channels = [_steps(k, channel) for channel in range(len(k.multiplier))]
    for point in POINTS:
        for bits in BITS:
            pieces = Pieces(3, bits, point=point)
            found = _fit(k, channels, pieces)
            if found is not None:
                base = k.zero_point - k.low if k.rounds_away else 0
                return Shortened(pieces, *found, k.rounds_away, base)
    return None


@dataclass(frozen=True)
class _Steps:
    """Where the results of a channel begin, of its accumulators or of their sizes.

    Attributes:
        value: results, as the device computes them.
        begin: the first accumulator or size that gives each; it may lie outside the range.
        first: the smallest accumulator or size.
        last: the largest one; below `first` if there are none.
    """

    value: IntArray
    begin: IntArray
    first: int
    last: int

    def addends(self, factor: int, point: int) -> tuple[int, int]:
        """Return the least and the largest addend with which every result begins where it must."""
        low, high = -UNLIMITED, UNLIMITED
        if self.first > self.last:
            return low, high
        level = self.value << point
        begin = np.clip(self.begin, self.first, self.last + 1)
        reached, later = begin <= self.last, begin > self.first
        if reached.any():
            low = int((level - begin * factor)[reached].max())
        if later.any():
            high = int((level - (begin - 1) * factor)[later].min()) - 1
        return low, high


def _steps(k: TfliteConstants, channel: int) -> list[_Steps]:
    """Return the steps of a channel's accumulators, or of both signs' sizes."""
    m, n = int(k.multiplier[channel]), int(k.right_shift[channel])
    first, last = int(k.acc_min[channel]), int(k.acc_max[channel])
    half, tie = 1 << (30 + n), 1 << 30
    z, low = k.zero_point, k.low
    above = np.arange(z + 1 if k.rounds_away else low + 1, k.high + 1, dtype=np.int64) - z
    if m == 0:
        return [_Steps(np.ones(1, np.int64), np.ones(1, np.int64), 0, 0)]  # never above 0
    up = -((half + tie - (above << (31 + n))) // m)
    if not k.rounds_away:
        return [_Steps(above + z - low, up, first, last)]
    # The result is below 1 - v for accumulators that do not reach it: the largest is -size.
    below = np.arange(1, z - low + 1, dtype=np.int64)
    reach = -((half - tie - ((1 - below) << (31 + n))) // m)
    return [
        _Steps(above, up, max(first, 0), last),
        _Steps(below, 1 - reach, max(-last, 1), -first),
    ]


def _fit(
    k: TfliteConstants, channels: list[list[_Steps]], pieces: Pieces
) -> tuple[IntArray, IntArray] | None:
    """Find factors and addends for a cut."""
    unit = 1 << pieces.lower_bits
    factors, addends = [], []
    for channel, steps in enumerate(channels):
        for factor in _near(k, channel, pieces.point):
            intervals = [step.addends(factor, pieces.point) for step in steps]
            # A size's result must not be negative: that would change its sign.
            low = max(0 if k.rounds_away else -UNLIMITED, *(least for least, _ in intervals))
            high = min(UNLIMITED, *(most for _, most in intervals))
            first, last = -(-low // unit), high // unit
            if first <= last:
                break
        else:
            return None
        factors.append(factor)
        addends.append(min(max((first + last) // 2, -INT32_MAX), INT32_MAX))
    found = np.array(factors, np.int64), np.array(addends, np.int64)
    low_acc, high_acc = k.acc_min, k.acc_max
    if k.rounds_away:
        high_acc = np.maximum(np.abs(low_acc), np.abs(high_acc))
        low_acc = np.zeros_like(high_acc)
    return found if pieces.holds(low_acc, high_acc, 4 * found[0], found[1]) else None


def _near(k: TfliteConstants, channel: int, point: int) -> list[int]:
    """Return factors next to a channel's multiplier at a point, the rounded one first."""
    scale = int(k.multiplier[channel])
    move = point - 31 - int(k.right_shift[channel])
    rounded = scale << move if move >= 0 else (scale + (1 << (-move - 1))) >> -move
    near = [rounded + offset for offset in NEIGHBOURS] if scale else [0]
    return [factor for factor in near if 0 <= factor < 1 << 32]
