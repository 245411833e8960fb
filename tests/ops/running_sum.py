"""Cases of sums over a ring; sums and the number of the slot are random as all codes are."""

from edgecomp.ops.history import RingParams
from tests.support.cases import Act, OpCase


def running_sum(name: str, frames: int, frame_elements: int, step: int = 1) -> OpCase:
    """Build a case."""
    params = RingParams(frames, frame_elements, step)
    operands = (Act((1, 4 * frame_elements)), Act(params.shape), Act((1, step, frame_elements)))
    return OpCase(name, "running_sum", params, operands)


CASES = (
    running_sum("many", 250, 8),
    running_sum("odd", 201, 3),
    running_sum("one-element", 256, 1),
    running_sum("two-bytes", 300, 5),
    running_sum("slots-of-three", 600, 2, 3),
    running_sum("one-frame", 1, 6),
)
