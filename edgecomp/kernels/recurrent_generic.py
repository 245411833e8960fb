"""LSTM, GRU and simple recurrent layers in plain C: any shape, any core."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.recurrent_rows import row_calls, weights_constant
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.ops.gates import TANH, UNIT_BITS
from edgecomp.targets.cores import Core


class RecurrentGeneric(Kernel):
    """Four rows at a time of both matrices, then the gates of every unit."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Every layer in edgecomp's own arithmetic."""
        return None if layer.prepared.arithmetic == "edgecomp" else "the layer has TFLite's numbers"

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; the scratch begins with the sums."""
        return RecurrentShape(layer, 4 * max(call.end for call in row_calls(layer)))

    def scratch_bytes(self, layer: Layer) -> int:
        """Sums, memory and hidden states that no tensor holds."""
        return self.shape(layer).scratch_bytes

    def row_constants(self, layer: Layer) -> list[Constant]:
        """Weights of all calls, multipliers and biases of each."""
        calls, bits = row_calls(layer), layer.prepared.pre.bits
        found = [weights_constant(call.weights_by_four for call in calls)]
        for call in calls:
            name = f"{call.name}_multiplier"
            found.append(Constant(name, "int32_t", call.multiplier, True, "of each row"))
            if call.bias is not None:
                text = f"in units of 2^-{bits}, zero points folded in"
                found.append(Constant(f"{call.name}_bias", "int32_t", call.bias, True, text))
        return found

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """What the calls read, peepholes, and the states to begin with."""
        return [*self.row_constants(layer), *self.shape(layer).constants()]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, parameters, integers, the calls and the table of tanh."""
        # Bits that a product of two gates has more than the cell state.
        less = UNIT_BITS - getattr(layer.params, "cell_bits", UNIT_BITS)
        return {
            "s": self.shape(layer),
            "p": layer.params,
            "k": layer.prepared,
            "calls": row_calls(layer),
            "table": TANH,
            "less": less,
            "half": (1 << less) >> 1,
            "fast": None,
        }


class LstmGeneric(RecurrentGeneric):
    """The four rows of a unit at once, then the cell states."""

    name: ClassVar[str] = "lstm_generic"
    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "lstm/layer.c.j2"


class GruGeneric(RecurrentGeneric):
    """Four rows of a gate at once, then the hidden states."""

    name: ClassVar[str] = "gru_generic"
    op: ClassVar[str] = "gru"
    template: ClassVar[str] = "gru/layer.c.j2"


class RnnGeneric(RecurrentGeneric):
    """Four rows at once, then the hidden states."""

    name: ClassVar[str] = "rnn_generic"
    op: ClassVar[str] = "rnn"
    template: ClassVar[str] = "rnn/layer.c.j2"
