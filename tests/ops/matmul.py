"""Cases of products of two activations."""

from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.matmul import MatMulParams
from tests.support.binary_cases import as_tflite
from tests.support.cases import Act, Again, Codes, OpCase, Operand


def matmul(
    name: str,
    a: Operand,
    b: Operand,
    out: tuple[float, float] | None = None,
    clamp: Clamp = NO_CLAMP,
) -> OpCase:
    """Build a case."""
    return OpCase(name, "matmul", MatMulParams(clamp), (a, b), out)


OWN_CASES = (
    matmul("matrices", Act((5, 7)), Act((7, 6), -2, 1)),
    matmul("batch-of-one", Act((1, 5, 7)), Act((1, 7, 6))),
    matmul("heads", Act((1, 3, 5, 4)), Act((1, 3, 4, 6))),
    matmul("batches-repeated-right", Act((2, 3, 5, 4)), Act((1, 3, 4, 6))),
    matmul("batches-repeated-left", Act((1, 1, 5, 4)), Act((2, 3, 4, 6))),
    matmul("batches-both-ways", Act((2, 1, 5, 4)), Act((1, 3, 4, 6))),
    matmul("row", Act((1, 1, 9)), Act((1, 9, 11))),
    matmul("column", Act((1, 11, 9)), Act((1, 9, 1))),
    matmul("outer", Act((1, 6, 1)), Act((1, 1, 5))),
    matmul("inner", Act((1, 1, 30)), Act((1, 30, 1))),
    matmul("squared", Act((1, 6, 6)), Again(0)),
    matmul("constant-right", Act((1, 5, 4)), Codes((1, 4, 6))),
    matmul("constant-left", Codes((2, 5, 4)), Act((2, 4, 6))),
    matmul("zero-points-lowest", Act((1, 5, 9), 0, 4), Act((1, 9, 6), 0, 3), (0, 60)),
    matmul("zero-points-highest", Act((1, 5, 9), -4, 0), Act((1, 9, 6), -3, 0), (0, 60)),
    matmul("zero-points-opposite", Act((1, 5, 9), 0, 4), Act((1, 9, 6), -3, 0), (-60, 0)),
    matmul("clamp", Act((1, 6, 6)), Act((1, 6, 6)), (-2, 2), Clamp(-0.9, 1.1)),
    matmul("shift", Act((1, 12, 2), -7, 7), Act((1, 2, 12), -7, 7), (-0.5, 0.5)),
    matmul("tiny", Act((1, 6, 6), -1e-7, 1e-7), Act((1, 6, 6), -3e-7, 2e-7)),
    # Panels of four columns, pairs of rows, steps of four inputs: whole, odd, one step, a loop.
    *(
        matmul(f"{rows}x{depth}x{columns}", Act((1, 2, rows, depth)), Act((1, 2, depth, columns)))
        for rows, depth, columns in ((4, 24, 8), (7, 45, 11), (2, 3, 4), (3, 26, 5), (5, 4, 6))
    ),
    matmul("largest-sums", Act((1, 4, 800), 0, 4), Act((1, 800, 6), 0, 3), (0, 9000)),
    matmul("long", Act((1, 2, 900)), Act((1, 900, 3))),
)
TFLITE_CASES = {
    "heads",
    "zero-points-lowest",
    "clamp",
    "shift",
    "constant-right",
    "long",
    "7x45x11",
    "largest-sums",
}
"""What is computed in TFLite's own arithmetic, too."""

CASES = (
    *OWN_CASES,
    *(as_tflite(case) for case in OWN_CASES if case.name in TFLITE_CASES),
)
