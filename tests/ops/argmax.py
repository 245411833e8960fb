"""Cases of the index of the largest and smallest element."""

from edgecomp.ir import Shape
from edgecomp.ops.argmax import ArgMaxParams
from tests.support.cases import Act, OpCase

LARGEST = ArgMaxParams()
INDICES = (0, 255)
"""Scale 1, zero point -128."""


def argmax(
    name: str,
    shape: Shape,
    params: ArgMaxParams = LARGEST,
    out: tuple[float, float] = INDICES,
    *,
    few_codes: bool = False,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "argmax", params, (Act(shape, -1, 2),), out, few_codes=few_codes)


CASES = (
    argmax("classes", (1, 12, 20)),
    argmax("smallest", (1, 12, 20), ArgMaxParams(largest=False)),
    argmax("last-of-equals", (1, 12, 20), ArgMaxParams(last=True)),
    argmax("last-smallest", (1, 12, 20), ArgMaxParams(largest=False, last=True)),
    argmax("pixels", (1, 3, 4, 15)),
    argmax("one-class", (1, 5, 1), few_codes=True),
    argmax("two-classes", (1, 9, 2), few_codes=True),
    argmax("vector", (1, 19)),
    argmax("starts", (1, 3, 4, 15), ArgMaxParams(starts=(0, 3, 5, 9, *range(70, 141, 10)))),
    argmax("far-starts", (1, 3, 4), ArgMaxParams(starts=(0, 250, 256)), out=(0, 300)),
    argmax("256", (1, 40, 256)),
    argmax("another-scale", (1, 12, 20), out=(0, 25)),
    argmax("coarse-scale", (1, 12, 100), out=(0, 5000), few_codes=True),
)
