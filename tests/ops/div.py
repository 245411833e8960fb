"""Cases of division."""

from edgecomp.ops.div import DivParams
from tests.support.binary_cases import binary_cases
from tests.support.cases import Act, Codes, OpCase

CASES = (
    *(case for case in binary_cases("div", DivParams) if case.out is not None),
    OpCase(
        "equal-shapes", "div", DivParams(), (Act((1, 5, 4, 3)), Act((1, 5, 4, 3), 0, 2)), (-4, 4)
    ),
    OpCase(
        "per-channel", "div", DivParams(), (Act((1, 5, 4, 6)), Act((1, 1, 1, 6), -1, 2)), (-3, 4)
    ),
    OpCase("per-pixel-left", "div", DivParams(), (Act((1, 4, 5, 1)), Act((1, 4, 5, 6))), (-3, 3)),
    OpCase("constant-left", "div", DivParams(), (Codes((1, 5, 4, 3)), Act((1, 5, 4, 3))), (-3, 3)),
    OpCase("constant-right", "div", DivParams(), (Act((1, 6, 6)), Codes((1, 6, 6), 0, 2)), (-3, 3)),
    OpCase("vectors", "div", DivParams(), (Act((1, 40)), Act((1, 40), -3, 0)), (-2, 2)),
    OpCase(
        "small-divisors", "div", DivParams(), (Act((1, 40), 0, 1), Act((1, 40), 0, 1e-3)), (0, 9e3)
    ),
    OpCase(
        "large-divisors", "div", DivParams(), (Act((1, 40)), Act((1, 40), 0, 1e5)), (-1e-4, 1e-4)
    ),
)
