"""Weights as runs: zeros, a weight that is not zero, zeros, ..."""

from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array


@dataclass(frozen=True)
class Runs:
    """Weights in a row, by their weights that are not zero.

    Attributes:
        first: zeros before the first of them, or all weights where there is none.
        values: the weights that are not zero.
        gaps: zeros behind each of them.
    """

    first: int
    values: IntArray
    gaps: IntArray

    @classmethod
    def of(cls, flat: Array) -> "Runs":
        """Split a row of weights."""
        places = np.flatnonzero(flat)
        ends = np.append(places, len(flat))
        gaps = np.diff(ends) - 1
        return cls(int(ends[0]), flat[places].astype(np.int64), gaps.astype(np.int64))

    def limited(self, limit: int) -> tuple[IntArray, IntArray]:
        """The gaps as symbols up to `limit`, which says that more of the gap follows.

        Returns:
            The symbols of all gaps, and how many there are of each gap.
        """
        more = self.gaps // limit
        counts = more + 1
        symbols = np.full(int(counts.sum()), limit, np.int64)
        symbols[np.cumsum(counts) - 1] = self.gaps - more * limit
        return symbols, counts

    def weights(self, count: int) -> Array:
        """Put the row of `count` weights together again."""
        flat = np.zeros(count, np.int8)
        places = self.first + np.concatenate([[0], np.cumsum(self.gaps + 1)[:-1]]).astype(np.int64)
        flat[places[: len(self.values)]] = self.values
        return flat
