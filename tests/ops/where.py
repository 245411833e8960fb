"""Cases of choosing by a condition."""

from edgecomp.ops.where import WhereParams
from tests.support.cases import Act, Again, Codes, OpCase, Operand


def where(
    name: str,
    condition: Operand,
    yes: Operand,
    no: Operand,
    out: tuple[float, float] | None = None,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "where", WhereParams(), (condition, yes, no), out)


IMAGE = (1, 5, 4, 3)
RARE = Act(IMAGE, -1, 1)
"""A condition that does not hold for one code of 256, and holds at both ends."""

CASES = (
    where("equal-shapes", RARE, Act(IMAGE), Act(IMAGE, -2, 1)),
    where("condition-lowest", Act(IMAGE, 0, 1), Act(IMAGE), Act(IMAGE, -2, 1)),
    where("condition-highest", Act(IMAGE, -1, 0), Act(IMAGE), Act(IMAGE, -2, 1)),
    where("constant-no", RARE, Act(IMAGE), Codes((1, 1, 1, 1), -5, 0)),
    where("constant-yes", RARE, Codes(IMAGE), Act(IMAGE)),
    where("constant-mask", Codes(IMAGE, -1, 1), Act(IMAGE), Act(IMAGE, 0, 3)),
    where(
        "constant-mask-and-no", Codes((1, 5, 4, 1), -1, 1), Act(IMAGE), Codes((1, 1, 1, 1), 0, 9)
    ),
    where("broadcast", Act((1, 5, 1, 1), 0, 1), Act((1, 1, 4, 3)), Act((1, 5, 4, 1), -2, 1)),
    where("itself", Act(IMAGE, -1, 2), Again(0), Act(IMAGE, 0, 3)),
    where("scales-far-apart", RARE, Act(IMAGE, -1e3, 1e3), Act(IMAGE, -1e-3, 1e-3)),
    where("output-smaller", RARE, Act(IMAGE, -3, 3), Act(IMAGE, -2, 2), (-0.5, 0.5)),
    where("vectors", Act((1, 40), 0, 1), Act((1, 40)), Act((1, 40), -4, 0)),
)
