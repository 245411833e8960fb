"""Average pooling over the whole input on cores with the DSP extension."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.global_average import by_fours_refusal, channels_at_a_time, global_refusal
from edgecomp.kernels.schedule import Schedule
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
        if not core.dsp:
            return "the core lacks the DSP extension"
        return global_refusal(layer, MAX_PIXELS) or by_fours_refusal(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Four channels at a time."""
        return channels_at_a_time(layer, 4)

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
