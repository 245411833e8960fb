"""The integer functions of gates against their definitions."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from edgecomp.ops.gates import (
    CHORD_BITS,
    MEMORY_MAX,
    MEMORY_MIN,
    ONE,
    TANH,
    digits,
    memory_range,
    sigmoid,
    tanh,
)

NEAR_TANH = 1.3e-4 * ONE
"""What docs/numerics.md promises."""


def test_the_table_holds_the_nearest_numbers():
    with localcontext() as context:
        context.prec = 40
        for i, entry in enumerate(TANH):
            twice = (2 * Decimal(i) / 2**CHORD_BITS).exp()
            exact = ONE * (twice - 1) / (twice + 1)
            assert abs(int(entry) - exact) <= Decimal("0.5"), i
        # Behind the table every entry would be 1.
        assert ONE * (twice - 1) / (twice + 1) >= ONE - Decimal("0.5")
    assert TANH[-1] == ONE
    assert TANH[-2] < ONE


@pytest.mark.parametrize("bits", range(8, 24))
def test_tanh_and_sigmoid_are_near_odd_and_rising(bits):
    span = min(9 << bits, 100_000)
    x = np.unique(np.linspace(-(9 << bits), 9 << bits, 2 * span + 1).astype(np.int64))
    real = np.ldexp(x.astype(np.float64), -bits)
    found = tanh(x, bits)
    assert np.abs(found - ONE * np.tanh(real)).max() <= NEAR_TANH
    assert (found == -tanh(-x, bits)).all()
    assert (np.diff(found) >= 0).all()
    gate = sigmoid(x, bits)
    assert np.abs(gate - ONE / (1 + np.exp(-real))).max() <= NEAR_TANH / 2 + 1
    assert (np.diff(gate) >= 0).all()
    assert gate.min() >= 0
    assert gate.max() <= ONE


def test_every_memory_is_two_codes():
    memory = np.arange(MEMORY_MIN, MEMORY_MAX + 1)
    for part in digits(memory):
        assert part.min() >= -128
        assert part.max() <= 127
    high, low = digits(memory)
    assert (256 * high + low == memory).all()
    assert memory_range(np.array([-(2**31), 2**31])).tolist() == [MEMORY_MIN, MEMORY_MAX]
