"""Cases of the mean over axes."""

from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.reduce_mean import ReduceMeanParams
from tests.support.binary_cases import as_tflite
from tests.support.cases import Act, OpCase


def mean(
    name: str,
    x: Act,
    axes: tuple[int, ...],
    out: tuple[float, float] | None = None,
    *,
    keepdims: bool = True,
    clamp: Clamp = NO_CLAMP,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "reduce_mean", ReduceMeanParams(axes, keepdims, clamp), (x,), out)


IMAGE = Act((1, 4, 5, 6))

OWN_CASES = (
    mean("height-and-width", IMAGE, (1, 2)),
    mean("height-and-width-gone", IMAGE, (1, 2), keepdims=False),
    mean("height", IMAGE, (1,)),
    mean("width", IMAGE, (2,)),
    mean("channels", IMAGE, (3,)),
    mean("height-and-channels", IMAGE, (1, 3)),
    mean("width-and-channels", IMAGE, (2, 3), keepdims=False),
    mean("everything", IMAGE, (1, 2, 3)),
    mean("everything-and-the-batch", IMAGE, (0, 1, 2, 3)),
    mean("batch-only", IMAGE, (0,)),
    mean("sequence-time", Act((1, 11, 4)), (1,)),
    mean("sequence-channels", Act((1, 11, 4)), (2,), keepdims=False),
    mean("vector", Act((1, 50)), (1,)),
    mean("axis-of-one", Act((1, 1, 5, 6)), (1,)),
    mean("zero-points-lowest", Act((1, 4, 5, 6), 0, 6), (1, 2), (0, 6)),
    mean("zero-points-highest", Act((1, 4, 5, 6), -6, 0), (1, 2), (-6, 0)),
    mean("zero-points-odd", Act((1, 4, 5, 6), -1, 3), (1, 2), (-2, 3)),
    mean("clamp", Act((1, 4, 5, 6)), (3,), (-1, 1), clamp=Clamp(-0.4, 0.4)),
    mean("shift", Act((1, 2, 5, 6), -8, 8), (1,), (-1, 1)),
    mean("large", Act((1, 40, 40, 2)), (1, 2), (-0.1, 0.1)),
)
TFLITE_CASES = {"height-and-width", "vector", "zero-points-odd", "clamp", "shift", "large"}
"""What is computed in TFLite's own arithmetic, too."""

CASES = (
    *OWN_CASES,
    *(as_tflite(case) for case in OWN_CASES if case.name in TFLITE_CASES),
)
