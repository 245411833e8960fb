"""Where each block of the arena lies: first fit over many orders, with a bound beside it.

Blocks that are alive together must not meet, with one exception: a stage's output may lie over an
input that dies there, if it begins far enough before it (`edgecomp.kernels.schedule`).

Where no RAM is large enough for all of them, the arena is split: what begins at the split or behind
it lies in a second piece of memory, and no block lies across the split.
"""

import random
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

ATTEMPTS = 600
"""Orders that are tried, beyond the usual ones, while the lower bound is not reached."""

Overlaps = Mapping[tuple[int, int], int]
"""For a pair (input, output) of blocks: `output offset <= input offset - D` is allowed."""

Behind = Mapping[tuple[int, int], int]
"""For a pair (input, output) of blocks: `output offset >= input offset + E` is allowed, too."""

InPlace = AbstractSet[tuple[int, int]]
"""Pairs (input, output) that may have one offset, whatever their distance is otherwise."""


@dataclass(frozen=True)
class Split:
    """Where the arena is cut in two.

    Attributes:
        at: offset of the second piece, and so the most that the first may hold, bytes.
        end: where the second piece ends.
        first_only: blocks that must lie in the first piece.
    """

    at: int
    end: int
    first_only: AbstractSet[int] = frozenset()

    def forbidden(self, block: "Block", index: int) -> tuple[int, int]:
        """The range of offsets, ends excluded, that a block must not have."""
        return self.at - block.size_bytes, self.end if index in self.first_only else self.at


@dataclass(frozen=True)
class Block:
    """Bytes that are alive from stage `first_use` to stage `last_use`, both included."""

    size_bytes: int
    first_use: int
    last_use: int

    def meets(self, other: "Block") -> bool:
        """Whether both are alive at some stage."""
        return self.first_use <= other.last_use and other.first_use <= self.last_use


def aligned(size_bytes: int, align: int) -> int:
    """`size_bytes` rounded up to a multiple of `align`, also for negative numbers."""
    return -(-size_bytes // align) * align


def lower_bound(
    blocks: Sequence[Block],
    align: int,
    overlaps: Overlaps | None = None,
    in_place: InPlace = frozenset(),
    behind: Behind | None = None,
) -> int:
    """Bytes that no placement can do without.

    The largest, over all stages, of the bytes alive there; where an output may lie over an input,
    the pair counts with the bytes that it needs at its closest.
    """
    closest = {**(overlaps or {}), **dict.fromkeys(in_place, 0)}
    behind = behind or {}
    bound = 0
    for moment in {block.first_use for block in blocks}:
        alive = [i for i, b in enumerate(blocks) if b.first_use <= moment <= b.last_use]
        total = sum(aligned(blocks[i].size_bytes, align) for i in alive)
        # An output can lie over one input; with several candidates the best saving is assumed
        # for all of them, which keeps this a bound.
        savings = []
        for (source, result), distance in closest.items():
            if source in alive and result in alive and blocks[result].first_use == moment:
                sizes = [aligned(blocks[i].size_bytes, align) for i in (source, result)]
                together = sizes[0] + max(aligned(distance, align), 0)
                if (source, result) in behind:
                    after = sizes[1] + max(aligned(behind[source, result], align), 0)
                    together = min(together, after)
                together = max(*sizes, together)
                savings.append(max(sum(sizes) - together, 0))
        bound = max(bound, total - sum(savings))
    return bound


def place(
    blocks: Sequence[Block],
    align: int,
    overlaps: Overlaps | None = None,
    in_place: InPlace = frozenset(),
    attempts: int = ATTEMPTS,
    split: Split | None = None,
    behind: Behind | None = None,
) -> tuple[list[int], int]:
    """Find offsets such that no two blocks hurt each other.

    Args:
        blocks: the blocks.
        align: every offset is a multiple of it, bytes.
        overlaps: pairs that may overlap.
        in_place: pairs that may have one offset.
        attempts: orders that are tried beyond the usual ones.
        split: where a second piece of memory begins, if there is one.
        behind: pairs whose output may lie further behind than its input.

    Returns:
        One offset per block and the total size.  The search is deterministic; it ends at once
        when the lower bound is reached.
    """
    overlaps, behind = overlaps or {}, behind or {}
    bound = lower_bound(blocks, align, overlaps, in_place, behind)
    indices = list(range(len(blocks)))
    orders = [
        sorted(indices, key=lambda i: (-blocks[i].size_bytes, blocks[i].first_use)),
        # From the last stage back, each input finds its place over the output it dies into.
        sorted(indices, key=lambda i: (-blocks[i].last_use, -blocks[i].first_use)),
        sorted(indices, key=lambda i: (blocks[i].first_use, -blocks[i].size_bytes)),
        sorted(indices, key=lambda i: (-blocks[i].last_use, -blocks[i].size_bytes)),
        sorted(indices, key=lambda i: blocks[i].first_use - blocks[i].last_use),
    ]
    generator = random.Random(0)
    best: tuple[list[int], int] | None = None
    best_order = orders[0]
    for attempt in range(len(orders) + attempts):
        if attempt < len(orders):
            order = orders[attempt]
        else:
            order = list(best_order)
            for _ in range(generator.randint(1, 3)):
                i, j = generator.randrange(len(order)), generator.randrange(len(order))
                order.insert(j, order.pop(i))
        offsets, total = _first_fit(blocks, order, align, overlaps, in_place, split, behind)
        if best is None or total <= best[1]:
            best, best_order = (offsets, total), order
        if best[1] <= aligned(bound, align):
            break
    assert best is not None
    return best


def _forbidden(
    blocks: Sequence[Block],
    index: int,
    other: int,
    offset: int,
    overlaps: Overlaps,
    in_place: InPlace,
    behind: Behind,
) -> list[tuple[int, int]]:
    """Ranges of offsets of block `index`, ends excluded, that would hurt `other` at `offset`."""
    low, high = offset - blocks[index].size_bytes, offset + blocks[other].size_bytes
    if (other, index) in overlaps:  # this block is the output: it may begin D before the input
        low = max(low, offset - overlaps[other, index])
    if (index, other) in overlaps:  # this block is the input: it may begin D behind the output
        high = min(high, offset + overlaps[index, other])
    if (other, index) in behind:
        high = min(high, offset + behind[other, index])
    if (index, other) in behind:
        low = max(low, offset - behind[index, other])
    if {(other, index), (index, other)} & in_place and low < offset < high:
        return [(low, offset), (offset, high)]
    return [(low, high)]


def _first_fit(
    blocks: Sequence[Block],
    order: Sequence[int],
    align: int,
    overlaps: Overlaps,
    in_place: InPlace,
    split: Split | None,
    behind: Behind,
) -> tuple[list[int], int]:
    """Put each block, in `order`, at the lowest offset that hurts nobody."""
    offsets = [0] * len(blocks)
    placed: list[int] = []
    total = 0
    for index in order:
        taken = sorted(
            hurt
            for other in placed
            if blocks[index].meets(blocks[other])
            for hurt in _forbidden(blocks, index, other, offsets[other], overlaps, in_place, behind)
        )
        if split is not None:
            taken = sorted([*taken, split.forbidden(blocks[index], index)])
        offset = 0
        for low, high in taken:
            if low < offset < high:
                offset = aligned(high, align)
        offsets[index] = offset
        placed.append(index)
        total = max(total, offset + blocks[index].size_bytes)
    return offsets, aligned(total, align)
