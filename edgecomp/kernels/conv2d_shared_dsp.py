"""Convolutions with shared code on cores with the DSP extension."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import Shape
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import WORD, block_schedule, refusal
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.shared_dsp import LARGEST, PIXELS, SharedSizes, initializer
from edgecomp.targets.cores import Core

SHARED_GOALS: frozenset[Goal] = frozenset({"balanced", "size", "ram"})
"""Builds that share code between layers."""


class Conv2dDspShared(Kernel):
    """4 pixels x 2 channels at once, windows of whole words, weights as raw words."""

    name: ClassVar[str] = "conv2d_dsp_shared"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_shared.c.j2"
    goals: ClassVar[frozenset[Goal]] = SHARED_GOALS

    def _sizes(self, layer: Layer) -> SharedSizes:
        """What the shared functions are told."""
        shape, w = Shape.of(layer), layer.params
        run = w.kernel_w * shape.channels
        return SharedSizes(
            steps=w.kernel_h * run // WORD,
            out_channels=shape.out_channels,
            run=run,
            rows=w.kernel_h,
            row_stride=shape.width * shape.channels if w.kernel_h > 1 else run,
            pixel_stride=w.stride_w * shape.channels,
            back=0,
            k=layer.prepared,
        )

    def _refusal(self, layer: Layer) -> str | None:
        """What the windows must be."""
        shape, w = Shape.of(layer), layer.params
        if w.kernel_w * shape.channels % WORD:
            return "a row of the window is not whole words"
        numbers = (shape.height, shape.width, shape.channels, w.stride_h, w.stride_w)
        if max(*numbers, w.pad_top, w.pad_left) > LARGEST // 2:
            return "sizes that a half word does not hold"
        return None

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at least 4 pixels and 2 channels."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := no_plain_window(layer):
            return reason
        shape = Shape.of(layer)
        if not PIXELS <= shape.pixels <= LARGEST or shape.out_channels < 2:
            return "fewer than 4 pixels or 2 channels, or too many"
        if reason := self._refusal(layer):
            return reason
        sizes = self._sizes(layer)
        if not sizes.fits:
            return "sizes that a half word does not hold"
        return refusal(layer, sizes.ordered(layer.inputs[1].value))

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block, and a row of a window at the border."""
        sizes = self._sizes(layer)
        return sizes.column_bytes + sizes.run

    def schedule(self, layer: Layer) -> Schedule | None:
        """Blocks of pixels in order; each reads its windows before it writes."""
        shape = Shape.of(layer)
        windows = window_reads(layer, [0], [shape.channels - 1])
        return block_schedule(windows, PIXELS, shape.out_channels)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        sizes = self._sizes(layer)
        stream = sizes.stream(sizes.ordered(layer.inputs[1].value))
        comment = "by 2 channels: biases, raw words (256 * even + odd) twice, multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes, and where windows lie inside the input."""
        shape, sizes = Shape.of(layer), self._sizes(layer)
        w = shape.window
        reach = (w.kernel_h - 1) * shape.width + (PIXELS - 1) * w.stride_w + w.kernel_w
        return {
            **window_context(layer),
            "s": sizes,
            "product": initializer(sizes.product),
            "windows": initializer(sizes.windows),
            "pixels": shape.pixels,
            "rows": shape.inside_rows,
            "last": shape.height * shape.width - reach,
        }


class PointwiseDspShared(Conv2dDspShared):
    """1x1 with stride 1: windows follow each other with one distance through the whole input.

    Where the output is larger than the input it is computed from its end on: then both may begin at
    the same address.
    """

    name: ClassVar[str] = "pointwise_dsp_shared"
    template: ClassVar[str] = "conv2d/dsp_shared_pointwise.c.j2"

    def _sizes(self, layer: Layer) -> SharedSizes:
        channels = layer.inputs[0].shape[-1]
        return SharedSizes.single_run(layer, channels, channels)

    def _refusal(self, layer: Layer) -> str | None:
        if not layer.params.is_pointwise:
            return "not 1x1 with stride 1"
        return "fewer than 4 channels" if layer.inputs[0].shape[-1] < WORD else None

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block."""
        return self._sizes(layer).column_bytes

    def schedule(self, layer: Layer) -> Schedule | None:
        """Blocks of pixels, in order or from the last one on."""
        shape = Shape.of(layer)
        windows = window_reads(layer, [0], [shape.channels - 1])
        return block_schedule(windows, PIXELS, shape.out_channels, backward=shape.backward)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes and the order."""
        return super().context(layer) | {"backward": int(Shape.of(layer).backward)}
