"""Cases of the smallest element over axes."""

from edgecomp.ir import Shape
from edgecomp.ops.reduce import ReduceMaxParams
from tests.support.cases import Act, OpCase


def smallest(name: str, shape: Shape, axes: tuple[int, ...], *, keepdims: bool = True) -> OpCase:
    """Build a case."""
    return OpCase(name, "reduce_min", ReduceMaxParams(axes, keepdims), (Act(shape, -1, 2),))


IMAGE = (1, 2, 3, 6)

CASES = (
    smallest("height-and-width", IMAGE, (1, 2)),
    smallest("height-and-width-gone", IMAGE, (1, 2), keepdims=False),
    smallest("height", IMAGE, (1,)),
    smallest("width", IMAGE, (2,)),
    smallest("channels", IMAGE, (3,)),
    smallest("height-and-channels", IMAGE, (1, 3)),
    smallest("width-and-channels", IMAGE, (2, 3), keepdims=False),
    smallest("everything", (1, 2, 1, 3), (1, 2, 3)),
    smallest("batch", (2, 5, 6), (0,), keepdims=False),
    smallest("sequence-time", (1, 5, 4), (1,)),
    smallest("vector", (1, 5), (1,)),
    smallest("axis-of-one", (1, 1, 5, 6), (1,)),
    smallest("rows-of-a-large-map", (1, 3, 4, 90), (1, 2)),
)
