"""Convolution on cores with Helium (MVE): 2 pixels x 4 channels at once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.copies_mve import Copies
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_mve import Gemm, gemm_limits, gemm_stream, pair_schedule, refusal
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.windows_mve import Windows, copied_schedule
from edgecomp.targets.cores import Core


def window_reads_of(layer: Layer) -> Any:
    """What each output of a convolution without groups reads."""
    return window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])


class Conv2dMve(Kernel):
    """2 pixels x 4 channels at once; windows that are not runs of the input are copied."""

    name: ClassVar[str] = "conv2d_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_gemm.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of any size."""
        return (
            no_plain_window(layer)
            or refusal(layer, core)
            or gemm_limits(self._gemm(layer, self.windows(layer)))
        )

    def windows(self, layer: Layer) -> Windows:
        """How the layer's windows lie in memory."""
        return Windows.of(layer)

    def _gemm(self, layer: Layer, w: Windows) -> Gemm:
        k = layer.prepared
        return Gemm(w.inputs, w.pixel_stride, w.out_channels, k, not w.direct, w.aligned)

    def scratch_bytes(self, layer: Layer) -> int:
        """Copied windows."""
        return self.windows(layer).scratch_bytes

    def schedule(self, layer: Layer) -> Schedule | None:
        """Pairs of pixels in order; where windows are copied, all that fit the scratch."""
        w, reads = self.windows(layer), window_reads_of(layer)
        if w.direct:
            return pair_schedule(reads, w.out_channels, w.groups())
        return copied_schedule(reads, w.out_channels, w.groups())

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = self.windows(layer).matrix(layer.inputs[1].value)
        stream = gemm_stream(weights, layer.prepared)
        comment = "by 4 channels: for each 16 inputs 4 x 16 weights; 4 biases; 4 multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and how windows are copied."""
        assert layer.inputs[0].qparams is not None
        w = self.windows(layer)
        g = self._gemm(layer, w)
        return {
            "w": w,
            "g": g,
            "resident": False,
            "pixels_at_once": w.at_once,
            "block": f"ec_{g.name}",
            "input_zero_point": layer.inputs[0].qparams.zero_point,
            "copies": Copies(w),
        }


class Conv2dLeanMve(Conv2dMve):
    """The same with as few copied windows as there can be."""

    name: ClassVar[str] = "conv2d_lean_mve"
    is_lean: ClassVar[bool] = True

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions whose windows must be copied."""
        reason = super().applies(layer, core)
        if reason is None and self.windows(layer).direct:
            reason = "windows are runs of the input"
        return reason

    def windows(self, layer: Layer) -> Windows:
        """Two windows at a time."""
        return replace(Windows.of(layer), is_lean=True)
