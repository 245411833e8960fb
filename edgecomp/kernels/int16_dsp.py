"""Convolutions and dense layers of int16 activations on cores with the DSP extension."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import block_schedule, block_starts, channel_blocks
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.product16 import CODE_BYTES, WORD, Product, refusal
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core


class LinearInt16Dsp(Kernel):
    """Blocks of pixels and channels, weights in the order of use."""

    numerics: ClassVar[frozenset[str]] = Int16Kernel.numerics
    code_type: ClassVar[str] = Int16Kernel.code_type
    template: ClassVar[str] = "int16/linear_blocks.c.j2"
    block: ClassVar[type[Product]] = Product

    @abstractmethod
    def product(self, layer: Layer) -> Product:
        """The block."""

    @abstractmethod
    def windows(self, layer: Layer) -> Reads:
        """What the outputs of each pixel read."""

    def is_copied(self, layer: Layer) -> bool:
        """Whether windows are copied into columns."""
        return False

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the sums are proved to fit."""
        return self.block.lacks(core) or refusal(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of pixels in order; each reads its inputs anew for every block of channels."""
        p, windows = self.product(layer), self.windows(layer)
        if self.is_copied(layer):
            return block_schedule(windows, p.pixels, p.out_channels).in_bytes(CODE_BYTES)
        starts = block_starts(len(windows.low), p.pixels)
        pixels = starts[:, None] + np.arange(p.pixels)
        channels = channel_blocks(p.out_channels, p.channels)[:, : p.stored]
        writes = pixels[:, None, :, None] * p.out_channels + channels[None, :, None, :]
        low = np.full(writes.shape, NOTHING)
        high = np.full(writes.shape, -1, np.int64)
        low[:, :, 0, 0] = windows.low[pixels].min(axis=1)[:, None]
        high[:, :, 0, 0] = windows.high[pixels].max(axis=1)[:, None]
        events = Schedule(writes.reshape(-1), {0: Reads(low.reshape(-1), high.reshape(-1))})
        return events.in_bytes(CODE_BYTES)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        p, weights = self.product(layer), layer.inputs[1].value
        values = p.stream(weights.reshape(len(weights), -1), layer.prepared)
        return [Constant("stream", "uint32_t", values, True, p.comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and its calls."""
        p = self.product(layer)
        whole = p.out_channels // p.channels if p.out_channels >= p.channels else 1
        ends = p.out_channels > p.channels and p.out_channels % p.channels != 0
        return {
            "p": p,
            "k": layer.prepared,
            "pixels": len(self.windows(layer).low),
            "copied": self.is_copied(layer),
            "blocks_end": whole * p.words,
            "stream_words": (whole + ends) * p.words,
        }


class DenseInt16Dsp(LinearInt16Dsp):
    """Dense layer: two rows at once, or one."""

    name: ClassVar[str] = "dense_int16_dsp"
    op: ClassVar[str] = "dense"

    def product(self, layer: Layer) -> Product:
        """Rows lie behind each other."""
        outputs, inputs = layer.inputs[1].shape
        rows = math.prod(layer.inputs[0].shape[:-1])
        return self.block.of(rows, inputs, inputs, outputs, layer.prepared)

    def windows(self, layer: Layer) -> Reads:
        """The rows."""
        inputs = layer.inputs[1].shape[1]
        low = np.arange(0, layer.inputs[0].size, inputs, dtype=np.int64)
        return Reads(low, low + inputs - 1)


class Conv2dInt16Dsp(LinearInt16Dsp):
    """Convolution: 1x1 as it lies, other windows as columns."""

    name: ClassVar[str] = "conv2d_int16_dsp"
    op: ClassVar[str] = "conv2d"

    def product(self, layer: Layer) -> Product:
        """Neighbouring windows, as they lie or copied."""
        window = layer.params
        channels, outputs = layer.inputs[0].shape[-1], layer.output.shape[-1]
        inputs = window.kernel_h * window.kernel_w * channels
        step = window.stride_w * channels
        if self.is_copied(layer):
            step = inputs = inputs + -inputs % WORD
        pixels = math.prod(layer.output.shape[:-1])
        return self.block.of(pixels, inputs, step, outputs, layer.prepared)

    def windows(self, layer: Layer) -> Reads:
        """All channels of the window."""
        return window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])

    def is_copied(self, layer: Layer) -> bool:
        """All but 1x1 and windows of one row, which begin at equal distances."""
        window, (_, height, _, _) = layer.params, as_nhwc(layer.inputs[0].shape)
        in_a_row = (window.kernel_h, height, window.dilation_w) == (1, 1, 1)
        return not (window.is_pointwise or (in_a_row and not window.has_padding))

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Convolutions without groups, if the sums are proved to fit."""
        return "groups" if layer.params.groups != 1 else super().applies(layer, core)

    def scratch_bytes(self, layer: Layer) -> int:
        """The columns of a block."""
        p = self.product(layer)
        return p.pixels * p.distance if self.is_copied(layer) else 0

    def context(self, layer: Layer) -> dict[str, Any]:
        """Also the window."""
        return {**window_context(layer), **super().context(layer)}
