"""TFLite's LSTM with int16 activations: sums of 64 bits, all else as in `requant.tflite_lstm`.

Sources: TensorFlow Lite for Microcontrollers `kernels/lstm_eval_common.cc`, `kernels/lstm_eval.cc`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array, Node, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.base import exact_matmul
from edgecomp.ops.lstm import GATES, LstmParams, gate_scales
from edgecomp.ops.recurrent import States
from edgecomp.ops.recurrent_constants import StateConstants
from edgecomp.requant.int16 import HIGH, LOW, LinearFactor
from edgecomp.requant.tflite import quantize_multiplier_tflite
from edgecomp.requant.tflite16 import Tflite16Factor, long_sums
from edgecomp.requant.tflite_lstm import GATE_BITS, TfliteCell, cell_of, has_tflite_form


@dataclass(frozen=True)
class GateSums(LinearFactor):
    """The products of one matrix with int16 codes, a share of int16 pre-activations."""

    def part(self, codes: Array, weights: Array) -> IntArray:
        """Multiply codes `(..., inputs)` with weights `(rows, inputs)`; int16 `(..., rows)`."""
        total = exact_matmul(codes, weights.T, self.magnitude) + self.bias
        return self.finish(total).astype(np.int64)


@dataclass(frozen=True)
class Tflite16LstmConstants(StateConstants):
    """Constants of an LSTM of int16 codes; a cell state is one code of a state tensor."""

    arithmetic: ClassVar[str] = "tflite16"
    code_type: ClassVar[type[np.int8] | type[np.int16]] = np.int16

    cell: TfliteCell

    def digits(self, memory: Array) -> tuple[IntArray, ...]:
        """Cell states as they are."""
        return (memory.astype(np.int64),)

    def memory_of(self, *parts: Array) -> IntArray:
        """Cell states as they are."""
        return parts[0].astype(np.int64)

    def input_part(self, codes: Array, weights: Array) -> IntArray:
        """The input's part of the pre-activations, with the bias."""
        return self.cell.inputs.part(codes, weights)

    def step(self, params: LstmParams, x: IntArray, states: States, recurrent: Array) -> States:
        """One step; `x` is the input's part of the pre-activations."""
        return self.cell.step(x, states, recurrent)


def lstm16_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16LstmConstants:
    """Make the constants of an LSTM.

    Raises:
        UnsupportedError: TFLite has no such LSTM, sums could leave the bits that it has for them,
            or the scale of hidden states is below 2^-29.
    """
    params = node.params
    assert isinstance(params, LstmParams)
    if not has_tflite_form(params, inputs):
        raise UnsupportedError(
            node.op,
            node.name,
            "with int16 activations an LSTM is TFLite's: no peepholes, coupled gates, clipped "
            "pre-activations or given states, and one scale for each gate's weights",
            "build with int8 activations",
        )
    assert inputs[0].qparams is not None
    assert output.qparams is not None
    real = np.asarray(inputs[3].value, np.float64)
    shares = (
        _sums(node, inputs[1], inputs[0].qparams, real),
        _sums(node, inputs[2], output.qparams, np.zeros_like(real)),
    )
    first = np.zeros((inputs[0].shape[0], inputs[2].shape[1]), np.int64)
    return Tflite16LstmConstants(None, None, first, first, None, cell_of(node, shares, output))


def lstm16_codes(
    node: Node, k: Tflite16LstmConstants, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    """Compute hidden states step by step."""
    params: Any = node.params
    return np.asarray(OPS["lstm"].int_ref(params, k, inputs, arrays))


def _sums(node: Node, weights: Tensor, q: QParams, bias: Array) -> GateSums:
    """Make the constants of one matrix, which is applied to codes with the parameters `q`."""
    scales = gate_scales(weights)
    assert scales is not None
    codes = weights.value.astype(np.int64)
    units = len(codes) // GATES
    start = np.rint(bias / np.repeat(q.scalar * np.array(scales), units)).astype(np.int64)
    magnitude = int((-LOW * np.abs(codes).sum(axis=1) + np.abs(start)).max())
    pairs = [quantize_multiplier_tflite(math.ldexp(q.scalar * s, GATE_BITS)) for s in scales]
    multiplier, shift = np.repeat(np.array(pairs, np.int64), units, axis=0).T
    made = long_sums(node, Tflite16Factor(multiplier, shift, LOW, HIGH), start, magnitude)
    return GateSums(**vars(made))
