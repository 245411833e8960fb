"""Exact integer Winograd F(2x2, 3x3) on Armv6-M: four tiles at a time.

As `winograd_dsp`: with G scaled by 2 the output transform gives exactly 4 times the direct sum
modulo 2^32.  A transformed weight is one load, its four products another.  The sums of the 16
products are never set back to 0: the output transform takes differences, and the weights of the
last row of the tile are stored negative, so that it adds three terms instead of four.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.events import two_rows_at_a_time
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.winograd_dsp import COLUMNS, TILES, transformed_weights
from edgecomp.kernels.winograd_transforms import window_refusal
from edgecomp.ops.base import as_nhwc
from edgecomp.requant.pieces import Pieces, signed_pieces
from edgecomp.targets.cores import Core

CHANNELS_AT_ONCE = 8
"""Inputs that the loop takes at once, and output channels whose weights lie side by side."""
MAX_CHANNELS = 64
"""More inputs would take more scratch than the products save."""


class WinogradM0(Kernel):
    """3x3, stride 1: 4 tiles of 2x2 outputs x 1 channel at once."""

    name: ClassVar[str] = "winograd_m0"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m0_winograd.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, 16 to 64 input channels, at least 8 x 2 outputs."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        window, k = layer.params, layer.prepared
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        channels = layer.inputs[0].shape[-1]
        if reason := window_refusal(window):
            return reason
        if channels % CHANNELS_AT_ONCE or not 16 <= channels <= MAX_CHANNELS:
            return "input channels: a multiple of 8 from 16 to 64"
        if out_channels % CHANNELS_AT_ONCE:
            return "output channels not a multiple of 8"
        if out_width < COLUMNS or out_height < 2:
            return f"fewer than {COLUMNS} x 2 outputs"
        if k.arithmetic != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        if np.any(k.shift):
            return "a multiplier needs a shift"
        if 4 * k.acc_min.min() < INT32_MIN or 4 * k.acc_max.max() > INT32_MAX:
            return "an accumulator can exceed 30 bits"
        if self._pieces(layer) is None:
            return "no multiplier of few pieces is exact for every accumulator"
        return None

    def _pieces(self, layer: Layer) -> Pieces | None:
        k = layer.prepared
        return signed_pieces(k.acc_min, k.acc_max, k.multiplier, k.zero_point, k.low)

    def _words_bytes(self, layer: Layer) -> int:
        """Bytes of the transformed inputs of a block."""
        return 16 * TILES * 4 * int(layer.inputs[0].shape[-1])

    def scratch_bytes(self, layer: Layer) -> int:
        """Transformed inputs and four padded rows."""
        channels, out_width = layer.inputs[0].shape[-1], layer.output.shape[-2]
        return self._words_bytes(layer) + 4 * (out_width + 2) * channels

    def schedule(self, layer: Layer) -> Schedule:
        """Two rows at a time; their windows are read before any of them is written."""
        return two_rows_at_a_time(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Transformed weights by 8 channels, biases and multipliers."""
        k = layer.prepared
        u = transformed_weights(layer.inputs[1].value)
        u[:, 3] = -u[:, 3]
        # Blocks of 8 channels; column of the tile, row of it, input, channel of the block.
        blocks = u.reshape(-1, CHANNELS_AT_ONCE, *u.shape[1:]).transpose(0, 3, 2, 4, 1)
        constants = np.stack([4 * k.bias, k.multiplier >> 2], axis=1)
        layout = "by 8 channels: column and row of the tile, input, channel"
        return [
            Constant("weights", "int16_t", blocks.astype(np.int16), True, layout),
            Constant(
                "constants", "int32_t", constants, True, "4 * bias, a quarter of the multiplier"
            ),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        shapes, k = window_context(layer), layer.prepared
        pieces = self._pieces(layer)
        assert pieces is not None
        row_bytes = (shapes["out_width"] + 2) * shapes["channels"]
        numbers = (pieces.count, pieces.bits, k.zero_point, k.low, k.high)
        return {
            **shapes,
            "p": pieces,
            "name": function_name("winograd", shapes["channels"], row_bytes, *numbers),
            "row_bytes": row_bytes,
            "words_bytes": self._words_bytes(layer),
        }
