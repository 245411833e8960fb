"""LSTMs in TFLite's arithmetic, in plain C: any shape, any core."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.recurrent_rows import RowCall, row_calls, weights_constant
from edgecomp.kernels.tflite_lstm_layer import TfliteLstmKernel
from edgecomp.targets.cores import Core


class TfliteLstmGeneric(TfliteLstmKernel):
    """Unit by unit: the four rows of both matrices, then the gates."""

    name: ClassVar[str] = "tflite_lstm_generic"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Every LSTM in TFLite's arithmetic."""
        return None if layer.prepared.arithmetic == "tflite" else "the layer has edgecomp's numbers"

    def row_constants(self, layer: Layer) -> list[Constant]:
        """Weights and biases of both matrices, in the order of use."""
        calls, text = gate_calls(layer), "zero points folded in"
        return [
            weights_constant(call.weights_by_four for call in calls),
            *(
                Constant(f"{call.name}_bias", "int32_t", np.asarray(call.bias), True, text)
                for call in calls
            ),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also the rows of each matrix."""
        return {**super().context(layer), "calls": gate_calls(layer)}


def gate_calls(layer: Layer) -> tuple[RowCall, RowCall]:
    """Both matrices, the four gates of a unit at a time; the sums of the second lie behind."""
    inputs, hidden = row_calls(layer)
    k = layer.prepared.cell
    return (
        replace(inputs, bias=inputs.ordered(k.inputs.bias)),
        replace(hidden, bias=hidden.ordered(k.hidden.bias), first=inputs.end),
    )
