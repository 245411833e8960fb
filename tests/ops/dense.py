"""Cases of the dense layer."""

from dataclasses import replace

from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.dense import DenseParams
from tests.support.cases import Act, Bias, OpCase, Weights


def dense(
    name: str,
    x: Act,
    weights: Weights,
    *,
    bias: float | None = 0.5,
    out: tuple[float, float] | None = None,
    clamp: Clamp = NO_CLAMP,
    few_codes: bool = False,
) -> OpCase:
    """Build a case."""
    operands = (x, weights) if bias is None else (x, weights, Bias(bias))
    return OpCase(name, "dense", DenseParams(clamp), operands, out, few_codes=few_codes)


OWN_CASES = (
    dense("plain", Act((1, 20)), Weights((12, 20))),
    dense("no-bias", Act((1, 20)), Weights((12, 20)), bias=None),
    dense("odd", Act((1, 37)), Weights((11, 37))),
    dense("one-input", Act((1, 1)), Weights((5, 1))),
    dense("one-output", Act((1, 33)), Weights((1, 33))),
    dense("one-of-everything", Act((1, 1)), Weights((1, 1))),
    dense("rows", Act((1, 6, 9)), Weights((7, 9))),
    dense("rows-of-rank-4", Act((1, 2, 3, 8)), Weights((5, 8))),
    dense("batch-axis-of-rows", Act((4, 10)), Weights((6, 10))),
    dense("wide", Act((1, 700)), Weights((10, 700), 0.05)),
    # Vectors and blocks of the cores with Helium: loops, tails, whole blocks.
    *(
        dense(f"{rows}-rows-{n}-to-{m}", Act((1, rows, n)), Weights((m, n), 0.1))
        for rows, n, m in ((1, 160, 16), (1, 176, 9), (1, 24, 8), (1, 190, 24), (1, 16, 3),
                           (3, 16, 8), (2, 200, 4), (3, 196, 5), (4, 160, 12), (5, 177, 6))
    ),
    dense("clamp-looped", Act((1, 200)), Weights((16, 200), 0.1), out=(-1, 1),
          clamp=Clamp(-0.7, 0.2)),
    dense("relu", Act((1, 16)), Weights((10, 16)), out=(0, 2), clamp=Clamp(0)),
    dense("clamp", Act((1, 16)), Weights((10, 16)), out=(-1, 1), clamp=Clamp(-0.7, 0.2)),
    dense("zero-points-lowest", Act((1, 16), 0, 1), Weights((10, 16)), out=(0, 2)),
    dense("zero-points-highest", Act((1, 16), -1, 0), Weights((10, 16)), out=(-2, 0)),
    dense("zero-points-odd", Act((1, 16), -0.2, 1), Weights((10, 16)), out=(-1, 2.2)),
    dense("shift", Act((1, 16), -4, 4), Weights((10, 16), 4.0), out=(-1, 1)),
    dense("shift-in-some-channels", Act((1, 16)), Weights((12, 16), 2.0, uneven=1e4),
          out=(-0.5, 0.5)),
    dense("shift-large", Act((1, 16), -50, 50), Weights((10, 16), 4.0), out=(-20, 20)),
    dense("tiny", Act((1, 16)), Weights((10, 16), 1e-5), bias=1e-5),
    dense("tiny-next-to-large", Act((1, 16)), Weights((14, 16), uneven=3e4)),
    dense("bias-only", Act((1, 16)), Weights((16, 16), 3e-4), bias=4.0),
    dense("dead-channels", Act((1, 16)), Weights((10, 16), pattern="dead")),
    dense("extreme", Act((1, 500)), Weights((6, 500), pattern="extreme", uneven=1.0)),
    dense("largest", Act((1, 2000), 0, 1), Weights((20, 2000), pattern="largest"), bias=90.0),
    dense("largest-of-the-highest-zero-point", Act((1, 2000), -1, 0),
          Weights((20, 2000), pattern="largest"),
        bias=90.0,),
)  # fmt: skip

CASES = (
    *OWN_CASES,
    *(replace(case, name=f"tflite-{case.name}", numerics="tflite") for case in OWN_CASES),
)
"""Every case is computed by TFLite's arithmetic, too."""
