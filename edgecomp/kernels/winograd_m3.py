"""Exact integer Winograd F(2x2, 3x3) on Armv7-M without the DSP extension.

One product per multiplication, but 2.25 times fewer of them: the transformed inputs of four tiles
lie side by side as words, and each transformed weight, 16 bits, meets all four.  The sums are
four times the direct ones, exactly (see `winograd_dsp`); the multiplier, a multiple of 4, takes
the factor back.  Worth its 3.6 times larger weights where speed counts more than flash.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import two_rows_at_a_time
from edgecomp.kernels.finish import end_words, requantize_refusal
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.winograd_dsp import transformed_weights
from edgecomp.kernels.winograd_transforms import window_refusal
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

TILES = 4
"""Tiles of 2x2 outputs at once, side by side."""
COLUMNS = 2 * TILES
"""Output columns of a block."""
UNROLL = 8
"""Channels that the loop of a product takes at once."""
MAX_CHANNELS = 64
SUMS_BYTES = 16 * TILES * 4
"""Scratch for the sums of 16 products."""


class WinogradM3(Kernel):
    """3x3, stride 1: 4 tiles of 2x2 outputs of one channel at once."""

    name: ClassVar[str] = "winograd_m3"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m3_winograd.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, up to 64 input channels, at least 8 x 2 outputs."""
        reason = core_refusal(core)
        if reason is not None:
            return reason
        window, k = layer.params, layer.prepared
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        channels = layer.inputs[0].shape[-1]
        if reason := window_refusal(window):
            return reason
        if channels % UNROLL or channels > MAX_CHANNELS:
            return f"input channels: a multiple of {UNROLL} up to {MAX_CHANNELS}"
        if out_width < COLUMNS or out_height < 2:
            return f"fewer than {COLUMNS} x 2 outputs"
        if reason := requantize_refusal(layer):
            return reason
        if 4 * k.acc_min.min() < INT32_MIN or 4 * k.acc_max.max() > INT32_MAX:
            return "an accumulator can exceed 30 bits"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """Transformed inputs, sums, four padded rows."""
        channels, out_width = layer.inputs[0].shape[-1], layer.output.shape[-2]
        return 16 * 4 * TILES * channels + SUMS_BYTES + 4 * (out_width + 2) * channels

    def schedule(self, layer: Layer) -> Schedule:
        """Two rows at a time; their windows are read before any of them is written."""
        return two_rows_at_a_time(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel four times the bias, half the multiplier, 16-bit weights by product."""
        k = layer.prepared
        u = transformed_weights(layer.inputs[1].value).astype(np.int16)
        words = np.ascontiguousarray(u.reshape(len(u), -1)).view("<u4")
        scales = end_words(k) if k.arithmetic == "tflite" else [k.multiplier // 2]
        ends = np.stack([4 * k.bias, *scales], axis=1) & 0xFFFFFFFF
        stream = np.concatenate([ends.astype(np.uint32), words], axis=1)
        comment = "by channel: 4 * bias, multiplier / 2, 16 products of 16-bit weights"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        return {
            **window_context(layer),
            "suffix": clamp_suffix(layer.prepared),
            "unroll": UNROLL,
        }
