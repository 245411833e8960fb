"""LSTM, GRU and simple recurrent layers in plain C: any shape, any core."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.ops import OPS
from edgecomp.ops.gates import TANH, UNIT_BITS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.recurrent import Recurrent
from edgecomp.ops.recurrent_constants import RecurrentConstants


@dataclass(frozen=True)
class RecurrentShape:
    """Sizes of a recurrent layer, and what lies in its scratch, as the templates need it.

    Behind what a faster kernel has there (up to `memory_at`) the scratch has the memory, two rows
    of hidden states where the output does not keep them, the first hidden state where it is
    computed, and what a GRU's reset gate has kept.
    """

    layer: Layer
    memory_at: int = 0

    @property
    def _op(self) -> Recurrent[Any]:
        op = OPS[self.layer.node.op]
        assert isinstance(op, Recurrent)
        return op

    @property
    def batch(self) -> int:
        """Sequences of the input."""
        return self.layer.inputs[0].shape[0]

    @property
    def steps(self) -> int:
        """Rows of a sequence."""
        return self.layer.inputs[0].shape[1]

    @property
    def inputs(self) -> int:
        """Elements of a row."""
        return self.layer.inputs[0].shape[2]

    @cached_property
    def units(self) -> int:
        """Elements of the hidden state."""
        return self._op.units(self.layer.inputs)

    @property
    def whole_units(self) -> int:
        """These, filled up to a multiple of 4."""
        return -(-self.units // 4) * 4

    @property
    def begins(self) -> str:
        """How the layer begins."""
        return str(self.layer.params.begins)

    @property
    def emits(self) -> str:
        """What the layer gives."""
        return str(self.layer.params.emits)

    @property
    def has_memory(self) -> bool:
        """Whether there is a memory beside the hidden codes."""
        return self._op.has_memory

    @property
    def memory_role(self) -> str:
        """The operand that a memory to begin with comes from."""
        return self._op.memory_role

    @cached_property
    def computed(self) -> list[str]:
        """C names of the computed operands behind the input."""
        roles = self._op.by_role(self.layer.params, self.layer.inputs)
        names = {"hidden": "first_hidden", "memory": "first_memory", "state": "state"}
        return [names[r] for r, tensor in roles.items() if r in names and not tensor.is_const]

    @property
    def parameters(self) -> str:
        """These as parameters of the layer's function."""
        return "".join(f", const int8_t *{name}" for name in self.computed)

    @property
    def sequence_parameters(self) -> str:
        """Parameters of the function for one sequence; constant states are among them."""
        constant = (f", const {c.c_type} *{c.name}" for c in self.starts() if self.batch > 1)
        return self.parameters + "".join(constant)

    def arguments(self, layer: str) -> str:
        """The arguments for these, for sequence `i`."""
        names = [*self.computed, *(f"{layer}_{c.name}" for c in self.starts())]
        return "".join(f", {name} + i * {self.units}" for name in names)

    def own(self, layer: str, name: str) -> str:
        """A constant state, in the function for one sequence."""
        return name if self.batch > 1 else f"{layer}_{name}"

    def starts(self) -> list[Constant]:
        """Constant states to begin with."""
        k: RecurrentConstants = self.layer.prepared
        comment, found = "before the first step", []
        if self.begins != "state" and not self.computes_hidden:
            found.append(Constant("first_hidden", "int8_t", k.first_hidden, True, comment))
        if self.has_first_memory:
            found.append(Constant("first_memory", "int16_t", k.first_memory, True, comment))
        return found

    def constants(self) -> list[Constant]:
        """What every kernel needs in flash beside weights and biases."""
        found = self.starts()
        if getattr(self.layer.params, "peepholes", False):
            weights = self.layer.prepared.peephole
            found.append(Constant("peephole", "int32_t", weights, True, "input, output, forget"))
        return found

    @property
    def has_end(self) -> bool:
        """Whether there is something to do after the last step."""
        return self.has_rows or (self.emits == "state" and self.has_memory)

    @property
    def output_bytes(self) -> int:
        """Bytes that a sequence gives."""
        return self.layer.output.size // self.batch

    @property
    def computes_hidden(self) -> bool:
        """Whether the first hidden codes are computed."""
        k: RecurrentConstants = self.layer.prepared
        follows = k.memory_start is not None and self.memory_role == "hidden"
        return self.begins == "given" and (k.hidden_start is not None or follows)

    @property
    def has_first_memory(self) -> bool:
        """Whether the layer begins with a constant memory that is not 0."""
        k: RecurrentConstants = self.layer.prepared
        constant = self.has_memory and self.begins != "state" and k.memory_start is None
        return constant and bool(np.any(k.first_memory))

    @property
    def has_rows(self) -> bool:
        """Whether hidden states are kept in the scratch, not in the output."""
        return self.emits in {"last", "memory"}

    @property
    def rows_at(self) -> int:
        """Where these begin in the scratch."""
        return self.memory_at + (2 * self.units if self.has_memory else 0)

    @property
    def first_at(self) -> int:
        """Where the first hidden state lies in the scratch."""
        return self.rows_at + (2 * self.units if self.has_rows else 0)

    @property
    def kept_at(self) -> int:
        """Where the hidden state behind the reset gate lies in the scratch."""
        return self.first_at + (self.units if self.computes_hidden else 0)

    @property
    def scratch_bytes(self) -> int:
        """All of it."""
        params = self.layer.params
        resets = isinstance(params, GruParams) and not params.reset_after
        return self.kept_at + (self.units if resets else 0)


