"""Cases of LSTMs."""

from dataclasses import replace

from edgecomp.ops.lstm import LstmParams
from tests.support.cases import Act, OpCase, Slopes
from tests.support.recurrent_cases import recurrent


def lstm(name, steps, inputs, units, starts=(), *, more=None, **params):
    """Build a case."""
    made = LstmParams(**{"cell_bits": 13, **params})
    return recurrent(name, "lstm", made, (steps, inputs, units), starts, **(more or {}))


def tflite(name, steps, inputs, units, *, more=None, **params):
    """Build a case in TFLite's arithmetic: a scale for each gate, here one for all."""
    weights = {"uneven": 1.0, **(more or {}).get("weights", {})}
    case = lstm(
        f"tflite-{name}", steps, inputs, units, more={**(more or {}), "weights": weights}, **params
    )
    return replace(case, numerics="tflite")


TFLITE: tuple[OpCase, ...] = (
    tflite("one-step", 1, 8, 8),
    tflite("odd-sizes", 3, 5, 7),
    tflite("one-unit", 4, 3, 1),
    tflite("words", 2, 16, 32),
    tflite("long", 12, 4, 5, more={"magnitude": 0.2}),
    tflite("extreme", 2, 24, 9, more={"weights": {"pattern": "extreme"}, "magnitude": 0.1}),
    tflite("wide-input", 2, 9, 6, more={"span": (-40, 40), "magnitude": 0.02}),
    tflite("tiny-input", 2, 9, 6, more={"span": (-1e-3, 1e-3), "bias": 2.0}),
    tflite("zero-point-lowest", 3, 6, 6, more={"span": (0, 3)}),
    tflite("other-hidden-scale", 3, 6, 6, more={"out": (-0.8, 1.1)}),
    tflite("cell-clip", 4, 6, 6, cell_clip=0.5, more={"magnitude": 1.0}),
    tflite("fine-cell", 1, 6, 6, cell_bits=15),
    tflite("coarse-cell", 2, 6, 6, cell_bits=8),
    tflite("last", 3, 6, 6, emits="last"),
    tflite("batch", 2, 5, 6, more={"batch": 3}),
)

CASES: tuple[OpCase, ...] = (
    lstm("one-step", 1, 8, 8),
    lstm("odd-sizes", 3, 5, 7),
    lstm("one-unit", 4, 3, 1),
    lstm("one-input", 4, 1, 6),
    lstm("words", 2, 16, 32),
    lstm("long", 12, 4, 5, more={"magnitude": 0.2}),
    lstm("extreme-weights", 2, 64, 9, more={"weights": {"pattern": "extreme"}, "magnitude": 0.1}),
    lstm("largest-weights", 2, 96, 3, more={"weights": {"pattern": "largest"}, "magnitude": 1.0}),
    lstm("uneven-weights", 2, 8, 8, more={"weights": {"uneven": 1e4}}),
    lstm("dead-rows", 2, 8, 8, more={"weights": {"pattern": "dead"}}),
    lstm("huge-input", 2, 9, 6, more={"span": (-1e4, 1e4), "magnitude": 1e-4}),
    lstm("tiny-input", 2, 9, 6, more={"span": (-1e-3, 1e-3), "bias": 2.0}),
    lstm("zero-point-lowest", 3, 6, 6, more={"span": (0, 3)}),
    lstm("zero-point-highest", 3, 6, 6, more={"span": (-3, 0)}),
    lstm("other-hidden-scale", 3, 6, 6, more={"out": (-0.8, 1.1)}),
    lstm("clip", 3, 6, 6, clip=0.7),
    lstm("coupled", 3, 6, 6, coupled=True),
    lstm("peepholes", 3, 6, 6, peepholes=True),
    lstm("peepholes-coupled", 3, 6, 6, peepholes=True, coupled=True),
    lstm("last", 3, 6, 6, emits="last"),
    lstm("memory", 3, 6, 6, emits="memory", more={"out": (-1.5, 1)}),
    lstm("fine-cell", 1, 6, 6, cell_bits=15),
    lstm("coarse-cell", 2, 6, 6, cell_bits=8),
    lstm("given", 2, 6, 4, (Act((1, 4), -1, 0.5), Act((1, 4), -2, 3)), begins="given"),
    lstm("given-cell", 2, 6, 4, (Slopes((0.5, 0, -0.3, 1)), Act((1, 4), -2, 3)), begins="given"),
    lstm("constant", 2, 6, 3, (Slopes((0.5, 0, -1)), Slopes((0.1, -2, 3.5))), begins="given"),
    lstm("last-of-one", 1, 3, 5, emits="last"),
    lstm("batch", 2, 5, 6, more={"batch": 3}),
    lstm(
        "batch-given",
        2,
        5,
        4,
        (Act((2, 4)), Act((2, 4), -2, 3)),
        begins="given",
        emits="memory",
        more={"batch": 2, "out": (-3, 3)},
    ),
    lstm(
        "batch-constant",
        2,
        5,
        4,
        (Slopes((0.5, 0, -1, 0.2)), Slopes((0.1, -2, 3, 1))),
        begins="given",
        emits="last",
        more={"batch": 2},
    ),
    lstm("cell-clip", 4, 6, 6, cell_clip=0.5, more={"magnitude": 1.0}),
    *TFLITE,
)
