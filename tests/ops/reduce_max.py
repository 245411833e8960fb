"""Cases of the largest element over axes."""

from edgecomp.ir import Shape
from edgecomp.ops.reduce import ReduceMaxParams
from tests.support.cases import Act, OpCase


def largest(name: str, shape: Shape, axes: tuple[int, ...], *, keepdims: bool = True) -> OpCase:
    """Build a case."""
    return OpCase(name, "reduce_max", ReduceMaxParams(axes, keepdims), (Act(shape, -1, 2),))


IMAGE = (1, 2, 3, 6)

CASES = (
    largest("height-and-width", IMAGE, (1, 2)),
    largest("height-and-width-gone", IMAGE, (1, 2), keepdims=False),
    largest("height", IMAGE, (1,)),
    largest("width", IMAGE, (2,)),
    largest("channels", IMAGE, (3,)),
    largest("height-and-channels", IMAGE, (1, 3)),
    largest("width-and-channels", IMAGE, (2, 3), keepdims=False),
    largest("everything", (1, 2, 1, 3), (1, 2, 3)),
    largest("batch", (2, 5, 6), (0,), keepdims=False),
    largest("sequence-time", (1, 5, 4), (1,)),
    largest("vector", (1, 5), (1,)),
    largest("axis-of-one", (1, 1, 5, 6), (1,)),
    largest("rows-of-a-large-map", (1, 3, 4, 90), (1, 2)),
)
