"""Cases of the indices of the best elements of rows."""

from edgecomp.ir import Shape
from edgecomp.ops.top import TopParams
from tests.ops.argmax import INDICES
from tests.support.cases import Act, OpCase


def top_indices(
    name: str, shape: Shape, params: TopParams, out: tuple[float, float] = INDICES
) -> OpCase:
    """Build a case."""
    return OpCase(name, "top_indices", params, (Act(shape, -1, 2),), out)


CASES = (
    top_indices("classes", (1, 12, 20), TopParams(5)),
    top_indices("smallest", (1, 12, 20), TopParams(4, largest=False)),
    top_indices("pixels", (1, 3, 4, 15), TopParams(2)),
    top_indices("sorted-with-equals", (1, 3, 250), TopParams(250)),
    top_indices("upwards-with-equals", (1, 3, 250), TopParams(250, largest=False)),
    top_indices("vector", (1, 19), TopParams(3)),
    top_indices("256", (1, 4, 256), TopParams(9)),
    top_indices("another-scale", (1, 12, 20), TopParams(5), out=(0, 25)),
)
