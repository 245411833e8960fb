"""Cases that the element-wise operators of two operands share."""

from collections.abc import Callable
from dataclasses import replace

from edgecomp.ir import NO_CLAMP, Clamp, OpParams
from tests.support.cases import Act, Again, Codes, OpCase, Operand

TFLITE_CASES = frozenset(
    {
        "equal-shapes", "one-element", "per-channel-right", "constant-per-channel",
        "constant-left", "zero-points-opposite", "relu6", "same-tensor-twice",
    }
)  # fmt: skip
"""What is computed in TFLite's own arithmetic, too."""


def as_tflite(case: OpCase) -> OpCase:
    """The same layer in TFLite's arithmetic."""
    return replace(case, name=f"{case.name}-tflite", numerics="tflite")


def binary_cases(op: str, params: Callable[[Clamp], OpParams]) -> tuple[OpCase, ...]:
    """Broadcasting on both sides, constants, zero points, magnitudes."""

    def case(
        name: str,
        a: Operand,
        b: Operand,
        out: tuple[float, float] | None = None,
        clamp: Clamp = NO_CLAMP,
    ) -> OpCase:
        return OpCase(name, op, params(clamp), (a, b), out)

    cases = (
        # Shapes.
        case("equal-shapes", Act((1, 5, 4, 3)), Act((1, 5, 4, 3), -2, 1)),
        case("vectors", Act((1, 21)), Act((1, 21), 0, 3)),
        case("sequences", Act((1, 7, 5)), Act((1, 7, 5))),
        case("one-element", Act((1, 1)), Act((1, 1), -3, 2)),
        case("per-channel-right", Act((1, 4, 5, 6)), Act((1, 1, 1, 6))),
        case("per-channel-left", Act((1, 1, 1, 6)), Act((1, 4, 5, 6))),
        case("per-pixel-right", Act((1, 4, 5, 6)), Act((1, 4, 5, 1))),
        case("per-pixel-left", Act((1, 4, 5, 1)), Act((1, 4, 5, 6))),
        case("per-row", Act((1, 4, 5, 6)), Act((1, 4, 1, 1))),
        case("per-column", Act((1, 4, 5, 6)), Act((1, 1, 5, 1))),
        case("scalar-right", Act((1, 4, 5, 6)), Act((1, 1, 1, 1))),
        case("both-sides", Act((1, 4, 1, 6)), Act((1, 1, 5, 1))),
        case("outer", Act((1, 1, 6)), Act((1, 5, 1))),
        OpCase(
            "same-tensor-twice",
            op,
            params(NO_CLAMP),
            (Act((1, 5, 4, 3), -1, 2), Again(0)),
            few_codes=op == "sub",
        ),
        # Constants.
        case("constant-right", Act((1, 5, 4, 3)), Codes((1, 5, 4, 3))),
        case("constant-left", Codes((1, 5, 4, 3)), Act((1, 5, 4, 3))),
        case("constant-per-channel", Act((1, 5, 4, 3)), Codes((1, 1, 1, 3), -5, 5)),
        case("constant-per-pixel-left", Codes((1, 5, 4, 1), 0, 2), Act((1, 5, 4, 3))),
        case("constant-larger-than-the-input", Act((1, 1, 1, 3)), Codes((1, 5, 4, 3))),
        case("constant-scalar", Act((1, 5, 4, 3)), Codes((1, 1, 1, 1))),
        # Zero points.
        case("zero-points-lowest", Act((1, 6, 6), 0, 4), Act((1, 6, 6), 0, 3)),
        case("zero-points-highest", Act((1, 6, 6), -4, 0), Act((1, 6, 6), -3, 0)),
        case("zero-points-opposite", Act((1, 6, 6), 0, 4), Act((1, 6, 6), -3, 0)),
        case("output-lowest", Act((1, 6, 6)), Act((1, 6, 6)), (0, 2)),
        case("output-highest", Act((1, 6, 6)), Act((1, 6, 6)), (-2, 0)),
        # Fused activations.
        case("relu", Act((1, 6, 6)), Act((1, 6, 6)), (0, 1.5), Clamp(0)),
        case("relu6", Act((1, 6, 6), -4, 5), Act((1, 6, 6), -4, 5), (0, 7), Clamp(0, 6)),
        case("clamp", Act((1, 6, 6)), Act((1, 6, 6)), (-1, 1), Clamp(-0.3, 0.8)),
        # Magnitudes.
        case("left-much-larger", Act((1, 6, 6), -1000, 1000), Act((1, 6, 6))),
        case("right-much-larger", Act((1, 6, 6)), Act((1, 6, 6), -1000, 1000)),
        case("output-smaller", Act((1, 6, 6), -3, 3), Act((1, 6, 6), -2, 2), (-0.5, 0.5)),
        case("output-much-smaller", Act((1, 6, 6), -90, 90), Act((1, 6, 6), -9, 9), (-8, 8)),
        case("output-much-larger", Act((1, 9, 9, 3)), Act((1, 9, 9, 3)), (-10, 10)),
        case("tiny", Act((1, 6, 6), -1e-7, 1e-7), Act((1, 6, 6), -3e-7, 2e-7)),
        case("huge", Act((1, 6, 6), -1e7, 3e7), Act((1, 6, 6), -5e6, 1e7)),
    )
    if op not in {"add", "sub", "mul"}:
        return cases
    return (*cases, *(as_tflite(one) for one in cases if one.name in TFLITE_CASES))
