"""Cases of softmax."""

from edgecomp.ir import Shape
from edgecomp.ops.softmax import SoftmaxParams
from tests.support.binary_cases import as_tflite
from tests.support.cases import Act, OpCase

PROBABILITY = (0, 255 / 256)
"""The usual output: scale 1/256, zero point -128."""


def softmax(
    name: str,
    shape: Shape,
    span: tuple[float, float],
    out: tuple[float, float] | None = PROBABILITY,
    *,
    few_codes: bool = False,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "softmax", SoftmaxParams(), (Act(shape, *span),), out, few_codes=few_codes)


OWN_CASES = (
    softmax("1", (1, 1), (-3, 3), few_codes=True),
    softmax("2", (1, 2), (-2, 2)),
    softmax("3-rows", (1, 6, 3), (-2, 2)),
    softmax("10", (1, 10), (-3, 3)),
    softmax("12", (1, 12), (-3, 3)),
    softmax("12-sharp", (1, 9, 12), (-30, 30)),
    softmax("12-flat", (1, 9, 12), (-0.5, 0.5), (0, 0.2)),
    softmax("every-pixel", (1, 3, 4, 5), (-2, 2)),
    softmax("1000", (1, 1000), (-8, 8), (0, 0.02)),
    softmax("1000-sharp", (1, 2, 1000), (-300, 300)),
    softmax("scale-1-128", (1, 9, 6), (-2, 2), (-1, 127 / 128)),
    softmax("scale-not-a-power-of-two", (1, 9, 6), (-2, 2), (0, 0.9)),
    softmax("scale-small", (1, 9, 30), (-0.1, 0.1), (0, 0.05)),
    softmax("scale-large", (1, 40, 3), (-3, 3), (-3, 4)),
    softmax("zero-point-odd", (1, 9, 6), (-2, 2), (-0.3, 1)),
    softmax("saturating", (1, 9, 6), (-2, 2), (0, 0.3)),
    softmax("input-zero-point-lowest", (1, 9, 6), (0, 5)),
    softmax("input-zero-point-highest", (1, 9, 6), (-5, 0)),
    softmax("input-scale-tiny", (1, 9, 6), (-1e-3, 1e-3), few_codes=True),
    softmax("input-scale-huge", (1, 40, 6), (-1e4, 1e4), few_codes=True),
)

CASES = (
    *OWN_CASES,
    *(
        as_tflite(case)
        for case in OWN_CASES
        if case.out == PROBABILITY and case.name not in {"1000-sharp", "every-pixel"}
    ),
)
