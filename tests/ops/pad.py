"""Cases of padding."""

from edgecomp.ir import Shape
from edgecomp.ops.movement import PadParams
from tests.support.cases import Act, OpCase

IMAGE = Act((1, 3, 4, 2), -1, 2)


def pad(
    name: str,
    before: Shape,
    after: Shape,
    value: float = 0.0,
    x: Act = IMAGE,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "pad", PadParams(before, after, value), (x,))


CASES = (
    pad("around", (0, 1, 1, 0), (0, 1, 1, 0)),
    pad("top", (0, 2, 0, 0), (0, 0, 0, 0)),
    pad("bottom", (0, 0, 0, 0), (0, 2, 0, 0)),
    pad("left", (0, 0, 3, 0), (0, 0, 0, 0)),
    pad("right", (0, 0, 0, 0), (0, 0, 3, 0)),
    pad("channels", (0, 0, 0, 1), (0, 0, 0, 2)),
    pad("every-axis", (0, 1, 2, 3), (0, 3, 2, 1)),
    pad("value", (0, 1, 1, 0), (0, 1, 1, 0), 1.3),
    pad("value-below-the-range", (0, 1, 1, 0), (0, 1, 1, 0), -100.0),
    pad("value-above-the-range", (0, 1, 1, 0), (0, 1, 1, 0), 100.0),
    pad("sequence", (0, 2, 0), (0, 1, 0), x=Act((1, 7, 3))),
    pad("vector", (0, 2), (0, 3), x=Act((1, 17))),
    pad("one-pixel", (0, 1, 1, 0), (0, 1, 1, 0), x=Act((1, 1, 1, 20), 0, 1)),
    pad("batch", (1, 0, 0), (0, 0, 0), x=Act((1, 7, 3))),
)
