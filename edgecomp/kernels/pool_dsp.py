"""Average pooling over the whole input on cores with the DSP extension."""

from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

MAX_PIXELS = 255
"""Codes whose sum fits 16 bits whatever they are."""


class GlobalAverageDsp(Kernel):
    """Four channels at a time in two registers of two lanes each."""

    name: ClassVar[str] = "global_average_dsp"
    op: ClassVar[str] = "average_pool"
    template: ClassVar[str] = "average_pool/dsp.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One window, which is the whole input, of few pixels."""
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        window = layer.params
        if not core.dsp:
            return "the core lacks the DSP extension"
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        if (window.kernel_h, window.kernel_w) != (height, width) or window.has_padding:
            return "not one window without padding"
        if height * width > MAX_PIXELS:
            return f"more than {MAX_PIXELS} pixels"
        if channels % 4:
            return "channels not a multiple of 4"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Four channels at a time; all pixels are read, then four outputs are written."""
        channels = layer.output.shape[-1]
        first = np.arange(channels, dtype=np.int64)
        begins = first % 4 == 0
        last = layer.inputs[0].size - channels + first + 3
        reads = Reads(np.where(begins, first, NOTHING), np.where(begins, last, -1))
        return Schedule(first, {0: reads})

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and the one factor."""
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        pixels, k = height * width, layer.prepared
        return {
            "k": k,
            "pixels": pixels,
            "channels": channels,
            "offset": pixels * k.input_zero_point,
            "multiplier": int(k.multiplier[pixels]),
            "shift": int(k.shift[pixels]),
        }
