"""What recurrent layers have in common: operands, states, the loop over time.

A layer goes through the rows of its input, one per step of time, and carries a *state* from step to
step: the hidden state, int8 codes that the next step multiplies, and for LSTM and GRU a *memory*,
the int16 numbers behind it (an LSTM's cell state; the hidden state of a GRU, exactly).

Streaming.  With `begins="state"` the last operand is the state that the layer begins with, and with
`emits="state"` the output ends with the one that it leaves.  Both are int8 tensors of
`state_size(inputs)` codes: the hidden state, then the high digits of the memory, then the low ones
(`memory = 256 * high + low`).  Where activations have 16 bits, both are int16 tensors, of which the
memory is one part.  A layer of one step that emits its state has just this as
its output, `(1, state_size)`; its first `units` codes are the hidden state, as a layer that emits
its sequence would give it.  With T steps the output is `(1, (T - 1) * units + state_size)`: T rows
of hidden states, behind which the memory's digits follow, so that the last `state_size` codes are
the state.  T steps at once and T layers of one step, each beginning with the state that the one
before left, give the same codes.  `initial_state` has the codes that a layer begins with otherwise.
States exist in quantized graphs only: take a layer that emits its sequence (or its last step) and
replace its parameters.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array, DType, OpParams, QParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Op
from edgecomp.ops.gates import UNIT_BITS, memory_range, pre_activations
from edgecomp.ops.recurrent_constants import (
    Finish,
    RecurrentConstants,
    StateConstants,
    clip_units,
    computed_start,
    constant_state,
)

HIDDEN_QPARAMS = QParams.per_tensor(1 / 128, 0)
"""What calibration gives hidden states, which lie between -1 and 1."""


@dataclass(frozen=True)
class RecurrentParams(OpParams):
    """How a recurrent layer begins and what it gives.

    Attributes:
        begins: with `zero`; with states that are `given` as operands of their own, constant or
            computed; or with a `state` that another call has left (see above).
        emits: the hidden states of all steps, `sequence`, `(batch, steps, units)`; of the `last`
            one, `(batch, 1, units)`; likewise the `memory` after the last step; after every step,
            `memories` (real numbers only, for calibration); or hidden states and the `state` (see
            above).
        clip: pre-activations are clamped to this size.
        keeps: whether a run goes on with the state that the run before left, as layers of TFLite
            files do; it begins with the rest then (`edgecomp.passes.keep_states`).
    """

    begins: Literal["zero", "given", "state"] = "zero"
    emits: Literal["sequence", "last", "memory", "memories", "state"] = "sequence"
    clip: float = math.inf
    keeps: bool = False


P = TypeVar("P", bound=RecurrentParams)
States = tuple[Array, Array]
"""Hidden states and memories, `(samples * batch, units)` each."""


def states_are_of_one_sequence(params: RecurrentParams, inputs: Sequence[Tensor]) -> bool:
    """A layer that keeps its state from call to call must have a batch of 1."""
    keeps = params.keeps or "state" in {params.begins, params.emits}
    return not keeps or inputs[0].shape[0] == 1


def weights_are_constant(params: RecurrentParams, inputs: Sequence[Tensor]) -> bool:
    """Weights, biases and peepholes of a recurrent layer must be constants."""
    return all(tensor.is_const for tensor in inputs[1:4])


class Recurrent(Op[P]):
    """A recurrent layer: `(batch, steps, inputs)` to `(batch, steps, units)`.

    Operands, in order: the input; weights `(gates * units, inputs)`; recurrent weights
    `(gates * units, units)`; biases, real; peepholes, real, where there are any; the states that it
    begins with, `(batch, units)` each.  `roles` names them.
    """

    gates: ClassVar[int]
    has_memory: ClassVar[bool]
    memory_role: ClassVar[str] = "hidden"
    """The operand that a given memory comes from."""

    def constraints(self) -> Sequence[Constraint[P]]:
        """Limits of a recurrent layer."""
        return (states_are_of_one_sequence, weights_are_constant)

    def roles(self, params: P) -> tuple[str, ...]:
        """What each operand is: `x`, `weights`, `recurrent`, `bias`, then the states."""
        common = ("x", "weights", "recurrent", "bias")
        given = tuple(dict.fromkeys(("hidden", self.memory_role)))
        starts: dict[str, tuple[str, ...]] = {"zero": (), "given": given, "state": ("state",)}
        return (*common, *starts[params.begins])

    def by_role(self, params: P, operands: Sequence[Any]) -> dict[str, Any]:
        """The operands (tensors or arrays) by their role."""
        return dict(zip(self.roles(params), operands, strict=True))

    def units(self, inputs: Sequence[Tensor]) -> int:
        """Elements of the hidden state."""
        return inputs[2].shape[-1]

    def state_size(self, inputs: Sequence[Tensor]) -> int:
        """Codes of a state."""
        digits = 1 if inputs[0].dtype is DType.INT16 else 2
        return self.units(inputs) * (1 + digits * self.has_memory)

    def infer(self, params: P, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by what is emitted."""
        batch, steps, _ = inputs[0].shape
        units = self.units(inputs)
        if params.emits in {"last", "memory"}:
            return (batch, 1, units)
        if params.emits == "state":
            return (batch, (steps - 1) * units + self.state_size(inputs))
        return (batch, steps, units)

    def macs(self, params: P, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Products of both matrices at every step."""
        return math.prod(inputs[0].shape[:2]) * (inputs[1].size + inputs[2].size)

    # Real numbers.

    def float_ref(self, params: P, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
        """Compute hidden states, or memories, in the arrays' own type.

        Raises:
            InternalError: the layer begins with or emits a state, which has no real numbers.
        """
        if "state" in {params.begins, params.emits}:
            raise InternalError("the state of a recurrent layer exists in codes only")
        given = self.by_role(params, arrays)
        samples, batch, steps, _ = given["x"].shape
        products = given["x"].reshape(samples * batch, steps, -1) @ given["weights"].T
        states = self._real_start(given, (samples, batch, self.units(inputs)))
        rows: list[States] = []
        for step in range(steps):
            states = self.real_step(params, products[:, step], states, given)
            rows.append(states)
        index = 1 if params.emits in {"memory", "memories"} else 0
        wanted = rows if params.emits in {"sequence", "memories"} else rows[-1:]
        stacked = np.stack([row[index] for row in wanted], axis=1).astype(arrays[0].dtype)
        return stacked.reshape(samples, batch, len(wanted), -1)

    def _real_start(self, given: Mapping[str, Array], shape: Shape) -> States:
        zero = np.zeros(shape, given["x"].dtype)
        hidden, memory = (
            (given[role] + zero if role in given else zero).reshape(-1, shape[-1])
            for role in ("hidden", self.memory_role)
        )
        return hidden, memory

    @abstractmethod
    def real_step(self, params: P, x: Array, states: States, given: Mapping[str, Array]) -> States:
        """One step in real numbers.

        Args:
            params: the layer's parameters.
            x: products of weights and input, without bias, `(samples * batch, gates * units)`.
            states: before the step.
            given: operands by role.
        """

    # Integers.

    @abstractmethod
    def prepare(self, params: P, inputs: Sequence[Tensor], output: Tensor) -> RecurrentConstants:
        """Return the integer constants of the device."""

    @abstractmethod
    def int_step(
        self, params: P, k: Any, x: IntArray, states: States, given: Mapping[str, Array]
    ) -> States:
        """One step in integers; `x` is the input's part of the pre-activations, with the bias."""

    def common(
        self,
        params: P,
        inputs: Sequence[Tensor],
        output: Tensor,
        *,
        memory_bits: int = UNIT_BITS,
        apart: int = 0,
        hidden_bits: int = UNIT_BITS,
    ) -> RecurrentConstants:
        """Make what all recurrent layers need.

        Args:
            params: the layer's parameters.
            inputs: quantized operands.
            output: the quantized output.
            memory_bits: fraction bits of the memory.
            apart: rows whose two products are not simply added.
            hidden_bits: fraction bits of what becomes hidden codes; 0 for those of
                pre-activations.
        """
        given: dict[str, Tensor] = self.by_role(params, inputs)
        x = given["x"].qparams
        assert x is not None
        assert output.qparams is not None
        emits_hidden = params.emits in {"sequence", "last", "state"}
        hidden = output.qparams if emits_hidden else HIDDEN_QPARAMS
        matrices, bias = (given["weights"], given["recurrent"]), given["bias"].value
        pre = pre_activations(matrices, (x, hidden), bias.astype(np.float64), apart, output.name)
        finish = Finish.of(math.ldexp(1.0, -(hidden_bits or pre.bits)), hidden)
        unit = math.ldexp(1.0, -memory_bits)
        first_hidden, first_memory = (
            constant_state(given.get(role), (inputs[0].shape[0], self.units(inputs)))
            for role in ("hidden", self.memory_role)
        )
        memory = memory_range(np.rint(first_memory / unit).astype(np.int64))
        # A memory of its own has hidden codes beside it; else they follow from it.
        follows = self.has_memory and self.memory_role == "hidden"
        return RecurrentConstants(
            None if follows else computed_start(given.get("hidden"), hidden.scalar),
            computed_start(given.get(self.memory_role), unit) if self.has_memory else None,
            finish(memory) if follows else hidden.quantize(first_hidden),
            memory,
            None if emits_hidden else Finish.of(unit, output.qparams),
            pre,
            clip_units(params.clip, pre.bits),
            finish,
        )

    def initial_state(self, params: P, prepared: Any, name: str) -> Array:
        """Codes `(1, state_size)` of the state that a layer without computed states begins with.

        Args:
            params: the layer's parameters.
            prepared: its constants.
            name: of its output, for the error.

        Raises:
            InternalError: the layer begins with states that are computed.
        """
        k: StateConstants = prepared
        if params.begins == "state" or k.hidden_start is not None or k.memory_start is not None:
            raise InternalError(f"{name!r}: its first state is not constant")
        return self._state_codes(k, k.first_hidden, k.first_memory)

    def _state_codes(self, k: StateConstants, hidden: Array, memory: Array) -> Array:
        parts = (hidden, *k.digits(memory)) if self.has_memory else (hidden,)
        return np.concatenate(parts, axis=-1).astype(k.code_type)

    def int_ref(
        self, params: P, prepared: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Compute codes exactly."""
        k: RecurrentConstants = prepared
        given = self.by_role(params, arrays)
        samples, batch, steps, _ = given["x"].shape
        pre = k.input_part(given["x"], given["weights"])
        pre = pre.reshape(samples * batch, steps, -1)
        states = self._first_states(k, given, (samples, batch, self.units(inputs)))
        rows = []
        for step in range(steps):
            states = self.int_step(params, k, pre[:, step], states, given)
            rows.append(states[0])
        if params.emits == "state":
            ended = [*rows[:-1], self._state_codes(k, *states)]
            return np.concatenate(ended, axis=-1).astype(k.code_type)[:, None]
        if k.emitted is not None:
            rows = [k.emitted(states[1])]
        wanted = rows if params.emits == "sequence" else rows[-1:]
        stacked = np.stack(wanted, axis=1).astype(k.code_type)
        return stacked.reshape(samples, batch, len(wanted), -1)

    def _first_states(
        self, k: RecurrentConstants, given: Mapping[str, Array], shape: Shape
    ) -> States:
        units = shape[-1]
        if "state" in given:
            codes = given["state"].reshape(shape[0], -1).astype(np.int64)
            parts = [codes[:, i : i + units] for i in range(0, codes.shape[1], units)]
            if not self.has_memory:
                return parts[0], parts[0]
            return parts[0], k.memory_of(*parts[1:])
        hidden, memory = (
            np.broadcast_to(first, shape).reshape(-1, units)
            for first in (k.first_hidden, k.first_memory)
        )
        if k.memory_start is not None:
            memory = memory_range(k.memory_start(given[self.memory_role].reshape(-1, units)))
            hidden = k.finish(memory) if self.memory_role == "hidden" else hidden
        if k.hidden_start is not None:
            codes = k.hidden_start(given["hidden"].reshape(-1, units))
            hidden = np.clip(codes + k.finish.zero_point, -128, 127)
        return hidden, memory


def clipped(pre: Array, size: float) -> Array:
    """Clamp real pre-activations to a size."""
    return pre if math.isinf(size) else np.clip(pre, -size, size)


def logistic(x: Array) -> Array:
    """The sigmoid of real numbers."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))
