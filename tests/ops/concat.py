"""Cases of concatenation."""

from edgecomp.ir import Shape
from edgecomp.ops.movement import ConcatParams
from tests.support.cases import Act, Again, OpCase, Operand


def concat(name: str, axis: int, *inputs: Shape | Again) -> OpCase:
    """Build a case."""
    operands: tuple[Operand, ...] = tuple(
        shape if isinstance(shape, Again) else Act(shape) for shape in inputs
    )
    return OpCase(name, "concat", ConcatParams(axis), operands)


CASES = (
    concat("channels", 3, (1, 3, 4, 2), (1, 3, 4, 5)),
    concat("three", 3, (1, 3, 4, 2), (1, 3, 4, 1), (1, 3, 4, 3)),
    concat("rows", 1, (1, 2, 4, 3), (1, 3, 4, 3)),
    concat("columns", 2, (1, 3, 2, 3), (1, 3, 5, 3)),
    concat("batch", 0, (1, 3, 5), (2, 3, 5)),
    concat("sequences", 1, (1, 6, 3), (1, 2, 3)),
    concat("vectors", 1, (1, 11), (1, 7)),
    concat("same-tensor-twice", 3, (1, 3, 4, 2), Again(0)),
    concat("same-tensor-around-another", 3, (1, 3, 4, 2), (1, 3, 4, 1), Again(0)),
    concat("seven", 1, (1, 3), (1, 1), (1, 4), (1, 1), (1, 5), (1, 9), (1, 2)),
)
