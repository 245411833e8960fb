"""Cases of GRUs."""

from edgecomp.ops.gru import GruParams
from tests.support.cases import Act, OpCase, Slopes
from tests.support.recurrent_cases import recurrent


def gru(name, steps, inputs, units, starts=(), *, more=None, **params):
    """Build a case."""
    made = GruParams(**params)
    return recurrent(name, "gru", made, (steps, inputs, units), starts, **(more or {}))


CASES: tuple[OpCase, ...] = (
    gru("one-step", 1, 8, 8),
    gru("odd-sizes", 3, 5, 7),
    gru("one-unit", 4, 3, 1),
    gru("one-input", 4, 1, 6),
    gru("words", 2, 16, 32),
    gru("long", 12, 4, 5, more={"magnitude": 0.2}),
    gru("extreme-weights", 2, 64, 9, more={"weights": {"pattern": "extreme"}, "magnitude": 0.1}),
    gru("largest-weights", 2, 96, 3, more={"weights": {"pattern": "largest"}, "magnitude": 1.0}),
    gru("uneven-weights", 2, 8, 8, more={"weights": {"uneven": 1e4}}),
    gru("zero-point-lowest", 3, 6, 6, more={"span": (0, 3)}),
    gru("zero-point-highest", 3, 6, 6, more={"span": (-3, 0)}),
    gru("other-hidden-scale", 3, 6, 6, more={"out": (-1.0, 1.4)}),
    gru("clip", 3, 6, 6, clip=0.7),
    gru("last", 3, 6, 6, emits="last"),
    gru("given", 2, 6, 4, (Act((1, 4), -1, 0.5),), begins="given"),
    gru("constant", 2, 6, 3, (Slopes((0.5, 0, -1)),), begins="given"),
    gru("batch", 2, 5, 6, more={"batch": 3}),
    gru("batch-given", 2, 5, 4, (Act((2, 4)),), begins="given", emits="last", more={"batch": 2}),
    gru("reset-before", 3, 6, 6, reset_after=False),
    gru("reset-before-odd", 3, 5, 7, reset_after=False, emits="last"),
    gru("reset-before-given", 2, 6, 4, (Act((1, 4), -1, 1),), begins="given", reset_after=False),
    gru("reset-before-clip", 2, 6, 6, reset_after=False, clip=0.7),
)
