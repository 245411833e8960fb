"""Cases of means from sums, which are random numbers of 32 bits: few lie within what is possible.

Rings are as long as none is, so that enough of them do.
"""

from edgecomp.ir import Clamp
from edgecomp.ops.running import RunningMeanParams
from tests.support.cases import Act, OpCase

LONG = 6_000_000


def running_mean(
    name: str, frames: int, count: int, *, low: float = -1.0, high: float = 1.0, **options: object
) -> OpCase:
    """Build a case."""
    clamp = options.pop("clamp", Clamp())
    assert isinstance(clamp, Clamp)
    params = RunningMeanParams(frames, count, output=(1, 1, count), clamp=clamp)
    return OpCase(name, "running_mean", params, (Act((1, 4 * count), low, high),), **options)


CASES = (
    running_mean("long", LONG, 24),
    running_mean("zero-point-lowest", LONG, 24, low=0.0),
    running_mean("zero-point-highest", LONG, 24, high=0.0),
    running_mean("relu", LONG, 24, clamp=Clamp(0.0)),
    running_mean("other-scale", LONG, 24, out=(-0.3, 0.9)),
    running_mean("short", 49, 24, few_codes=True),
)
