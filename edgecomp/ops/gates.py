"""Integer arithmetic of the gates of recurrent layers: pre-activations, tanh and the sigmoid.

Everything is exact and the same on every core; the formulas are in docs/numerics.md, "Recurrent
layers".
"""

from dataclasses import dataclass

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, IntArray, quantize_multipliers, rescale, round_half_up
from edgecomp.ir import Array, QParams, Tensor
from edgecomp.ops.base import exact_matmul

UNIT_BITS = 15
"""Gates and values of tanh are integers in units of 2^-15; 1 is 32,768."""
ONE = 1 << UNIT_BITS
CHORD_BITS = 5
"""The table of tanh has an entry at every multiple of 2^-5."""
MOST_BITS, LEAST_BITS = 16, 8
"""Fraction bits that pre-activations may have."""
MEMORY_MIN, MEMORY_MAX = -(2**15), 2**15 - 129
"""Range of an int16 memory: both of its digits (`digits`) are then int8 codes."""

_ALL: IntArray = round_half_up(ONE * np.tanh(np.arange(8 * 2**CHORD_BITS) / 2.0**CHORD_BITS))
CHORDS = int(np.argmax(_ALL == ONE))
"""Chords of tanh; behind the last one it is 1."""
TANH: IntArray = _ALL[: CHORDS + 1]
"""`half_up(2^15 * tanh(i / 32))`."""


def tanh(x: Array, bits: int) -> IntArray:
    """Return tanh in units of 2^-15, from -32,768 to 32,768: chords of the table `TANH`.

    Args:
        x: integers in units of `2^-bits`.
        bits: more than `CHORD_BITS`.
    """
    size = np.abs(x.astype(np.int64))
    rest_bits = bits - CHORD_BITS
    place = np.minimum(size >> rest_bits, CHORDS - 1)
    rest = size & ((1 << rest_bits) - 1)
    start, step = TANH[place], np.diff(TANH)[place]
    chord = start + ((step * rest + (1 << (rest_bits - 1))) >> rest_bits)
    value = np.where(size >> rest_bits >= CHORDS, ONE, chord)
    return np.where(x < 0, -value, value)


def sigmoid(x: Array, bits: int) -> IntArray:
    """Return the sigmoid in units of 2^-15, from 0 to 32,768: `(1 + tanh(x / 2)) / 2`."""
    return (ONE + tanh(x, bits + 1) + 1) >> 1


def halved(product: Array) -> IntArray:
    """Take the 15 bits of a gate off a product, rounded half up."""
    return (np.asarray(product, np.int64) + (1 << (UNIT_BITS - 1))) >> UNIT_BITS


def memory_range(value: Array) -> IntArray:
    """Clamp an int16 memory to the range whose digits are codes."""
    return np.clip(value, MEMORY_MIN, MEMORY_MAX)


def digits(memory: Array) -> tuple[IntArray, IntArray]:
    """Split an int16 memory into two int8 codes: `memory = 256 * high + low`."""
    high = (memory.astype(np.int64) + 128) >> 8
    return high, memory - 256 * high


@dataclass(frozen=True)
class Matrix:
    """Products of one matrix with a vector of codes, as a part of pre-activations.

    Attributes:
        multiplier: per row: `4 * rint(factor * 2^(30 - shift))`.
        shift: left shift of every row's accumulator.
        offset: per row, real: what undoes the zero point of the codes.
        magnitude: per row, proved bound of the accumulator's absolute value.
    """

    multiplier: IntArray
    shift: int
    offset: Array
    magnitude: IntArray

    @property
    def largest(self) -> int:
        """Bound of every partial sum."""
        return int(self.magnitude.max())

    def part(self, codes: Array, weights: Array) -> IntArray:
        """Multiply codes `(..., inputs)` with weights `(rows, inputs)` and rescale."""
        acc = exact_matmul(codes, weights.T, self.largest)
        return rescale(acc, self.multiplier, self.shift)


def _matrix(weights: Tensor, q: QParams, bits: int) -> Matrix:
    """Make the multipliers of a matrix that is applied to codes with the parameters `q`."""
    assert weights.qparams is not None
    rows = weights.shape[0]
    codes = weights.value.astype(np.int64)
    scales = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), (rows,)) * q.scalar
    _, shifts = quantize_multipliers(np.ldexp(scales, bits))
    shift = int(shifts.max())
    return Matrix(
        4 * np.rint(np.ldexp(scales, bits + 30 - shift)).astype(np.int64),
        shift,
        -scales * q.zero_point * codes.sum(axis=1),
        128 * np.abs(codes).sum(axis=1),
    )


@dataclass(frozen=True)
class PreActivations:
    """What is common to the pre-activations of a layer.

    Attributes:
        bits: their fraction bits.
        inputs: the products with the input.
        hidden: the products with the hidden state.
        bias: per row, in units of `2^-bits`, the zero points folded in.
        hidden_bias: bias of rows whose two parts are not simply added (a GRU's candidate); else
            empty.
    """

    bits: int
    inputs: Matrix
    hidden: Matrix
    bias: IntArray
    hidden_bias: IntArray


def pre_activations(
    weights: tuple[Tensor, Tensor], q: tuple[QParams, QParams], bias: Array, apart: int, name: str
) -> PreActivations:
    """Choose the fraction bits: the most for which nothing can leave 32 bits.

    Args:
        weights: int8 constants `(rows, inputs)` and `(rows, units)`.
        q: parameters of input and hidden state.
        bias: real, one per row, behind them one for each of the last rows that keep their two
            parts apart.
        apart: how many such rows there are.
        name: of the layer's output, for the error.

    Raises:
        InternalError: no number of bits will do.
    """
    rows = weights[0].shape[0]
    for bits in range(MOST_BITS, LEAST_BITS - 1, -1):
        inputs, hidden = (_matrix(w, p, bits) for w, p in zip(weights, q, strict=True))
        real = bias[:rows] + inputs.offset
        real[: rows - apart] += hidden.offset[: rows - apart]
        behind = bias[rows:] + hidden.offset[rows - apart :]
        made = PreActivations(
            bits,
            inputs,
            hidden,
            round_half_up(np.ldexp(real, bits)),
            round_half_up(np.ldexp(behind, bits)),
        )
        if _fits(made):
            return made
    raise InternalError(f"the pre-activations of {name!r} can leave int32: its weights are huge")


def _fits(made: PreActivations) -> bool:
    """Whether accumulators fit 32 bits when shifted, and all sums 31 bits."""
    total = np.abs(made.bias)
    for matrix in (made.inputs, made.hidden):
        if (matrix.magnitude << matrix.shift).max() > INT32_MAX:
            return False
        total = total + rescale(matrix.magnitude, matrix.multiplier, matrix.shift)
    behind = np.abs(made.hidden_bias).max(initial=0)
    return bool(total.max() + behind < 1 << 30)
