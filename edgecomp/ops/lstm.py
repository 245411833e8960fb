"""Long short-term memory.

Sources of the semantics: ONNX LSTM, PyTorch LSTM; S. Hochreiter, J. Schmidhuber, *Long Short-Term
Memory*, Neural Computation 9 (8), 1997.  The integer formula is in docs/numerics.md, "Recurrent
layers".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import IntArray, quantize_multipliers, rescale
from edgecomp.ir import Array, Tensor
from edgecomp.ops.gates import MEMORY_MAX, ONE, UNIT_BITS, halved, memory_range, sigmoid, tanh
from edgecomp.ops.recurrent import Recurrent, RecurrentParams, States, clipped, logistic
from edgecomp.ops.recurrent_constants import RecurrentConstants

CELL_BITS = 11
"""Fraction bits of a cell state that was not calibrated: from -16 to 16."""
GATES = 4
TANH_BITS = 8
"""Fraction bits that a cell state is given more, as tanh needs some."""


@dataclass(frozen=True)
class LstmParams(RecurrentParams):
    """What an LSTM does beyond what all recurrent layers do.

    Rows of the weights are gate by gate: input, output, forget, candidate.

    Attributes:
        peepholes: whether gates see the cell state: weights `(3 * units,)` behind the biases, of
            the gates for input, output and forgetting.
        coupled: the forget gate is 1 less the input gate.
        cell_bits: fraction bits of the int16 cell state, at most 15; calibration chooses them.
        cell_clip: cell states are clamped to this size.
    """

    peepholes: bool = False
    coupled: bool = False
    cell_bits: int = CELL_BITS
    cell_clip: float = math.inf


@dataclass(frozen=True)
class LstmConstants(RecurrentConstants):
    """Integers of an LSTM.

    Attributes:
        peephole: multipliers from the cell state to pre-activations, `(3 * units,)`, or empty.
        peephole_shift: left shift of the cell state before that.
        cell_limit: the largest size of a cell state in its units; None where it has no limit.
    """

    peephole: IntArray
    peephole_shift: int
    cell_limit: int | None

    def step(self, params: LstmParams, x: IntArray, states: States, recurrent: Array) -> States:
        """One step; `x` is the input's part of the pre-activations, with the bias."""
        hidden, cell = states
        bits = self.pre.bits
        pre = x + self.pre.hidden.part(hidden, recurrent)
        i, o, f, g = np.split(pre, 4, axis=-1)
        peephole = np.split(self.peephole if params.peepholes else np.zeros(3, np.int64), 3)
        seen = [rescale(cell, part, self.peephole_shift) for part in peephole]
        i = sigmoid(self.clamped(i + seen[0]), bits)
        f = ONE - i if params.coupled else sigmoid(self.clamped(f + seen[2]), bits)
        new = i * tanh(self.clamped(g), bits)
        less = UNIT_BITS - params.cell_bits
        new = (new + ((1 << less) >> 1)) >> less
        cell = self.limited(memory_range(halved(f * cell + new)))
        o = sigmoid(self.clamped(o + rescale(cell, peephole[1], self.peephole_shift)), bits)
        seen_cell = tanh(cell << TANH_BITS, params.cell_bits + TANH_BITS)
        return self.finish(halved(o * seen_cell)), cell

    def limited(self, cell: IntArray) -> IntArray:
        """Clamp cell states to the size that the layer gives them."""
        return cell if self.cell_limit is None else np.clip(cell, -self.cell_limit, self.cell_limit)


class Lstm(Recurrent[LstmParams]):
    """`c = f * c + i * g`, `h = o * tanh(c)`; `i`, `f`, `o` are sigmoids, `g` is a tanh."""

    name: ClassVar[str] = "lstm"
    gates: ClassVar[int] = GATES
    has_memory: ClassVar[bool] = True
    memory_role: ClassVar[str] = "memory"

    def roles(self, params: LstmParams) -> tuple[str, ...]:
        """Peepholes lie behind the biases."""
        roles = super().roles(params)
        return (*roles[:4], "peepholes", *roles[4:]) if params.peepholes else roles

    def real_step(
        self, params: LstmParams, x: Array, states: States, given: Mapping[str, Array]
    ) -> States:
        """One step in real numbers."""
        hidden, cell = states
        pre = x + hidden @ given["recurrent"].T + given["bias"]
        i, o, f, g = np.split(pre, 4, axis=-1)
        p_i, p_o, p_f = np.split(given.get("peepholes", np.zeros(3 * cell.shape[-1])), 3)
        i = logistic(clipped(i + p_i * cell, params.clip))
        f = 1 - i if params.coupled else logistic(clipped(f + p_f * cell, params.clip))
        cell = clipped(f * cell + i * np.tanh(clipped(g, params.clip)), params.cell_clip)
        o = logistic(clipped(o + p_o * cell, params.clip))
        return o * np.tanh(cell), cell

    def prepare(
        self, params: LstmParams, inputs: Sequence[Tensor], output: Tensor
    ) -> LstmConstants:
        """Make multipliers and biases.

        Raises:
            InternalError: weights are so large that pre-activations could leave 32 bits.
        """
        common = self.common(params, inputs, output, memory_bits=params.cell_bits)
        peephole, shift = np.zeros(0, np.int64), 0
        if params.peepholes:
            real = inputs[4].value.astype(np.float64).reshape(-1)
            factors = np.ldexp(real, common.pre.bits - params.cell_bits)
            shift = int(quantize_multipliers(factors)[1].max())
            peephole = 4 * np.rint(np.ldexp(factors, 30 - shift)).astype(np.int64)
            # A pre-activation has one bit of room for it.
            if shift > UNIT_BITS or np.abs(factors).max() > 1 << (29 - UNIT_BITS):
                raise InternalError(f"the peepholes of {output.name!r} are too large")
        return LstmConstants(
            **vars(common),
            peephole=peephole,
            peephole_shift=shift,
            cell_limit=_cell_limit(params),
        )

    def int_step(
        self,
        params: LstmParams,
        k: LstmConstants,
        x: IntArray,
        states: States,
        given: Mapping[str, Array],
    ) -> States:
        """One step in integers."""
        return k.step(params, x, states, given["recurrent"])


def _cell_limit(params: LstmParams) -> int | None:
    """The clip of the cell state in its units, cut off; None where no memory is so large."""
    units = math.ldexp(params.cell_clip, params.cell_bits)
    return int(units) if units < MEMORY_MAX else None


def gate_scales(weights: Tensor) -> tuple[float, ...] | None:
    """The scale of each gate's rows; None where they have several."""
    assert weights.qparams is not None
    rows = np.broadcast_to(np.asarray(weights.qparams.scale, np.float64), weights.shape[:1])
    by_gate = rows.reshape(GATES, -1)
    return tuple(by_gate[:, 0].tolist()) if (by_gate == by_gate[:, :1]).all() else None
