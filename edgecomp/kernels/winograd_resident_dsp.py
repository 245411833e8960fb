"""Winograd F(1x4, 3x3) whose weights lie in flash as they are, with the DSP extension.

For layers on small maps, which have many weights: the whole input is transformed first, then, four
output channels after four, their weights, which serve all blocks of the map.  Half of the products
remain, for the RAM of both and no flash.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_dsp import code_name
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.kernels.winograd_by4_dsp import (
    CHANNELS,
    COLUMNS,
    Winograd1x4Dsp,
    WinogradBy4Dsp,
    matrix_text,
)
from edgecomp.kernels.winograd_transforms import F4, ONE, Transform
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

MAX_OUTPUTS = 64
"""Outputs per channel: on larger maps the transformed input takes more RAM than the maps."""
MAX_CHANNELS = 64
MAX_UNROLLED = 8
"""Steps of two inputs each that are written out."""
POINTS = F4.points


class WinogradResidentDsp(WinogradBy4Dsp):
    """3x3 with stride 1 on maps of up to 64 outputs: all tiles x 4 channels."""

    name: ClassVar[str] = "winograd_resident_dsp"
    template: ClassVar[str] = "conv2d/dsp_winograd_resident.c.j2"
    down: ClassVar[Transform] = Winograd1x4Dsp.down

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What `WinogradBy4Dsp` asks, on a small map."""
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        if out_height * out_width > MAX_OUTPUTS:
            return f"more than {MAX_OUTPUTS} outputs per channel"
        return super().applies(layer, core)

    @property
    def max_steps(self) -> int:
        """Steps of a product, three rows of them."""
        return 3 * MAX_CHANNELS // 2

    @property
    def max_weights(self) -> int:
        """As many as there are: in flash they are as small as ever."""
        return 1 << 20

    def _transformed_bytes(self, layer: Layer) -> int:
        """Bytes of the transformed weights of four output channels."""
        return 4 * CHANNELS * POINTS * self._steps(layer)

    def _row_words(self, layer: Layer) -> int:
        """Words of a transformed row of the input."""
        _, _, out_width, _ = as_nhwc(layer.output.shape)
        return -(-out_width // COLUMNS) * POINTS * int(layer.inputs[0].shape[-1])

    def _input_bytes(self, layer: Layer) -> int:
        _, out_height, _, _ = as_nhwc(layer.output.shape)
        return 4 * (out_height + 2) * self._row_words(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """The transformed input, weights of four channels, sums."""
        sums = 8 * CHANNELS * POINTS
        return self._input_bytes(layer) + self._transformed_bytes(layer) + sums

    def schedule(self, layer: Layer) -> Schedule:
        """All of the input is read before anything is written, by four channels."""
        size = layer.output.size
        order = np.arange(size).reshape(-1, layer.output.shape[-1] // CHANNELS, CHANNELS)
        low = np.full(size, NOTHING)
        high = np.full(size, -1, np.int64)
        low[0], high[0] = 0, layer.inputs[0].size - 1
        return Schedule(order.transpose(1, 0, 2).reshape(-1), {0: Reads(low, high)})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per four channels: the weights of each row of the window and four inputs; ends."""
        weights = layer.inputs[1].value.astype(np.uint8)  # OHWI
        out_channels, rows, taps, channels = weights.shape
        fours = weights.reshape(-1, CHANNELS, rows, taps, channels // 4, 4)
        words = np.ascontiguousarray(fours.transpose(0, 2, 4, 1, 3, 5)).view("<u4")
        ends, text = self._ends(layer)
        blocks = out_channels // CHANNELS
        stream = np.concatenate([words.reshape(blocks, -1), ends.reshape(blocks, -1)], axis=1)
        comment = (
            f"by 4 channels: rows of the window, by 4 inputs 4 x 3 weights; {text}, four times"
        )
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def _function_name(self, name: str, k: LinearConstants) -> str:
        """Of the C functions: they have the zero point."""
        return code_name(name, k)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and distances."""
        base = super().context(layer)
        channels = base["channels"]
        dense_words = CHANNELS * 9 * channels // 4
        return {
            **base,
            "down": ONE,
            "matrices": {
                **base["matrices"],
                "down_inputs": matrix_text(ONE.inputs),
                "weights": matrix_text(F4.weights),
            },
            "product_bytes": 4 * channels,
            "at_once": max(n for n in range(1, MAX_UNROLLED + 1) if channels // 2 % n == 0),
            "products_bytes": self._input_bytes(layer),
            "transformed_bytes": self._transformed_bytes(layer),
            "row_words": self._row_words(layer),
            "blocks": -(-base["out_width"] // COLUMNS),
            "outside": base["outside"][:1],
            "outside_product": int(F4.inputs[1].sum()) * base["input_zero_point"] & 0xFFFF,
            "dense_words": dense_words,
            "stream_words": dense_words + CHANNELS * base["channel_words"],
        }
