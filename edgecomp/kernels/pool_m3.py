"""Average pooling over the whole input on cores without the DSP extension: plain C, in lanes."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_m3 import core_refusal
from edgecomp.kernels.pool_dsp import GlobalAverageDsp
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

MAX_PIXELS = 257
"""Bytes whose sum fits 16 bits whatever they are."""


class GlobalAverageM3(GlobalAverageDsp):
    """Four channels of a word at a time in two registers of two lanes each."""

    name: ClassVar[str] = "global_average_m3"
    template: ClassVar[str] = "average_pool/m3.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One window, which is the whole input, of few pixels."""
        reason = core_refusal(core)
        if reason is not None:
            return reason
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        window = layer.params
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        if (window.kernel_h, window.kernel_w) != (height, width) or window.has_padding:
            return "not one window without padding"
        if height * width > MAX_PIXELS:
            return f"more than {MAX_PIXELS} pixels"
        if channels % 4:
            return "channels not a multiple of 4"
        return None

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, the one factor, and what a sum of bytes has too much."""
        context = super().context(layer)
        return {**context, "offset": context["offset"] + 128 * context["pixels"]}
