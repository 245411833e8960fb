"""Depthwise convolution of any window on cores with the DSP extension, four channels at a time."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer, linear_constants
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.gemm_dsp import channel_blocks
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.window_taps import no_table_of_taps, taps_context, taps_scratch
from edgecomp.targets.cores import Core

CHANNELS = 4
"""Channels at once: one word of the input."""


class DepthwiseAnyDsp(Kernel):
    """A word of four channels per tap, weights as 16-bit lanes; any window and numerics."""

    name: ClassVar[str] = "depthwise_any_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_depthwise_any.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """At least four channels, without multiplier."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if layer.output.shape[-1] < CHANNELS:
            return f"fewer than {CHANNELS} channels"
        return no_table_of_taps(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """A pixel of padding."""
        return taps_scratch(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, four channels; the last four may overlap the ones before them."""
        channels = layer.output.shape[-1]
        first = np.minimum(np.arange(channels) // CHANNELS * CHANNELS, channels - CHANNELS)
        return in_order(window_reads(layer, first.tolist(), (first + CHANNELS - 1).tolist()))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """By four channels and tap two words of lanes; biases and multipliers."""
        weights = layer.inputs[1].value.reshape(layer.output.shape[-1], -1)
        blocks = channel_blocks(len(weights), CHANNELS)
        lanes = np.moveaxis(weights[blocks].astype(np.int64) & 0xFFFF, 1, 2)
        words = (lanes[..., :2] | lanes[..., 2:] << 16).astype(np.uint32)
        comment = "by 4 channels and tap: channels 0 and 2, 1 and 3 as 16-bit lanes"
        _, *others = linear_constants(layer, weights, "")
        return [Constant("weights", "uint32_t", words, True, comment), *others]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and groups of channels."""
        shapes = taps_context(layer)
        return {**shapes, "groups": -(-shapes["channels"] // CHANNELS)}
