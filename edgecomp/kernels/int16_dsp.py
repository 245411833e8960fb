"""Convolutions and dense layers of int16 activations on cores with the DSP extension."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import block_schedule, block_starts, channel_blocks
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.product16 import (
    CODE_BYTES,
    MAX_OFFSET,
    WORD,
    Product,
    by_turns,
    range_name,
    refusal,
    stream,
    weight_words,
)
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

LARGEST_DISTANCE = MAX_OFFSET - 7
"""Bytes from pixel to pixel that the loads of a step of 8 bytes reach."""


class LinearInt16Dsp(Kernel):
    """2 pixels x 2 channels at once, or 1 x 4; weights are int8 in the order of use."""

    numerics: ClassVar[frozenset[str]] = Int16Kernel.numerics
    code_type: ClassVar[str] = Int16Kernel.code_type

    def product(self, layer: Layer) -> Product:
        """The block."""
        raise NotImplementedError

    def windows(self, layer: Layer) -> Reads:
        """What the outputs of each pixel read."""
        raise NotImplementedError

    def is_copied(self, layer: Layer) -> bool:
        """Whether windows are copied into columns."""
        return False

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the sums are proved to fit."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        return refusal(layer)

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
        words = weight_words(self._ordered(layer, weights.reshape(len(weights), -1)))
        blocks = channel_blocks(len(weights), p.channels)
        values = stream(by_turns(words, blocks), layer.prepared, blocks)
        comment = (
            f"by {p.channels} channels: biases, weights by fours (0, 2, 1, 3), multipliers, shifts"
        )
        return [Constant("stream", "uint32_t", values, True, comment)]

    def _ordered(self, layer: Layer, weights: Array) -> Array:
        """Weights `(channels, inputs)` in the order of a pixel's inputs."""
        return weights

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
    template: ClassVar[str] = "int16/dsp_linear.c.j2"

    def product(self, layer: Layer) -> Product:
        """Rows lie behind each other."""
        outputs, inputs = layer.inputs[1].shape
        distance, stride = CODE_BYTES * inputs, CODE_BYTES * outputs
        rows = math.prod(layer.inputs[0].shape[:-1])
        far = max(distance - LARGEST_DISTANCE, stride + CODE_BYTES - MAX_OFFSET) > 0
        pixels = 1 if rows == 1 or outputs == 1 or far else 2
        return Product(pixels, inputs, distance, stride, outputs, range_name(layer.prepared))

    def windows(self, layer: Layer) -> Reads:
        """The rows."""
        inputs = layer.inputs[1].shape[1]
        low = np.arange(0, layer.inputs[0].size, inputs, dtype=np.int64)
        return Reads(low, low + inputs - 1)


class Conv2dInt16Dsp(LinearInt16Dsp):
    """Convolution: 1x1 as it lies, other windows as columns."""

    name: ClassVar[str] = "conv2d_int16_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "int16/dsp_linear.c.j2"

    def product(self, layer: Layer) -> Product:
        """Neighbouring windows, as they lie or copied."""
        window = layer.params
        channels, outputs = layer.inputs[0].shape[-1], layer.output.shape[-1]
        inputs = window.kernel_h * window.kernel_w * channels
        distance, stride = CODE_BYTES * window.stride_w * channels, CODE_BYTES * outputs
        if self.is_copied(layer):
            inputs += -inputs % WORD
            distance = CODE_BYTES * inputs
        far = max(distance - LARGEST_DISTANCE, stride + CODE_BYTES - MAX_OFFSET) > 0
        pixels = math.prod(layer.output.shape[:-1])
        at_once = 1 if pixels == 1 or outputs == 1 or far else 2
        return Product(at_once, inputs, distance, stride, outputs, range_name(layer.prepared))

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
