"""Cases of choices of elements."""

from edgecomp.ir import Shape
from edgecomp.ops.gather import GatherParams, Indices
from tests.support.cases import Act, OpCase

IMAGE = (1, 6, 5, 4)


def gather(name: str, shape: Shape, *indices: Indices | range) -> OpCase:
    """Build a case."""
    params = GatherParams(tuple(None if i is None else tuple(i) for i in indices))
    return OpCase(name, "gather", params, (Act(shape, -1, 2),))


CASES = (
    gather("rows", IMAGE, None, range(1, 5), None, None),
    gather("columns", IMAGE, None, None, range(2, 5), None),
    gather("channels", IMAGE, None, None, None, range(1, 3)),
    gather("every-second", IMAGE, None, range(0, 6, 2), range(1, 5, 2), None),
    gather("every-axis", IMAGE, None, range(1, 5), range(0, 3), range(1, 4)),
    gather("backwards", IMAGE, None, range(5, -1, -1), range(4, -1, -2), range(3, -1, -1)),
    gather("nearest-twice", IMAGE, None, [i // 2 for i in range(12)], [i // 2 for i in range(10)],
           None),
    gather("nearest-uneven", IMAGE, None, [i * 6 // 7 for i in range(7)], [0, 1, 1, 2, 3, 3, 4],
           None),
    gather("tiles", IMAGE, None, [*range(6)] * 2, None, [*range(4)] * 3),
    gather("tiles-backwards", IMAGE, None, [3, 2, 1] * 2, None, None),
    gather("repeated-backwards", IMAGE, None, [3, 3, 2, 2, 1], None, None),
    gather("repeated-from-one", (1, 1, 5, 1), None, [0] * 3, None, [0] * 4),
    gather("reflected", IMAGE, None, [2, 1, *range(6), 4, 3], [1, *range(5), 3], None),
    gather("edge", IMAGE, None, [0, 0, *range(6), 5], None, None),
    gather("one-element", IMAGE, None, [3], [2], None),
    gather("one-of-one", (1, 20), None, [7, 3, 19, 0, 0, 11, 5, 2, 13, 1, 17]),
    gather("irregular", IMAGE, None, [4, 0, 1, 3], [3, 0, 4], [2, 0, 3]),
    gather("far-in-a-row", (1, 700), None, [699, 0, 300, 300, 256, 5, 1, 2, 9, 4, 44, 77, 333]),
    gather("sequence", (1, 9, 5), None, range(1, 9, 3), None),
    gather("batch", (3, 4, 5), [2, 0], None, None),
    gather("five-axes", (1, 2, 3, 4, 5), None, [1], None, range(1, 4), range(4, 0, -2)),
)  # fmt: skip
