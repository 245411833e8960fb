"""Convolution on cores with Helium (MVE): 2 pixels x 4 channels at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_mve import (
    LANES,
    Gemm,
    gemm_limits,
    gemm_stream,
    pair_schedule,
    refusal,
    rounded_up,
)
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

COPIES = 24
"""Vectors of a window that are copied without a loop."""


@dataclass(frozen=True)
class _Shape:
    """A convolution's window and sizes."""

    layer: Layer
    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    out_channels: int

    @classmethod
    def of(cls, layer: Layer) -> "_Shape":
        sizes = *as_nhwc(layer.inputs[0].shape)[1:], *as_nhwc(layer.output.shape)[1:]
        return cls(layer, layer.params, *sizes)

    @property
    def pixels(self) -> int:
        """Outputs of one channel."""
        return self.out_height * self.out_width

    @property
    def direct(self) -> bool:
        """Whether the windows are read where the input lies."""
        return self.window.is_pointwise

    @property
    def run(self) -> int:
        """Neighbouring bytes of a window."""
        return self.window.kernel_w * self.channels

    @cached_property
    def gemm(self) -> Gemm:
        """The block of the product."""
        inputs = self.window.kernel_h * self.run
        distance = self.channels if self.direct else rounded_up(inputs, LANES)
        return Gemm(
            inputs,
            distance if self.pixels > 1 else 0,
            self.out_channels,
            self.layer.prepared,
            not self.direct,
        )

    @staticmethod
    def _inside(size: int, outputs: int, kernel: int, stride: int, pad: int) -> tuple[int, int]:
        """First output along an axis whose window lies inside the input, and how many do."""
        first = -(-pad // stride)
        return first, max(min((size + pad - kernel) // stride, outputs - 1) - first + 1, 0)

    @property
    def inside(self) -> list[str] | None:
        """C conditions for a window inside the input; None if there is no such window."""
        w = self.window
        axes = (
            ("row", self.out_height, (self.height, w.kernel_h, w.stride_h, w.pad_top)),
            ("column", self.out_width, (self.width, w.kernel_w, w.stride_w, w.pad_left)),
        )
        found = []
        for name, outputs, (size, kernel, stride, pad) in axes:
            first, count = self._inside(size, outputs, kernel, stride, pad)
            if not count:
                return None
            if first > 0:
                found.append(f"{name} >= {first}")
            if first + count < outputs:
                found.append(f"{name} < {first + count}")
        return found


class Conv2dMve(Kernel):
    """2 pixels x 4 channels at once; windows that are not runs of the input are copied."""

    name: ClassVar[str] = "conv2d_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_gemm.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of any size."""
        window = layer.params
        if window.groups != 1:
            return "groups"
        if window.dilation_h != 1 or window.dilation_w != 1:
            return "dilation"
        return refusal(layer, core) or gemm_limits(_Shape.of(layer).gemm)

    def scratch_bytes(self, layer: Layer) -> int:
        """Two windows."""
        shape = _Shape.of(layer)
        return 0 if shape.direct else min(shape.pixels, 2) * shape.gemm.steps * LANES

    def schedule(self, layer: Layer) -> Schedule:
        """Pairs of pixels in order, the last one again where their number is odd."""
        shape = _Shape.of(layer)
        windows = window_reads(layer, [0], [shape.channels - 1])
        return pair_schedule(windows, shape.out_channels, copied=not shape.direct)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value
        stream = gemm_stream(weights.reshape(len(weights), -1), layer.prepared)
        comment = "by 4 channels: for each 16 inputs 4 x 16 weights; 4 biases; 4 multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and how windows are copied."""
        shape = _Shape.of(layer)
        vectors = shape.window.kernel_h * -(-shape.run // LANES)
        return {
            **window_context(layer),
            "g": shape.gemm,
            "direct": shape.direct,
            "pixels": shape.pixels,
            "pairs": max(shape.pixels // 2, 1),
            "inside": shape.inside,
            "run": shape.run,
            "rows_written_out": vectors <= COPIES,
        }
