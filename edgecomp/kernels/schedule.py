"""The order in which a kernel reads and writes, and how far input and output may overlap.

A kernel's loop nest is a list of *events*.  Each event reads some elements of the inputs and then
writes one element of the output.  From it follows how close an output may lie to an input that
nobody needs afterwards: no write may hit an element that a later event still reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.int64]

NOTHING = np.iinfo(np.int64).max
"""Lowest element of an event that reads nothing of an input."""


@dataclass(frozen=True)
class Reads:
    """What each event reads of one input: no element below `low`, none above `high`.

    An event that reads nothing of the input has `low = NOTHING` and `high = -1`.
    """

    low: IndexArray
    high: IndexArray


@dataclass(frozen=True)
class Schedule:
    """The events of a kernel, in order.

    Attributes:
        writes: element of the output that each event writes.
        reads: by index of the input, what each event reads before it writes.
    """

    writes: IndexArray
    reads: Mapping[int, Reads]

    def distance(self, index: int) -> int:
        """Least D with which `output address <= input address - D` is safe for input `index`.

        May be negative: the output may then begin behind the input's first elements.  The bound is
        exact for these events: `D = 1 + max over events of (written - lowest element read later)`.

        >>> Schedule(np.arange(4), {0: Reads(np.arange(4), np.arange(4))}).distance(0)
        0
        """
        low = self.reads[index].low
        later = np.full(len(low), NOTHING)
        if len(low) > 1:
            later[:-1] = np.minimum.accumulate(low[:0:-1])[::-1]
        needed = later != NOTHING
        if not needed.any():
            return -NOTHING
        return int((self.writes[needed] - later[needed]).max()) + 1

    def behind(self, index: int) -> int:
        """Least E such that `output address >= input address + E` is safe for input `index`.

        What a kernel that goes from the end to the beginning leaves: exact as `distance` is.

        >>> backward = np.arange(4)[::-1]
        >>> Schedule(backward, {0: Reads(backward, backward)}).behind(0)
        0
        """
        high = self.reads[index].high
        later = np.full(len(high), -1, np.int64)
        if len(high) > 1:
            later[:-1] = np.maximum.accumulate(high[:0:-1])[::-1]
        needed = later >= 0
        if not needed.any():
            return -NOTHING
        return int((later[needed] - self.writes[needed]).max()) + 1

    def in_bytes(self, size: int) -> "Schedule":
        """The same events for elements of `size` bytes, written one after the other.

        >>> Schedule(np.arange(2), {0: Reads(np.arange(2), np.arange(2))}).in_bytes(2).writes
        array([0, 1, 2, 3])
        """
        writes = (self.writes[:, None] * size + np.arange(size)).reshape(-1)
        reads = {}
        for index, read in self.reads.items():
            low = np.full((len(read.low), size), NOTHING)
            high = np.full((len(read.low), size), -1, np.int64)
            any_read = read.high >= 0
            low[any_read, 0] = read.low[any_read] * size
            high[any_read, 0] = read.high[any_read] * size + size - 1
            reads[index] = Reads(low.reshape(-1), high.reshape(-1))
        return Schedule(writes, reads)
