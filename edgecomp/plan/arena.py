"""Where each block of the arena lies: first fit over many orders, with the bound beside it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

ATTEMPTS = 400
"""Orders that are tried, beyond the usual ones, while the lower bound is not reached."""


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
    """`size_bytes` rounded up to a multiple of `align`."""
    return -(-size_bytes // align) * align


def lower_bound(blocks: Sequence[Block], align: int) -> int:
    """Largest sum of sizes alive at one stage: no placement needs less."""
    moments = {block.first_use for block in blocks}
    return max(
        (
            sum(
                aligned(block.size_bytes, align)
                for block in blocks
                if block.first_use <= moment <= block.last_use
            )
            for moment in moments
        ),
        default=0,
    )


def place(blocks: Sequence[Block], align: int) -> tuple[list[int], int]:
    """Find offsets such that blocks alive together do not overlap.

    Args:
        blocks: the blocks.
        align: every offset is a multiple of it, bytes.

    Returns:
        One offset per block and the total size.  The search is deterministic; it ends at once
        when the lower bound is reached.
    """
    bound = lower_bound(blocks, align)
    indices = list(range(len(blocks)))
    orders = [
        sorted(indices, key=lambda i: (-blocks[i].size_bytes, blocks[i].first_use)),
        sorted(indices, key=lambda i: (blocks[i].first_use, -blocks[i].size_bytes)),
        sorted(indices, key=lambda i: (-blocks[i].last_use, -blocks[i].size_bytes)),
        sorted(indices, key=lambda i: blocks[i].first_use - blocks[i].last_use),
    ]
    generator = random.Random(0)
    best: tuple[list[int], int] | None = None
    best_order = orders[0]
    for attempt in range(len(orders) + ATTEMPTS):
        if attempt < len(orders):
            order = orders[attempt]
        else:
            order = list(best_order)
            for _ in range(generator.randint(1, 3)):
                i, j = generator.randrange(len(order)), generator.randrange(len(order))
                order[i], order[j] = order[j], order[i]
        offsets, total = _first_fit(blocks, order, align)
        if best is None or total < best[1]:
            best, best_order = (offsets, total), order
        if best[1] <= bound:
            break
    assert best is not None
    return best


def _first_fit(blocks: Sequence[Block], order: Sequence[int], align: int) -> tuple[list[int], int]:
    """Put each block, in `order`, at the lowest offset that is free during its life."""
    offsets = [0] * len(blocks)
    placed: list[int] = []
    total = 0
    for index in order:
        block = blocks[index]
        taken = sorted(
            (offsets[other], offsets[other] + blocks[other].size_bytes)
            for other in placed
            if block.meets(blocks[other])
        )
        offset = 0
        for begin, end in taken:
            if offset + block.size_bytes <= begin:
                break
            offset = max(offset, aligned(end, align))
        offsets[index] = offset
        placed.append(index)
        total = max(total, offset + block.size_bytes)
    return offsets, aligned(total, align)
