"""Cases of rings that are read; the number of the slot is random as all codes are."""

from edgecomp.ops.history import RingParams, TapsParams
from tests.support.cases import Act, OpCase


def taps(
    name: str, frames: int, frame_elements: int, count: int, age: int, spacing: int, step: int = 1
) -> OpCase:
    """Build a case."""
    output = (1, count, frame_elements)
    params = TapsParams(frames, frame_elements, step, age, spacing, output)
    shape = RingParams(frames, frame_elements, step).shape
    return OpCase(name, "taps", params, (Act(shape),))


CASES = (
    taps("dilated", 250, 8, 3, 128, 64),
    taps("bytes", 201, 3, 4, 60, 20),
    taps("neighbours", 220, 4, 5, 4, 1),
    taps("delay", 256, 4, 1, 255, 1),
    taps("newest", 256, 16, 1, 0, 1),
    taps("two-bytes", 300, 4, 2, 299, 299),
    taps("slots-of-two", 400, 4, 3, 21, 10, 2),
    taps("before-the-newest", 300, 1, 12, 100, 9, 3),
    taps("whole", 5, 12, 5, 4, 1),
)
