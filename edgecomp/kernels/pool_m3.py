"""Average pooling over the whole input on cores without the DSP extension: plain C, in lanes."""

from typing import Any, ClassVar

from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_m3 import core_refusal
from edgecomp.kernels.global_average import by_fours_refusal, global_refusal
from edgecomp.kernels.pool_dsp import GlobalAverageDsp
from edgecomp.targets.cores import Core

MAX_PIXELS = 257
"""Bytes whose sum fits 16 bits whatever they are."""


class GlobalAverageM3(GlobalAverageDsp):
    """Four channels of a word at a time in two registers of two lanes each."""

    name: ClassVar[str] = "global_average_m3"
    template: ClassVar[str] = "average_pool/m3.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One window, which is the whole input, of few pixels."""
        refused = core_refusal(core) or global_refusal(layer, MAX_PIXELS)
        return refused or by_fours_refusal(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, the one factor, and what a sum of bytes has too much."""
        context = super().context(layer)
        return {**context, "offset": context["offset"] + 128 * context["pixels"]}
