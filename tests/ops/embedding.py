"""Cases of rows of a table by computed indices."""

from edgecomp.ir import Shape
from edgecomp.ops.embedding import EmbeddingParams
from tests.support.cases import Act, OpCase, Rows

INDICES = (0, 255)
"""Scale 1, zero point -128."""


def embedding(
    name: str, shape: Shape, rows: int, width: int, indices: tuple[float, float] = INDICES
) -> OpCase:
    """Build a case; most of the indices of small tables lie outside."""
    operands = (Act(shape, *indices), Rows((rows, width)))
    return OpCase(name, "embedding", EmbeddingParams(), operands)


CASES = (
    embedding("words", (1, 12), 40, 16),
    embedding("every-row", (1, 40), 256, 8),
    embedding("long-rows", (1, 5), 100, 37),
    embedding("wide", (1, 9), 30, 64),
    embedding("short-rows", (1, 25), 130, 4),
    embedding("one-element", (1, 30), 200, 1),
    embedding("one-row", (1, 7), 1, 24),
    embedding("one-index", (1, 1), 90, 20),
    embedding("grid", (1, 3, 4), 50, 5),
    embedding("signed-indices", (1, 20), 100, 18, (-128, 127)),
    embedding("indices-below", (1, 20), 50, 6, (-200, 55)),
)
