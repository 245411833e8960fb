"""TFLite's integer LSTM: products of int8 codes, int16 gates and cell states.

What it has in common with that of int16 codes (`edgecomp.requant.tflite_lstm16`) is `TfliteCell`.

Sources: TensorFlow Lite for Microcontrollers `kernels/lstm_eval_common.cc`, `kernels/lstm_eval.cc`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.fixedpoint import INT32_MAX, IntArray
from edgecomp.ir import Array, Node, QParams, Tensor
from edgecomp.ops.base import exact_matmul
from edgecomp.ops.lstm import GATES, LstmConstants, LstmParams, gate_scales
from edgecomp.ops.recurrent import States
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite
from edgecomp.requant.tflite16_functions import Tflite16Sigmoid, sigmoid_table
from edgecomp.requant.tflite_fixedpoint import divide_by_power_of_two

GATE_BITS = 12
"""Fraction bits of pre-activations."""
UNIT_BITS = 15
"""Fraction bits of what gates give."""
_LOW, _HIGH = -(2**15), 2**15 - 1


def sigmoid_int16(x: Array) -> IntArray:
    """Return the sigmoid in units of 2^-15 of numbers in units of 2^-12.

    >>> sigmoid_int16(np.array([0, 4096, -4096])).tolist()
    [16384, 23956, 8812]
    """
    return _curve("logistic", 0, 0).codes(x).astype(np.int64)


def tanh_int16(x: Array, bits: int) -> IntArray:
    """Return tanh in units of 2^-15 of int16 numbers in units of `2^-bits`, `bits` from 0 to 15.

    >>> tanh_int16(np.array([0, 4096, -4096]), 12).tolist()
    [0, 24956, -24956]
    """
    left, right = max(GATE_BITS - bits, 0), max(bits - GATE_BITS, 0)
    return _curve("tanh", left, right).codes(x).astype(np.int64)


@functools.cache
def _curve(kind: str, left: int, right: int) -> Tflite16Sigmoid:
    return Tflite16Sigmoid(kind, 3 << left, right, np.array(sigmoid_table(), np.int64))


class GateShares(Protocol):
    """The products of one matrix, which give a share of the int16 pre-activations."""

    def part(self, codes: Array, weights: Array) -> IntArray:
        """Multiply codes `(..., inputs)` with weights `(rows, inputs)`; int16 `(..., rows)`."""


@dataclass(frozen=True)
class GateProducts:
    """The products of one matrix, a share of int16 pre-activations.

    Attributes:
        bias: int32 per row, the zero point of the codes folded in.
        multiplier: per gate (input, output, forget, candidate), 0 or in [2^30, 2^31).
        shift: per gate, positive to the left.
        largest: proved bound of every partial sum.
    """

    bias: IntArray
    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    largest: int

    def part(self, codes: Array, weights: Array) -> IntArray:
        """Multiply codes `(..., inputs)` with weights `(rows, inputs)`; int16 `(..., rows)`."""
        acc = exact_matmul(codes, weights.T, self.largest) + self.bias
        units = len(self.bias) // GATES
        multiplier, shift = (np.repeat(v, units) for v in (self.multiplier, self.shift))
        return _int16(multiply_by_quantized_multiplier(acc, multiplier, shift))


@dataclass(frozen=True)
class TfliteCell:
    """What a step of TFLite's LSTM computes.

    Attributes:
        inputs: the products with the input.
        hidden: those with the hidden state.
        cell_bits: fraction bits of the cell state.
        cell_limit: the largest size of a cell state in its units; None where it has no limit.
        hidden_multiplier: from the product of the output gate and tanh to hidden codes.
        hidden_shift: positive to the left.
        zero_point: of hidden codes.
        limits: the least and the largest of them.
    """

    inputs: GateShares
    hidden: GateShares
    cell_bits: int
    cell_limit: int | None
    hidden_multiplier: int
    hidden_shift: int
    zero_point: int
    limits: tuple[int, int]

    @property
    def added_shift(self) -> int:
        """Right shift of the halved product of the input gate and the candidate."""
        return 2 * UNIT_BITS - 1 - self.cell_bits

    def step(self, x: IntArray, states: States, recurrent: Array) -> States:
        """One step; `x` is the input's part of the pre-activations."""
        hidden, cell = states
        i, o, f, g = np.split(_int16(x + self.hidden.part(hidden, recurrent)), GATES, axis=-1)
        kept = _int16(_halved(sigmoid_int16(f) * cell, UNIT_BITS - 1))
        added = _int16(_halved(sigmoid_int16(i) * tanh_int16(g, GATE_BITS), self.added_shift))
        cell = _int16(kept + added)
        if self.cell_limit is not None:
            cell = np.clip(cell, -self.cell_limit, self.cell_limit)
        product = sigmoid_int16(o) * tanh_int16(cell, self.cell_bits)
        value = multiply_by_quantized_multiplier(product, self.hidden_multiplier, self.hidden_shift)
        return np.clip(value + self.zero_point, *self.limits), cell


