"""Two products per multiplication: pixel pairs in one word, and the proof that lanes hold.

Two int8 activations of different outputs lie in one word, `low + high * 2^bits`, and one
multiplication with a weight makes both products.  Sums of such words are exact, so that

    s = sum_low + sum_high * 2^bits

can be parted again where `sum_low` is known to fit its lane.  Two ways to part it:

- *Groups* (32-bit sums, lanes of 16 bits): after each group of taps the lanes are parted and
  added up apart.  A group's sum fits a signed lane whatever the activations are, if its weights'
  magnitudes add up to at most `MAX_GROUP_WEIGHT`: 128 * 255 < 2^15.
- *Long sums* (64-bit accumulators): only the last sum must fit its lane, which the accumulator's
  proved range says.
"""

from collections.abc import Sequence

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array

LANE_BITS = 16
"""Distance of the lanes of a 32-bit sum."""
MAX_GROUP_WEIGHT = 255
"""Largest sum of magnitudes of a group's weights."""
ROUNDING = 1 << (LANE_BITS - 1)
"""What a group's sum starts from, so that a plain shift parts it: no borrow from the low lane."""


def padded_taps(taps: int, multiple: int) -> int:
    """Return `taps` rounded up to a multiple.

    >>> padded_taps(10, 4)
    12
    """
    return -(-taps // multiple) * multiple


def group_weights(weights: Array, size: int) -> IntArray:
    """Return each group's sum of magnitudes, `(channels, groups)`.

    Args:
        weights: `(channels, taps)` in the order in which a kernel takes them; filled up with 0.
        size: taps of a group.
    """
    channels, taps = weights.shape
    filled = np.zeros((channels, padded_taps(taps, size)), np.int64)
    filled[:, :taps] = np.abs(weights.astype(np.int64))
    return np.asarray(filled.reshape(channels, -1, size).sum(axis=2), np.int64)


def group_sizes(weights: Array, sizes: Sequence[int]) -> IntArray:
    """Return for each channel the largest group that no activations can make overflow; 0: none.

    Args:
        weights: int8 `(channels, taps)` in the order in which a kernel takes them.
        sizes: the groups that the kernel knows.

    A group of 1 holds for every weight, -128 too; a group of 2 unless both are near the ends.

    >>> group_sizes(np.array([[127, 127, 1, 0], [127, 127, 127, 127]], np.int8), (1, 2, 4)).tolist()
    [4, 2]
    """
    best = np.zeros(len(weights), np.int64)
    for size in sorted(sizes):
        fits = group_weights(weights, size).max(axis=1, initial=0) <= MAX_GROUP_WEIGHT
        best[fits] = size
    return best


def group_starts(bias: IntArray, groups: IntArray) -> IntArray:
    """Return what the sum of whole words starts from, modulo 2^32, for pairs of outputs.

    Every group brings `ROUNDING` with it; both outputs of a pair have the same bias.

    Args:
        bias: int32 per channel, the start of both outputs.
        groups: groups of each channel.
    """
    start = bias * (1 + (1 << LANE_BITS)) - groups * ROUNDING
    return np.asarray(start & 0xFFFFFFFF, np.int64)
