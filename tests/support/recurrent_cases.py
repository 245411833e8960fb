"""What the cases of recurrent layers are made of."""

import zlib
from typing import Any

import numpy as np

from edgecomp.ops import OPS
from edgecomp.ops.recurrent import Recurrent, RecurrentParams
from tests.support.cases import Act, OpCase, Operand, Slopes, Weights

HIDDEN = (-1.0, 127 / 128)
"""The range of hidden codes: scale 1/128 and zero point 0."""


def recurrent(
    name: str,
    op: str,
    params: RecurrentParams,
    sizes: tuple[int, int, int],
    starts: tuple[Operand, ...] = (),
    *,
    span: tuple[float, float] = (-2, 2),
    magnitude: float = 0.4,
    bias: float = 0.5,
    out: tuple[float, float] | None = HIDDEN,
    weights: dict[str, Any] | None = None,
    batch: int = 1,
) -> OpCase:
    """Build a case.

    Args:
        name: of the case.
        op: `lstm`, `gru` or `rnn`.
        params: its parameters.
        sizes: steps, inputs, units.
        starts: the states that it begins with.
        span: real range of the input.
        magnitude: of the weights; the recurrent ones are smaller, the more units there are.
        bias: magnitude of biases and peepholes.
        out: real range of the output.
        weights: further attributes of both matrices.
        batch: sequences of the input.
    """
    layer = OPS[op]
    assert isinstance(layer, Recurrent)
    steps, inputs, units = sizes
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    rows = layer.gates * units
    biases = rows + (units if getattr(params, "reset_after", False) else 0)
    real = [Slopes(tuple(rng.uniform(-bias, bias, biases)))]
    if getattr(params, "peepholes", False):
        real.append(Slopes(tuple(rng.uniform(-bias, bias, 3 * units))))
    more = weights or {}
    operands = (
        Act((batch, steps, inputs), *span),
        Weights((rows, inputs), magnitude, **more),
        Weights((rows, units), magnitude / units**0.5, **more),
        *real,
        *starts,
    )
    return OpCase(name, op, params, operands, out)
