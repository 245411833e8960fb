"""Pools on cores with Helium (MVE): the mean of the whole input, the largest code of windows."""

from typing import Any, ClassVar

from edgecomp.fixedpoint import INT32_MAX
from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.global_average import channels_at_a_time, global_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

LANES = 16
"""Codes in a vector."""
MAX_PIXELS = 255
"""Codes whose sum fits 16 bits whatever they are."""
MAX_TAPS_WRITTEN_OUT = 9
"""Taps of a window without padding that need no loop."""


class GlobalAverageMve(Kernel):
    """The mean of the whole input, 16 channels at a time as 16-bit sums."""

    name: ClassVar[str] = "global_average_mve"
    op: ClassVar[str] = "average_pool"
    template: ClassVar[str] = "average_pool/mve.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One window, which is the whole input, of few pixels."""
        if not core.mve:
            return "the core lacks Helium (MVE)"
        if reason := global_refusal(layer, MAX_PIXELS):
            return reason
        return "a scale of 1 or more" if self._doubling(layer) > INT32_MAX else None

    @staticmethod
    def _doubling(layer: Layer) -> int:
        """VQRDMLASH's multiplier: half of `multiplier * 2^shift` (see `gemm_mve`)."""
        _, height, width, _ = as_nhwc(layer.inputs[0].shape)
        k = layer.prepared
        return int(k.multiplier[height * width]) << int(k.shift[height * width]) >> 1

    def schedule(self, layer: Layer) -> Schedule:
        """16 channels at a time."""
        return channels_at_a_time(layer, LANES)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and the one factor."""
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        pixels, k = height * width, layer.prepared
        return {
            "k": k,
            "pixels": pixels,
            "channels": channels,
            "offset": pixels * k.input_zero_point,
            "multiplier": self._doubling(layer),
        }


class MaxPoolMve(Kernel):
    """The largest code of each window, 16 channels at once."""

    name: ClassVar[str] = "max_pool_mve"
    op: ClassVar[str] = "max_pool"
    template: ClassVar[str] = "max_pool/mve.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any window."""
        return None if core.mve else "the core lacks Helium (MVE)"

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, channel: that 16 channels are read before they are written only helps."""
        own = range(layer.output.shape[-1])
        return in_order(window_reads(layer, own, own))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes and window."""
        window = layer.params
        taps = [(h, w) for h in range(window.kernel_h) for w in range(window.kernel_w)]
        few = len(taps) <= MAX_TAPS_WRITTEN_OUT and not window.has_padding
        return {**window_context(layer), "taps": taps if few else []}
