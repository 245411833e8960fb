"""Recurrent layers on cores with the DSP extension: four rows of a matrix at once.

Each step of time expands the input and the hidden state once, as dense layers do
(`edgecomp.kernels.gemm_dsp`), and multiplies whole matrices: the pre-activations of all units lie
in the scratch before the first gate is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_dsp import Expansion
from edgecomp.kernels.dense_dsp import CHANNELS, Dot, dot_weights
from edgecomp.kernels.gemm_dsp import ACC_BITS, WORD, Column, raw_lanes
from edgecomp.kernels.recurrent_generic import (
    RecurrentGeneric,
    RecurrentShape,
    recurrent_context,
)
from edgecomp.ops.gates import Matrix
from edgecomp.targets.cores import Core

FACTOR_BITS = 8
"""Accumulators of raw words are 256 times the sums."""
Vector = Literal["input", "hidden"]


@dataclass(frozen=True)
class GateRows(Dot):
    """Rows of a matrix that one call multiplies, as the templates need them.

    Attributes:
        vector: what they are multiplied with.
        constant: name of their stream in C.
        shift: left shift of the accumulators.
        first: element of the sums that the first row gives.
        stream: uint32, in the order of use.
        has_bias: whether sums begin with biases from the stream, or are added to.
    """

    vector: Vector
    constant: str
    shift: int
    first: int
    stream: Array
    has_bias: bool

    @property
    def right(self) -> int:
        """Shift to the right that is left of the accumulators' factor."""
        return FACTOR_BITS - self.shift

    @property
    def sums(self) -> int:
        """Elements of the sums up to the last row's."""
        words = CHANNELS * (self.steps + 2 + self.has_bias)
        return self.first + CHANNELS * (len(self.stream) // words)


def gate_rows(
    layer: Layer,
    vector: Vector,
    order: Array,
    *,
    first: int = 0,
    bias: Array | None = None,
    constant: str = "",
) -> GateRows:
    """Rows of the layer's matrix for `vector`.

    Args:
        layer: a recurrent layer.
        vector: what the matrix is multiplied with.
        order: rows in the order of use, a multiple of 4; -1 is a row of zeros.
        first: where their sums begin.
        bias: per row of the matrix, for sums that begin here.
        constant: name of the stream.
    """
    pre = layer.prepared.pre
    matrix: Matrix = getattr(pre, {"input": "inputs"}.get(vector, vector))
    weights = dot_weights(layer.inputs[1 if vector == "input" else 2].value)
    live = order >= 0
    lanes = raw_lanes(weights) & 0xFFFF
    raw = np.where(live[:, None], (lanes[:, 0::2] | lanes[:, 1::2] << 16)[order], 0)
    odd = 127 * 256 * weights[:, 1::2].astype(np.int64).sum(axis=1)
    fours = (-1, 1, CHANNELS)
    parts = [
        np.where(live, odd[order], 0).reshape(fours),
        raw.reshape(-1, CHANNELS, raw.shape[1]).transpose(0, 2, 1),
        np.where(live, matrix.multiplier[order], 0).reshape(fours),
    ]
    if bias is not None:
        parts.append(np.where(live, bias[order], 0).reshape(fours))
    stream = (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)
    steps = weights.shape[1] // WORD
    kind = "begin" if bias is not None else "add"
    return GateRows(
        f"gates_{steps}_{kind}_{matrix.shift}",
        steps,
        CHANNELS,
        False,
        vector,
        constant or f"{vector}_stream",
        matrix.shift,
        first,
        stream,
        bias is not None,
    )


@dataclass(frozen=True)
class ExpandedVector:
    """A vector of codes as a column.

    Attributes:
        name: the vector.
        at: where the column lies in the scratch.
        e: how it is made.
        steps: words of the vector, filled up to whole turns.
    """

    name: Vector
    at: int
    e: Expansion
    steps: int

    @property
    def has_gap(self) -> bool:
        """Whether the last word of the column meets no code."""
        return self.e.column.steps < self.steps


@dataclass(frozen=True)
class FastGates:
    """What the templates need beyond what the generic kernel has."""

    rows: tuple[GateRows, ...]
    columns: tuple[ExpandedVector, ...]
    size_bytes: int

    @classmethod
    def of(cls, layer: Layer, rows: Sequence[GateRows]) -> "FastGates":
        """Place sums and columns."""
        at = 4 * max(r.sums for r in rows)
        columns = []
        for vector, tensor in (("input", layer.inputs[1]), ("hidden", layer.inputs[2])):
            steps = next(r.steps for r in rows if r.vector == vector)
            expansion = Expansion(Column(1, tensor.shape[1], 0), 1, tensor.shape[1])
            columns.append(ExpandedVector(vector, at, expansion, steps))  # type: ignore[arg-type]
            at += 8 * steps
        return cls(tuple(rows), tuple(columns), at)


class RecurrentDsp(RecurrentGeneric):
    """Whole matrices four rows at once, then the gates of every unit."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the raw words are proved exact."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        pre = layer.prepared.pre
        if max(pre.inputs.largest, pre.hidden.largest) >= 1 << (ACC_BITS - 1):
            return f"an accumulator can exceed {ACC_BITS} bits"
        for tensor in layer.inputs[1:3]:
            lanes = raw_lanes(dot_weights(tensor.value))
            if lanes.min() < -(2**15) or lanes.max() >= 2**15:
                return "a pair of weights exceeds 16 bits"
        return None

    def rows(self, layer: Layer) -> list[GateRows]:
        """What each call multiplies, in the order of the calls."""
        raise NotImplementedError

    def _shape(self, layer: Layer) -> tuple[RecurrentShape, FastGates]:
        fast = FastGates.of(layer, self.rows(layer))
        return RecurrentShape(layer, fast.size_bytes), fast

    def scratch_bytes(self, layer: Layer) -> int:
        """Sums, columns, then what the generic kernel needs."""
        return self._shape(layer)[0].scratch_bytes

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """A stream for each call, in the order of use."""
        text = "by 4 rows: zero points, raw words (256 * odd + even), multipliers"
        streams = [
            Constant(r.constant, "uint32_t", r.stream, True, text + ", biases" * r.has_bias)
            for r in self.rows(layer)
        ]
        return [*streams, *RecurrentShape(layer).constants()]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also the calls, and how vectors become columns."""
        shape, fast = self._shape(layer)
        return recurrent_context(layer, shape, fast)


def _by_four(first: int, units: int) -> Array:
    """Rows of a gate, filled up to a multiple of 4."""
    return np.array([first + u if u < units else -1 for u in range(-(-units // 4) * 4)])


class LstmDsp(RecurrentDsp):
    """The four rows of a unit at once, then its cell state."""

    name: ClassVar[str] = "lstm_dsp"
    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "lstm/layer.c.j2"

    def rows(self, layer: Layer) -> list[GateRows]:
        """All rows, unit by unit."""
        units = layer.inputs[2].shape[1]
        order = (np.arange(4) * units + np.arange(units)[:, None]).reshape(-1)
        return [
            gate_rows(layer, "input", order, bias=layer.prepared.pre.bias),
            gate_rows(layer, "hidden", order),
        ]


class GruDsp(RecurrentDsp):
    """Four rows of a gate at once, then the hidden state of every unit."""

    name: ClassVar[str] = "gru_dsp"
    op: ClassVar[str] = "gru"
    template: ClassVar[str] = "gru/layer.c.j2"

    def rows(self, layer: Layer) -> list[GateRows]:
        """Gate by gate; those of the candidate's hidden part come last."""
        units, pre = layer.inputs[2].shape[1], layer.prepared.pre
        gates = [_by_four(gate * units, units) for gate in range(3)]
        size = len(gates[0])
        after = bool(layer.params.reset_after)
        behind = np.concatenate([np.zeros(2 * units, np.int64), pre.hidden_bias])
        candidate = gate_rows(
            layer,
            "hidden",
            gates[2],
            first=(3 if after else 2) * size,
            bias=behind if after else None,
            constant="candidate_stream",
        )
        return [
            gate_rows(layer, "input", np.concatenate(gates), bias=pre.bias),
            gate_rows(layer, "hidden", np.concatenate(gates[:2])),
            candidate,
        ]


class RnnDsp(RecurrentDsp):
    """Four rows at once, then the hidden state of every unit."""

    name: ClassVar[str] = "rnn_dsp"
    op: ClassVar[str] = "rnn"
    template: ClassVar[str] = "rnn/layer.c.j2"

    def rows(self, layer: Layer) -> list[GateRows]:
        """All rows."""
        order = _by_four(0, layer.inputs[2].shape[1])
        return [
            gate_rows(layer, "input", order, bias=layer.prepared.pre.bias),
            gate_rows(layer, "hidden", order),
        ]
