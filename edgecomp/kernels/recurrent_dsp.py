"""Recurrent layers on cores with the DSP extension: rows as raw words, vectors expanded.

Each step of time expands the input and the hidden state once, as dense layers do
(`edgecomp.kernels.gemm_dsp`); four rows at once are multiplied with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_dsp import Expansion
from edgecomp.kernels.dense_dsp import Dot, dot_weights
from edgecomp.kernels.gemm_dsp import ACC_BITS, WORD, Column, raw_bias, raw_lanes
from edgecomp.kernels.recurrent_generic import RecurrentGeneric
from edgecomp.kernels.recurrent_rows import AT_ONCE, RowCall, Vector, row_calls
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.targets.cores import Core

FACTOR_BITS = 8
"""Accumulators of raw words are 256 times the sums."""


@dataclass(frozen=True)
class GateRows(Dot):
    """The block that computes a call, as its template needs it.

    Attributes:
        shift: left shift of the accumulators.
        has_bias: whether sums begin with biases from the stream, or are added to.
        stream: uint32, in the order of use.
        is_plain: whether sums stay as they are, without multipliers.
    """

    shift: int
    has_bias: bool
    stream: Array
    is_plain: bool = False

    @property
    def right(self) -> int:
        """Shift to the right that is left of the accumulators' factor."""
        return FACTOR_BITS - self.shift

    @classmethod
    def of(cls, call: RowCall, *, is_plain: bool = False) -> "GateRows":
        """Pack the rows: zero points' share, raw words, multipliers, biases, four by four."""
        weights = dot_weights(call.weights.value)
        lanes = raw_lanes(weights) & 0xFFFF
        start = raw_bias(np.zeros(len(weights)), weights)
        parts = [
            call.by_four(start[:, None]),
            call.by_four(lanes[:, 0::2] | lanes[:, 1::2] << 16),
            *([] if is_plain else [call.multiplier.reshape(-1, 1, AT_ONCE)]),
            *([] if call.bias is None else [call.bias.reshape(-1, 1, AT_ONCE)]),
        ]
        stream = (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)
        steps, has_bias, shift = weights.shape[1] // WORD, call.bias is not None, call.matrix.shift
        name = f"gates_{steps}_{'begin' if has_bias else 'add'}_{shift}"
        if is_plain:
            name, shift = f"gates_{steps}_plain", 0
        return cls(name, steps, AT_ONCE, False, shift, has_bias, stream, is_plain)


@dataclass(frozen=True)
class ExpandedVector:
    """A vector of codes as a column.

    Attributes:
        name: the vector.
        at: where the column lies in the scratch.
        e: how it is made.
        steps: words of the column, whole turns.
    """

    name: Vector
    at: int
    e: Expansion
    steps: int

    @property
    def has_gap(self) -> bool:
        """Whether the last word of the column meets no code."""
        return self.e.column.steps < self.steps


def columns_of(layer: Layer, at: int) -> tuple[ExpandedVector, ...]:
    """The columns of input and hidden state, from `at` on in the scratch."""
    found = []
    names: tuple[Vector, Vector] = ("input", "hidden")
    for name, tensor in zip(names, layer.inputs[1:3], strict=True):
        size = tensor.shape[1]
        steps = dot_weights(tensor.value).shape[1] // WORD
        found.append(ExpandedVector(name, at, Expansion(Column(1, size, 0), 1, size), steps))
        at += 8 * steps
    return tuple(found)


def refusal(layer: Layer, core: Core, largest: int) -> str | None:
    """Why rows of a layer cannot be raw words; `largest` is the bound of accumulators."""
    if not core.dsp:
        return "the core lacks the DSP extension"
    if largest >= 1 << (ACC_BITS - 1):
        return f"an accumulator can exceed {ACC_BITS} bits"
    for tensor in layer.inputs[1:3]:
        lanes = raw_lanes(dot_weights(tensor.value))
        if lanes.min() < -(2**15) or lanes.max() >= 2**15:
            return "a pair of weights exceeds 16 bits"
    return None


class RecurrentDsp(RecurrentGeneric):
    """Four rows at a time, eight codes a turn, then the gates of every unit."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the raw words are proved exact."""
        pre = layer.prepared.pre
        largest = max(pre.inputs.largest, pre.hidden.largest)
        return super().applies(layer, core) or refusal(layer, core, largest)

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; behind the sums the scratch has the columns."""
        last = columns_of(layer, super().shape(layer).memory_at)[-1]
        return RecurrentShape(layer, last.at + 8 * last.steps)

    def row_constants(self, layer: Layer) -> list[Constant]:
        """A stream for each call, in the order of use."""
        text = "by 4 rows: zero points, raw words (256 * even + odd), multipliers"
        found = []
        for call in row_calls(layer):
            rows = GateRows.of(call)
            comment = text + ", biases" * rows.has_bias
            found.append(Constant(f"{call.name}_stream", "uint32_t", rows.stream, True, comment))
        return found

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also how vectors become columns, and the block of each call."""
        columns = columns_of(layer, super().shape(layer).memory_at)
        blocks: Sequence[GateRows] = [GateRows.of(call) for call in row_calls(layer)]
        by_name = {column.name: column for column in columns}
        return {**super().context(layer), "fast": {"columns": by_name, "blocks": blocks}}


class LstmDsp(RecurrentDsp):
    """The four rows of a unit at once, then the cell states."""

    name: ClassVar[str] = "lstm_dsp"
    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "lstm/layer.c.j2"


class GruDsp(RecurrentDsp):
    """Four rows of a gate at once, then the hidden states."""

    name: ClassVar[str] = "gru_dsp"
    op: ClassVar[str] = "gru"
    template: ClassVar[str] = "gru/layer.c.j2"


class RnnDsp(RecurrentDsp):
    """Four rows at once, then the hidden states."""

    name: ClassVar[str] = "rnn_dsp"
    op: ClassVar[str] = "rnn"
    template: ClassVar[str] = "rnn/layer.c.j2"