@dataclass(frozen=True)
class TfliteLstmConstants(LstmConstants):
    """Constants of an LSTM in TFLite's arithmetic.

    Of the base's integers the first states are used.
    """

    arithmetic: ClassVar[str] = "tflite"

    cell: TfliteCell

    def input_part(self, codes: Array, weights: Array) -> IntArray:
        """The input's part of the pre-activations, with the bias."""
        return self.cell.inputs.part(codes, weights)

    def step(self, params: LstmParams, x: IntArray, states: States, recurrent: Array) -> States:
        """One step; `x` is the input's part of the pre-activations."""
        return self.cell.step(x, states, recurrent)

    def digits(self, memory: Array) -> tuple[IntArray, IntArray]:
        """Two int8 codes: the high byte, and the low one less 128."""
        wide = memory.astype(np.int64)
        return wide >> 8, (wide & 255) - 128

    def memory_of(self, *parts: Array) -> IntArray:
        """The cell states that two codes stand for."""
        high, low = parts
        return np.asarray(256 * high + low + 128, np.int64)


def _int16(value: Array) -> IntArray:
    return np.clip(value, _LOW, _HIGH)


def _halved(product: Array, shift: int) -> IntArray:
    """Half of a product, ties up, and then `2^-shift` of it, ties away from zero."""
    return divide_by_power_of_two((product + 1) >> 1, shift)


def has_tflite_form(params: LstmParams, inputs: Sequence[Tensor]) -> bool:
    """Whether TFLite has such an LSTM: a plain one whose gates have one scale per matrix."""
    plain = not (params.peepholes or params.coupled) and math.isinf(params.clip)
    known = params.begins in {"zero", "state"} and params.emits in {"sequence", "last", "state"}
    return plain and known and all(gate_scales(tensor) is not None for tensor in inputs[1:3])


def lstm_constants(
    node: Node, inputs: Sequence[Tensor], output: Tensor, own: LstmConstants
) -> LstmConstants:
    """Make the constants of an LSTM; one that TFLite has not stays edgecomp's own.

    Raises:
        UnsupportedError: an accumulator could leave int32, or the scale of hidden states is below
            2^-29.
    """
    params = node.params
    assert isinstance(params, LstmParams)
    if not has_tflite_form(params, inputs):
        return own
    x, hidden = inputs[0].qparams, output.qparams
    assert x is not None
    assert hidden is not None
    real = np.asarray(inputs[3].value, np.float64)
    shares = (
        _products(node, inputs[1], x, real),
        _products(node, inputs[2], hidden, np.zeros_like(real)),
    )
    return TfliteLstmConstants(**vars(own), cell=cell_of(node, shares, output))


def cell_of(node: Node, shares: tuple[GateShares, GateShares], output: Tensor) -> TfliteCell:
    """Make what a step computes.

    Args:
        node: the LSTM.
        shares: the products with the input, and those with the hidden state.
        output: the hidden states.

    Raises:
        UnsupportedError: the scale of hidden states is below 2^-29.
    """
    params, q = node.params, output.qparams
    assert isinstance(params, LstmParams)
    assert q is not None
    multiplier, shift = quantize_multiplier_tflite(2.0 ** (-2 * UNIT_BITS) / q.scalar)
    if shift > 0:
        raise UnsupportedError(
            node.op, node.name, f"hidden states with the scale {q.scalar:g}, below 2^-29"
        )
    return TfliteCell(
        *shares,
        cell_bits=params.cell_bits,
        cell_limit=_cell_limit(params),
        hidden_multiplier=multiplier,
        hidden_shift=shift,
        zero_point=q.zero_point,
        limits=output.dtype.limits,
    )


def _cell_limit(params: LstmParams) -> int | None:
    """The clip of the cell state in its units, cut off, at most the largest int16."""
    if math.isinf(params.cell_clip):
        return None
    return int(min(math.ldexp(params.cell_clip, params.cell_bits), _HIGH))


def _products(node: Node, weights: Tensor, q: QParams, bias: Array) -> GateProducts:
    """Make the constants of one matrix, which is applied to codes with the parameters `q`."""
    scales = gate_scales(weights)
    assert scales is not None
    codes = weights.value.astype(np.int64)
    units = len(codes) // GATES
    pairs = [quantize_multiplier_tflite(math.ldexp(q.scalar * s, GATE_BITS)) for s in scales]
    unit = np.repeat(q.scalar * np.array(scales), units)
    folded = np.rint(bias / unit).astype(np.int64) - q.zero_point * codes.sum(axis=1)
    size = 128 * np.abs(codes).sum(axis=1)
    left = np.repeat([max(shift, 0) for _, shift in pairs], units)
    # The high multiply doubles its operand.
    if ((size + np.abs(folded)) << (left + 1)).max() > INT32_MAX:
        raise UnsupportedError(
            node.op, node.name, "TFLite's accumulators could leave 32 bits: its weights are huge"
        )
    multipliers, shifts = zip(*pairs, strict=True)
    return GateProducts(folded, multipliers, shifts, int(size.max()))
