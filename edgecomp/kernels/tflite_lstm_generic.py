"""LSTMs in TFLite's arithmetic, in plain C: any shape, any core."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.recurrent_rows import RowCall, row_calls
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.requant.tflite16_functions import sigmoid_table
from edgecomp.targets.cores import Core


class TfliteLstmGeneric(Kernel):
    """Unit by unit: the four rows of both matrices, then the gates."""

    name: ClassVar[str] = "tflite_lstm_generic"
    op: ClassVar[str] = "lstm"
    template: ClassVar[str] = "tflite_lstm/layer.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Every LSTM in TFLite's arithmetic."""
        return None if layer.prepared.arithmetic == "tflite" else "the layer has edgecomp's numbers"

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; the scratch begins with the cell states."""
        return RecurrentShape(layer, 0)

    def scratch_bytes(self, layer: Layer) -> int:
        """Cell states, and hidden states that no tensor holds."""
        return self.shape(layer).scratch_bytes

    def row_constants(self, layer: Layer) -> list[Constant]:
        """Weights and biases of both matrices, in the order of use."""
        found = []
        for call in gate_calls(layer):
            weights = call.by_four(call.weights.value).astype(np.int8)
            found += [
                Constant(
                    f"{call.name}_weights", "int8_t", weights, True, "by 4 gates of a unit: IO"
                ),
                Constant(
                    f"{call.name}_bias",
                    "int32_t",
                    np.asarray(call.bias),
                    True,
                    "zero points folded in",
                ),
            ]
        return found

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """What the products read, and the hidden state to begin with."""
        return [*self.row_constants(layer), *self.shape(layer).constants()]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, integers, and the table of the sigmoid."""
        return {
            "s": self.shape(layer),
            "k": layer.prepared.cell,
            "calls": gate_calls(layer),
            "table": np.array(sigmoid_table()),
            "fast": None,
        }


def gate_calls(layer: Layer) -> tuple[RowCall, RowCall]:
    """Both matrices, the four gates of a unit at a time; the sums of the second lie behind."""
    inputs, hidden = row_calls(layer)
    k = layer.prepared.cell
    return (
        replace(inputs, bias=inputs.ordered(k.inputs.bias)),
        replace(hidden, bias=hidden.ordered(k.hidden.bias), first=inputs.end),
    )
