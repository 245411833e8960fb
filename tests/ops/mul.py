"""Cases of multiplication."""

from edgecomp.ops.mul import MulParams
from tests.support.binary_cases import binary_cases
from tests.support.cases import Act, OpCase

CASES = (
    *binary_cases("mul", MulParams),
    OpCase("gate", "mul", MulParams(), (Act((1, 5, 4, 8), -3, 3), Act((1, 1, 1, 8), 0, 255 / 256))),
    OpCase("shift", "mul", MulParams(), (Act((1, 40), -9, 9), Act((1, 40), -8, 8)), (-1, 1)),
    OpCase(
        "shift-large",
        "mul",
        MulParams(),
        (Act((1, 90), -90, 90), Act((1, 90), -90, 90)),
        (-1, 1),
        few_codes=True,
    ),
)