class RecurrentGeneric(Kernel):
    """One row of both matrices at a time."""

    def scratch_bytes(self, layer: Layer) -> int:
        """Memory and hidden states that no tensor holds."""
        return RecurrentShape(layer).scratch_bytes

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Both matrices as they are, multipliers and biases, and the states to begin with."""
        k: RecurrentConstants = layer.prepared
        shape = RecurrentShape(layer)
        rows = "gate by gate, one row per unit"
        found = [
            Constant("weights", "int8_t", layer.inputs[1].value, True, f"weights, OI, {rows}"),
            Constant("recurrent", "int8_t", layer.inputs[2].value, True, f"likewise, {rows}"),
            Constant("input_multiplier", "int32_t", k.pre.inputs.multiplier, True, "of each row"),
            Constant("hidden_multiplier", "int32_t", k.pre.hidden.multiplier, True, "of each row"),
            Constant("bias", "int32_t", k.pre.bias, True, f"in units of 2^-{k.pre.bits}"),
        ]
        if k.pre.hidden_bias.size:
            bias = k.pre.hidden_bias
            found.append(Constant("hidden_bias", "int32_t", bias, True, "of the candidate"))
        return [*found, *shape.constants()]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, parameters, integers and the table of tanh."""
        return recurrent_context(layer, RecurrentShape(layer))


def recurrent_context(layer: Layer, shape: RecurrentShape, fast: Any = None) -> dict[str, Any]:
    """What the templates of recurrent layers read.

    Args:
        layer: the layer.
        shape: its sizes.
        fast: how whole matrices are multiplied, where they are.
    """
    # Bits that a product of two gates has more than the cell state.
    less = UNIT_BITS - getattr(layer.params, "cell_bits", UNIT_BITS)
    return {
        "s": shape,
        "p": layer.params,
        "k": layer.prepared,
        "table": TANH,
        "less": less,
        "half": (1 << less) >> 1,
        "fast": fast,
    }


class LstmGeneric(RecurrentGeneric):
    """Four rows for each unit, then its cell state."""

    name: ClassVar[str] = "lstm_generic"
    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "lstm/layer.c.j2"


class GruGeneric(RecurrentGeneric):
    """Three rows for each unit, then its hidden state."""

    name: ClassVar[str] = "gru_generic"
    op: ClassVar[str] = "gru"
    template: ClassVar[str] = "gru/layer.c.j2"


class RnnGeneric(RecurrentGeneric):
    """One row for each unit."""

    name: ClassVar[str] = "rnn_generic"
    op: ClassVar[str] = "rnn"
    template: ClassVar[str] = "rnn/layer.c.j2"
