"""LSTMs in TFLite's arithmetic on cores with the DSP extension: rows as raw words."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.recurrent_dsp import GateRows, columns_of, refusal
from edgecomp.kernels.recurrent_shape import RecurrentShape
from edgecomp.kernels.tflite_lstm_generic import TfliteLstmGeneric, gate_calls
from edgecomp.targets.cores import Core


class TfliteLstmDsp(TfliteLstmGeneric):
    """All sums of a step, eight codes a turn, then the gates of every unit."""

    name: ClassVar[str] = "tflite_lstm_dsp"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the raw words are proved exact."""
        refused = super().applies(layer, core)
        if refused is not None:
            return refused
        k = layer.prepared.cell
        return refusal(layer, core, max(k.inputs.largest, k.hidden.largest))

    def shape(self, layer: Layer) -> RecurrentShape:
        """Sizes; the scratch begins with the sums and the columns."""
        last = columns_of(layer, _sums_bytes(layer))[-1]
        return RecurrentShape(layer, last.at + 8 * last.steps)

    def row_constants(self, layer: Layer) -> list[Constant]:
        """A stream for each matrix, in the order of use."""
        text = "by 4 gates of a unit: zero points, raw words (256 * even + odd), biases"
        return [
            Constant(f"{call.name}_stream", "uint32_t", block.stream, True, text)
            for call, block in zip(gate_calls(layer), _blocks(layer), strict=True)
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also how vectors become columns, and the block of each matrix."""
        columns = {column.name: column for column in columns_of(layer, _sums_bytes(layer))}
        return {**super().context(layer), "fast": {"columns": columns, "blocks": _blocks(layer)}}


def _sums_bytes(layer: Layer) -> int:
    return 4 * gate_calls(layer)[-1].end


def _blocks(layer: Layer) -> list[GateRows]:
    return [GateRows.of(call, is_plain=True) for call in gate_calls(layer)]
