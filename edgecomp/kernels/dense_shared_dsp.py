"""Dense layers with shared code and without scratch, on cores with the DSP extension.

The activations are expanded in registers, four at a time and once per block of four channels: two
cycles more per 16 products than `dense_dsp`, but no expanded input in RAM, and one function serves
every layer.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_shared_dsp import SHARED_GOALS
from edgecomp.kernels.gemm_dsp import UNROLL, WORD, raw_stream, refusal
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.kernels.shared_dsp import LARGEST, SharedSizes, initializer
from edgecomp.targets.cores import Core

CHANNELS = 4
"""Output channels of a block."""


class DenseDspShared(Kernel):
    """1 row x 4 channels at once, weights as raw words, the input as it lies."""

    name: ClassVar[str] = "dense_dsp_shared"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/dsp_shared.c.j2"
    goals: ClassVar[frozenset[Goal]] = SHARED_GOALS

    def _weights(self, layer: Layer) -> Array:
        """Weights in the order of use, `(channels, inputs)`."""
        inputs = layer.inputs[1].shape[1]
        return SharedSizes.single_run(layer, inputs, inputs).ordered(layer.inputs[1].value)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """At least four inputs, if the raw words are proved exact."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        channels, inputs = layer.inputs[1].shape
        if inputs < WORD or max(inputs, channels) > LARGEST:
            return "fewer than 4 inputs, or sizes that a half word does not hold"
        return refusal(layer, self._weights(layer))

    def schedule(self, layer: Layer) -> Schedule | None:
        """Row by row, block by block; each block reads the whole row before it writes."""
        channels, inputs = layer.inputs[1].shape
        rows = layer.inputs[0].size // inputs
        column = np.arange(channels, dtype=np.int64)
        begins = np.tile(column % CHANNELS == 0, rows)
        start = np.repeat(np.arange(rows, dtype=np.int64) * inputs, channels)
        low = np.where(begins, start, NOTHING)
        high = np.where(begins, start + inputs - 1, -1)
        return Schedule(np.arange(rows * channels, dtype=np.int64), {0: Reads(low, high)})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use; the last block is filled up with channels of zeros."""
        channels = layer.inputs[1].shape[0]
        numbers = np.arange(-(-channels // CHANNELS) * CHANNELS)
        blocks = np.where(numbers < channels, numbers, -1).reshape(-1, CHANNELS)
        stream = raw_stream(self._weights(layer), layer.prepared, blocks)
        comment = "by 4 channels: biases, raw words (256 * even + odd), multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes."""
        channels, inputs = layer.inputs[1].shape
        sizes = SharedSizes.single_run(layer, inputs, inputs)
        fields = {
            "run": sizes.run,
            "entry": -(sizes.run // WORD) % UNROLL,
            "back": sizes.back,
            "channels": channels,
            "addend": 256 * layer.prepared.zero_point + 128,
        }
        return {
            "name": "dense4" + sizes.suffix,
            "k": layer.prepared,
            "sizes": initializer(fields),
            "rows": math.prod(layer.inputs[0].shape[:-1]),
            "in_channels": inputs,
            "out_channels": channels,
        }
