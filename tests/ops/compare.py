"""Cases of comparisons."""

from typing import Literal

from edgecomp.ops.where import CompareParams
from tests.support.cases import Act, Again, Codes, OpCase, Operand

TRUTH = (-128, 127)
"""Scale 1, zero point 0."""


def compare(
    name: str,
    kind: Literal["less", "less_or_equal", "equal"],
    a: Operand,
    b: Operand,
    out: tuple[float, float] = TRUTH,
) -> OpCase:
    """Build a case: a truth value has two codes."""
    return OpCase(name, "compare", CompareParams(kind), (a, b), out, few_codes=True)


IMAGE = Act((1, 5, 4, 3))

CASES = (
    compare("less", "less", IMAGE, Act((1, 5, 4, 3), -2, 1)),
    compare("less-or-equal", "less_or_equal", IMAGE, Act((1, 5, 4, 3), -2, 1)),
    compare("equal", "equal", IMAGE, Act((1, 1, 4, 3))),
    compare("equal-to-itself", "equal", IMAGE, Again(0)),
    compare("less-than-itself", "less", IMAGE, Again(0)),
    compare("per-channel", "less", IMAGE, Codes((1, 1, 1, 3))),
    compare("constant-left", "less_or_equal", Codes((1, 5, 4, 3)), IMAGE),
    compare("outer", "less", Act((1, 1, 6)), Act((1, 5, 1), 0, 3)),
    compare("zero-points", "less", Act((1, 30), 0, 4), Act((1, 30), -3, 0)),
    compare("far-apart", "less", Act((1, 30), -1000, 1000), Act((1, 30))),
    compare("another-scale", "less", Act((1, 30)), Act((1, 30)), (0, 1)),
)
