"""Cases of the sum over axes: those of the mean, with other scales."""

from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.reduce_mean import ReduceMeanParams
from tests.support.binary_cases import as_tflite
from tests.support.cases import Act, OpCase


def total(
    name: str,
    x: Act,
    axes: tuple[int, ...],
    out: tuple[float, float] | None = None,
    *,
    keepdims: bool = True,
    clamp: Clamp = NO_CLAMP,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "reduce_sum", ReduceMeanParams(axes, keepdims, clamp), (x,), out)


IMAGE = Act((1, 4, 5, 6))

OWN_CASES = (
    total("height-and-width", IMAGE, (1, 2)),
    total("height-and-width-gone", IMAGE, (1, 2), keepdims=False),
    total("height", IMAGE, (1,)),
    total("channels", IMAGE, (3,)),
    total("height-and-channels", IMAGE, (1, 3)),
    total("everything", IMAGE, (1, 2, 3)),
    total("batch-only", IMAGE, (0,)),
    total("sequence-time", Act((1, 11, 4)), (1,)),
    total("vector", Act((1, 50)), (1,)),
    total("axis-of-one", Act((1, 1, 5, 6)), (1,)),
    total("zero-points-lowest", Act((1, 4, 5, 6), 0, 6), (1, 2), (0, 120)),
    total("zero-points-highest", Act((1, 4, 5, 6), -6, 0), (1, 2), (-120, 0)),
    total("zero-points-odd", Act((1, 4, 5, 6), -1, 3), (1, 2), (-20, 30)),
    total("clamp", Act((1, 4, 5, 6)), (3,), (-4, 4), clamp=Clamp(-2.4, 2.4)),
    total("shift", Act((1, 2, 5, 6), -8, 8), (1,), (-1, 1)),
    total("large", Act((1, 40, 40, 2)), (1, 2), (-150, 150)),
)
TFLITE_CASES = {"height-and-channels", "vector", "zero-points-odd", "shift"}
"""What is computed in TFLite's own arithmetic, too."""

CASES = (
    *OWN_CASES,
    *(as_tflite(case) for case in OWN_CASES if case.name in TFLITE_CASES),
)
