"""Cases of reshape."""

from edgecomp.ir import Shape
from edgecomp.ops.movement import ReshapeParams
from tests.support.cases import Act, OpCase


def reshape(name: str, old: Shape, new: Shape) -> OpCase:
    """Build a case."""
    return OpCase(name, "reshape", ReshapeParams(new), (Act(old),))


CASES = (
    reshape("flatten", (1, 3, 4, 5), (1, 60)),
    reshape("unflatten", (1, 60), (1, 5, 4, 3)),
    reshape("squeeze", (1, 1, 1, 20), (1, 20)),
    reshape("unsqueeze", (1, 20), (1, 1, 20)),
    reshape("without-batch", (1, 4, 6), (4, 6)),
)
