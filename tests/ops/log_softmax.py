"""Cases of the logarithm of softmax."""

from edgecomp.ir import Shape
from edgecomp.ops.log_softmax import LogSoftmaxParams
from tests.support.cases import Act, OpCase


def log_softmax(
    name: str,
    shape: Shape,
    span: tuple[float, float] = (-3, 3),
    out: tuple[float, float] | None = None,
    *,
    few_codes: bool = False,
) -> OpCase:
    """Build a case."""
    params = LogSoftmaxParams()
    return OpCase(name, "log_softmax", params, (Act(shape, *span),), out, few_codes=few_codes)


CASES = (
    log_softmax("1", (1, 1), few_codes=True),
    log_softmax("2", (1, 8, 2)),
    log_softmax("10", (1, 10)),
    log_softmax("12-rows", (1, 9, 12)),
    log_softmax("pixels", (1, 3, 4, 5)),
    log_softmax("sharp", (1, 9, 12), (-30, 30)),
    log_softmax("flat", (1, 9, 12), (-0.01, 0.01), (-3, 0), few_codes=True),
    log_softmax("fine-output", (1, 9, 12), (-1, 1), (-4, -2)),
    log_softmax("coarse-output", (1, 9, 12), (-3, 3), (-100, 0)),
    log_softmax("zero-points-lowest", (1, 9, 12), (0, 6)),
    log_softmax("zero-points-highest", (1, 9, 12), (-6, 0)),
    log_softmax("300", (1, 300), (-5, 5)),
)
