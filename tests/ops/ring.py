"""Cases of rings that are written; the number of the slot is random as all codes are."""

from edgecomp.ops.history import RingParams
from tests.support.cases import Act, OpCase


def ring(name: str, frames: int, frame_elements: int, step: int = 1) -> OpCase:
    """Build a case."""
    params = RingParams(frames, frame_elements, step)
    return OpCase(name, "ring", params, (Act(params.shape), Act((1, step, frame_elements))))


CASES = (
    ring("words", 250, 8),
    ring("bytes", 201, 3),
    ring("every-slot", 256, 1),
    ring("two-bytes", 257, 4),
    ring("slots-of-two", 400, 4, 2),
    ring("slots-of-three", 600, 1, 3),
    ring("few", 5, 12),
    ring("one", 1, 20),
)
