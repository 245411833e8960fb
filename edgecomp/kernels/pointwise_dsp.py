"""1x1 convolution for speed on cores with the DSP extension: exact blocks, and few inputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, Conv2dDspSpeed, Shape, code_name
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.gemm_dsp import Gemm, block_schedule
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.targets.cores import Core

FOUR, THREE = 4, 3
"""Pixels of the two kinds of blocks."""
INPUTS = 8
"""Input channels of which two pixels fit the registers."""
MAX_CHANNELS = 32
"""Output channels up to which their loop is written out."""


def blocks_of_three(pixels: int) -> int:
    """Return how many blocks of 3 pixels, and else of 4, give exactly `pixels`; -1 if none do.

    >>> blocks_of_three(125), blocks_of_three(8), blocks_of_three(5)
    (3, 0, -1)
    """
    threes = -pixels % FOUR
    return threes if pixels >= THREE * threes else -1


class PointwiseDspMixed(Conv2dDspSpeed):
    """Blocks of 4 pixels, then of 3, so that no pixel is computed twice."""

    name: ClassVar[str] = "pointwise_dsp_mixed"
    template: ClassVar[str] = "conv2d/dsp_pointwise_mixed.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """1x1 with stride 1, where both kinds of blocks are needed and possible."""
        if reason := super().applies(layer, core):
            return reason
        shape = Shape.of(layer)
        if not shape.flat:
            return "not 1x1 with stride 1"
        threes = blocks_of_three(shape.pixels)
        if threes <= 0 or shape.pixels == THREE * threes:
            return "no blocks of 4 and 3 pixels"
        if self._gemm(layer, FOUR).stores[-1][1] > MAX_OFFSET:
            return "pixels further apart than a store reaches"
        return None

    def _gemm(self, layer: Layer, pixels: int) -> Gemm:
        """A block of the product."""
        steps, stride = Shape.of(layer).column.steps, layer.output.shape[-1]
        name = code_name(f"gemm{pixels}x2_{steps}_by_{stride}_singly", layer.prepared)
        return Gemm(name, pixels, steps, stride, single_loads=True)

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block."""
        return self._gemm(layer, FOUR).column_bytes

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of pixels in order; each reads its windows before it writes."""
        shape = Shape.of(layer)
        windows = window_reads(layer, [0], [shape.channels - 1])
        start = shape.pixels - THREE * blocks_of_three(shape.pixels)
        parts = [
            block_schedule(Reads(windows.low[part], windows.high[part]), size, shape.out_channels)
            for part, size in ((slice(0, start), FOUR), (slice(start, None), THREE))
        ]
        first, second = parts
        writes = [first.writes, second.writes + start * shape.out_channels]
        lows = [part.reads[0].low for part in parts]
        highs = [part.reads[0].high for part in parts]
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: reads})

    def context(self, layer: Layer) -> dict[str, Any]:
        """Both blocks and their expansions."""
        shape = Shape.of(layer)
        return {
            **super().context(layer),
            "kinds": [
                (self._gemm(layer, pixels), replace(shape.expansion, pixels=pixels))
                for pixels in (FOUR, THREE)
            ],
            "start": shape.pixels - THREE * blocks_of_three(shape.pixels),
        }


class PointwiseDspResident(Kernel):
    """8 input channels: two pixels stay in registers while all output channels are computed."""

    name: ClassVar[str] = "pointwise_dsp_resident"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_pointwise_resident.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """1x1 with stride 1, 8 channels to at most 32, at least 2 pixels."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        window, shape = layer.params, Shape.of(layer)
        if window.groups != 1 or not window.is_pointwise:
            return "not 1x1 with stride 1"
        if shape.channels != INPUTS or shape.out_channels > MAX_CHANNELS or shape.pixels < 2:
            return f"not {INPUTS} to {MAX_CHANNELS} channels, or a single pixel"
        return requantize_refusal(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Two pixels at a time; a larger output is computed from its end on."""
        windows, shape = window_reads(layer, [0], [INPUTS - 1]), Shape.of(layer)
        return block_schedule(windows, 2, shape.out_channels, backward=shape.backward)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel the bias, four words of 16-bit weights, the multiplier."""
        k = layer.prepared
        weights = layer.inputs[1].value.reshape(-1, 2, 2, 2).astype(np.int64) & 0xFFFF
        # Of four inputs 0 and 2, then 1 and 3, are the lanes of a word.
        words = (weights[:, :, 0, :] | weights[:, :, 1, :] << 16).reshape(len(weights), -1)
        stream = np.concatenate([k.bias[:, None], words, np.stack(end_words(k), axis=1)], axis=1)
        comment = "by channel: bias, weights (inputs 0 2, 1 3, 4 6, 5 7 as lanes), multiplier"
        stream = (stream & 0xFFFFFFFF).astype(np.uint32)
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        shapes = window_context(layer)
        backward = Shape.of(layer).backward
        name = f"resident8_to_{shapes['out_channels']}" + ("_backward" if backward else "")
        return {
            **shapes,
            "backward": backward,
            "name": code_name(name, layer.prepared),
            "channel_words": INPUTS // 2 + beside_weights(layer.prepared),
            "pixels": shapes["out_height"] * shapes["out_width"],
        }
