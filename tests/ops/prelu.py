"""Cases of PReLU."""

from edgecomp.ir import Shape
from edgecomp.ops.prelu import PReluParams
from tests.support.cases import Act, OpCase, Slopes


def prelu(
    name: str,
    shape: Shape,
    slopes: tuple[float, ...],
    span: tuple[float, float] = (-2.0, 3.0),
    out: tuple[float, float] | None = None,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "prelu", PReluParams(), (Act(shape, *span), Slopes(slopes)), out)


CASES = (
    prelu("plain", (1, 5, 4, 3), (0.25, 0.1, 0.9)),
    prelu("negative-slopes", (1, 5, 4, 4), (-0.25, -1.0, 0.3, -3.0)),
    prelu("slope-0-and-1", (1, 5, 4, 2), (0.0, 1.0)),
    prelu("large-slopes", (1, 5, 4, 3), (4.0, 100.0, -20.0)),
    prelu("tiny-slopes", (1, 5, 4, 3), (1e-4, -1e-6, 1e-12)),
    prelu("one-channel", (1, 7, 1), (0.3,)),
    prelu("vector", (1, 6), (0.1, 0.2, 0.3, -0.4, 0.5, 2.0)),
    prelu("zero-point-lowest", (1, 5, 3), (0.1, 0.2, 0.3), (0, 2)),
    prelu("zero-point-highest", (1, 5, 3), (0.1, 0.2, 0.3), (-2, 0)),
    prelu("shift", (1, 9, 3), (0.1, 0.2, 0.3), (-8, 8), (-1, 1)),
    prelu("output-much-larger", (1, 40, 3), (0.1, 0.2, 0.9), (-2, 3), (-20, 20)),
)
