"""Cases of the best elements of rows."""

from edgecomp.ir import Shape
from edgecomp.ops.top import TopParams
from tests.support.cases import Act, OpCase


def top_values(name: str, shape: Shape, params: TopParams, *, few_codes: bool = False) -> OpCase:
    """Build a case."""
    return OpCase(name, "top_values", params, (Act(shape, -1, 2),), few_codes=few_codes)


CASES = (
    top_values("classes", (1, 12, 20), TopParams(5)),
    top_values("smallest", (1, 12, 20), TopParams(4, largest=False)),
    top_values("pixels", (1, 3, 4, 15), TopParams(2)),
    top_values("sorted", (1, 3, 40), TopParams(40)),
    top_values("sorted-upwards", (1, 3, 40), TopParams(40, largest=False)),
    top_values("vector", (1, 19), TopParams(3)),
    top_values("one", (1, 9, 6), TopParams(1)),
    top_values("longer-than-codes", (1, 300), TopParams(7)),
)
