"""Cases of transpose."""

from edgecomp.ir import Shape
from edgecomp.ops.movement import TransposeParams
from tests.support.cases import Act, OpCase


def transpose(name: str, shape: Shape, *perm: int) -> OpCase:
    """Build a case."""
    return OpCase(name, "transpose", TransposeParams(perm), (Act(shape),))


CASES = (
    transpose("to-channels-first", (1, 3, 4, 5), 0, 3, 1, 2),
    transpose("to-channels-last", (1, 5, 3, 4), 0, 2, 3, 1),
    transpose("height-and-width", (1, 3, 4, 5), 0, 2, 1, 3),
    transpose("width-and-channels", (1, 3, 4, 5), 0, 1, 3, 2),
    transpose("reversed", (2, 3, 4, 5), 3, 2, 1, 0),
    transpose("batch-moves", (2, 3, 4, 5), 1, 0, 2, 3),
    transpose("sequence", (1, 6, 5), 0, 2, 1),
    transpose("matrix", (4, 7), 1, 0),
    transpose("axes-of-one", (1, 1, 20, 1), 2, 1, 0, 3),
    transpose("one-element-wide", (1, 1, 1, 30), 0, 3, 1, 2),
    transpose("identity", (1, 3, 4, 5), 0, 1, 2, 3),
    transpose("five-axes", (1, 2, 3, 4, 2), 0, 4, 2, 1, 3),
)
