"""1x1 convolution of few inputs for speed on cores with the DSP extension."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import Shape, code_name
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.gemm_dsp import block_schedule
from edgecomp.kernels.schedule import Schedule
from edgecomp.targets.cores import Core

INPUTS = 8
"""Input channels of which two pixels fit the registers."""
MAX_CHANNELS = 32
"""Output channels up to which their loop is written out."""


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
