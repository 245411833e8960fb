"""Cases of simple recurrent layers."""

from edgecomp.ops.rnn import RnnParams
from tests.support.cases import Act, OpCase, Slopes
from tests.support.recurrent_cases import recurrent


def rnn(name, steps, inputs, units, starts=(), *, more=None, **params):
    """Build a case."""
    made = RnnParams(**params)
    return recurrent(name, "rnn", made, (steps, inputs, units), starts, **(more or {}))


CASES: tuple[OpCase, ...] = (
    rnn("one-step", 1, 8, 8),
    rnn("odd-sizes", 3, 5, 7),
    rnn("one-unit", 4, 3, 1),
    rnn("words", 2, 16, 32),
    rnn("long", 12, 4, 5, more={"magnitude": 0.2}),
    rnn("extreme-weights", 2, 64, 9, more={"weights": {"pattern": "extreme"}, "magnitude": 0.1}),
    rnn("largest-weights", 2, 96, 3, more={"weights": {"pattern": "largest"}, "magnitude": 1.0}),
    rnn("zero-point-lowest", 3, 6, 6, more={"span": (0, 3)}),
    rnn("zero-point-highest", 3, 6, 6, more={"span": (-3, 0)}),
    rnn("other-hidden-scale", 3, 6, 6, more={"out": (-1.0, 1.4)}),
    rnn("clip", 3, 6, 6, clip=0.7),
    rnn("last", 3, 6, 6, emits="last"),
    rnn("relu", 3, 6, 6, activation="relu", more={"out": (0, 5)}),
    rnn("relu-clip", 3, 6, 6, activation="relu", clip=1.5, more={"out": (0, 1.8)}),
    rnn("batch", 2, 5, 6, more={"batch": 3}),
    rnn("given", 2, 6, 4, (Act((1, 4), -1, 0.5),), begins="given"),
    rnn("constant", 2, 6, 3, (Slopes((0.5, 0, -1)),), begins="given"),
)
