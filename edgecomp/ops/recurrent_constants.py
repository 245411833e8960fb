"""Integers that every recurrent layer needs; the formulas are in docs/numerics.md."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, quantize_multiplier, rescale
from edgecomp.ir import Array, QParams, Shape, Tensor
from edgecomp.ops.gates import PreActivations, digits, memory_range

MOST_UNITS = 2.0**16
"""Units of a memory that one code of a given state may be worth: with these any code saturates."""
MOST_CODES = 2.0**8
"""Codes that one unit may be worth, likewise."""


@dataclass(frozen=True)
class Start:
    """A computed state that a layer begins with: its codes, rescaled.

    `rescale(code - zero_point)` with these gives the memory, or hidden codes less their zero point.
    """

    multiplier: int
    shift: int
    zero_point: int

    @classmethod
    def of(cls, q: QParams, unit: float) -> "Start":
        """From codes with the parameters `q` to integers in units of `unit`."""
        return cls(*quantize_multiplier(min(q.scalar / unit, MOST_UNITS)), q.zero_point)

    def __call__(self, codes: Array) -> IntArray:
        """Rescale codes."""
        return rescale(codes.astype(np.int64) - self.zero_point, self.multiplier, self.shift)


@dataclass(frozen=True)
class Finish:
    """How integers in some unit become codes: `sat(rescale(value) + zero_point)`."""

    multiplier: int
    shift: int
    zero_point: int

    @classmethod
    def of(cls, unit: float, q: QParams) -> "Finish":
        """From integers in units of `unit` to codes with the parameters `q`."""
        return cls(*quantize_multiplier(min(unit / q.scalar, MOST_CODES)), q.zero_point)

    def __call__(self, value: Array) -> IntArray:
        """Make codes."""
        scaled = rescale(value, self.multiplier, self.shift) + self.zero_point
        return np.clip(scaled, -128, 127)


@dataclass(frozen=True)
class StateConstants:
    """With what states every recurrent layer begins, and which codes they are in a state tensor.

    Attributes:
        hidden_start: what rescales a hidden state that is computed; else None.
        memory_start: likewise a memory.
        first_hidden: codes of a constant hidden state to begin with, `(batch, units)`.
        first_memory: likewise the memory.
        emitted: from the memory to codes of the output, for layers that emit it.
    """

    code_type: ClassVar[type[np.int8] | type[np.int16]] = np.int8
    """Of hidden states and state tensors."""

    hidden_start: Start | None
    memory_start: Start | None
    first_hidden: IntArray
    first_memory: IntArray
    emitted: Finish | None

    def digits(self, memory: Array) -> tuple[IntArray, ...]:
        """Split an int16 memory into codes, the high one first."""
        return digits(memory)

    def memory_of(self, *parts: Array) -> IntArray:
        """The memory that such codes stand for, whatever they are."""
        high, low = parts
        return memory_range(256 * high + low)


@dataclass(frozen=True)
class RecurrentConstants(StateConstants):
    """Integers that all recurrent layers need; see docs/numerics.md.

    Attributes:
        pre: pre-activations.
        clip: their largest size in units, or None.
        finish: what makes hidden codes: of real numbers in units of 2^-15, or in those of
            pre-activations (RNN with ReLU).
    """

    arithmetic: ClassVar[str] = "edgecomp"

    pre: PreActivations
    clip: int | None
    finish: Finish

    def clamped(self, pre: IntArray) -> IntArray:
        """Clamp pre-activations."""
        return pre if self.clip is None else np.clip(pre, -self.clip, self.clip)

    def input_part(self, codes: Array, weights: Array) -> IntArray:
        """The input's part of the pre-activations, with the bias."""
        return self.pre.inputs.part(codes, weights) + self.pre.bias


def clip_units(size: float, bits: int) -> int | None:
    """The size in units of `2^-bits`; None where no pre-activation is so large."""
    units = math.ldexp(size, bits)
    return round(units) if units < 1 << 30 else None


def constant_state(tensor: Tensor | None, shape: Shape) -> Array:
    """A constant state to begin with, zeros where there is none."""
    known = tensor is not None and tensor.is_const
    return np.broadcast_to(tensor.value if tensor and known else 0.0, shape)


def computed_start(tensor: Tensor | None, unit: float) -> Start | None:
    """What rescales a computed state to begin with; None where it is constant or not there."""
    if tensor is None or tensor.is_const:
        return None
    assert tensor.qparams is not None
    return Start.of(tensor.qparams, unit)
