"""Cases of windows that move on."""

from edgecomp.ir import Shape
from edgecomp.ops.history import ShiftParams
from tests.support.cases import Act, OpCase


def shift(name: str, axis: int, window: Shape, frames: int) -> OpCase:
    """Build a case."""
    new = tuple(frames if index == axis else n for index, n in enumerate(window))
    return OpCase(name, "shift", ShiftParams(axis), (Act(window), Act(new)))


CASES = (
    shift("words", 1, (1, 5, 8), 1),
    shift("several", 1, (1, 7, 4), 3),
    shift("bytes", 1, (1, 5, 3), 1),
    shift("features", 1, (1, 4, 5, 2), 2),
    shift("columns", 2, (1, 3, 5, 4), 1),
    shift("columns-of-bytes", 2, (1, 3, 5, 1), 2),
    shift("all-new", 1, (1, 4, 3), 4),
    shift("one-frame", 1, (1, 1, 12), 1),
    shift("long", 1, (1, 200, 4), 1),
)
