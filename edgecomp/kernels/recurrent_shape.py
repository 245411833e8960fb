"""Sizes of recurrent layers, their operands in C, and their scratch: what all kernels share."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edgecomp.kernels.base import Constant, Layer
from edgecomp.ops import OPS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.recurrent import Recurrent
from edgecomp.ops.recurrent_constants import StateConstants


@dataclass(frozen=True)
class RecurrentShape:
    """Sizes of a recurrent layer, and what lies in its scratch, as the templates need it.

    Behind the sums of a step, and what a faster kernel has there (up to `memory_at`), the scratch
    has the memory, two rows of hidden states where the output does not keep them, the first hidden
    state where it is computed, and what a GRU's reset gate has kept.
    """

    layer: Layer
    memory_at: int

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
    def code_type(self) -> str:
        """C type of input, output and states."""
        return f"{self.layer.output.dtype.value}_t"

    @property
    def parameters(self) -> str:
        """These as parameters of the layer's function."""
        return "".join(f", const {self.code_type} *{name}" for name in self.computed)

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
        k: StateConstants = self.layer.prepared
        comment, found = "before the first step", []
        if self.begins != "state" and not self.computes_hidden:
            found.append(Constant("first_hidden", self.code_type, k.first_hidden, True, comment))
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
    def output_codes(self) -> int:
        """Codes that a sequence gives."""
        return self.layer.output.size // self.batch

    @property
    def computes_hidden(self) -> bool:
        """Whether the first hidden codes are computed."""
        k: StateConstants = self.layer.prepared
        follows = k.memory_start is not None and self.memory_role == "hidden"
        return self.begins == "given" and (k.hidden_start is not None or follows)

    @property
    def has_first_memory(self) -> bool:
        """Whether the layer begins with a constant memory that is not 0."""
        k: StateConstants = self.layer.prepared
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
        row_bytes = self.units * self.layer.output.dtype.size_bytes
        return self.rows_at + (2 * row_bytes if self.has_rows else 0)

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
