"""Depthwise convolution of int16 activations on cores with Helium (MVE): eight channels at once.

VMULLB and VMULLT make products of 32 bits of the even and of the odd channels of a vector; VQMOVN
brings their codes together again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.depthwise16_dsp import DepthwiseInt16Dsp, Taps
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_mve import blocks_of
from edgecomp.kernels.product16 import CODE_BYTES, range_name, refusal, upper_factors
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

LANES = 8
"""Channels of a vector."""
BESIDE_WEIGHTS = 3 * LANES
"""Words of a block for biases, multipliers and shifts."""


@dataclass(frozen=True)
class VectorTaps(Taps):
    """A window of one pixel and eight channels."""

    pixels: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """Of the C function; those of one name are equal."""
        return "mve_" + super().name

    @property
    def words(self) -> int:
        """Words of eight channels in the stream."""
        return len(self.places) * LANES // 4 + BESIDE_WEIGHTS


class DepthwiseInt16Mve(DepthwiseInt16Dsp):
    """A pixel and eight channels at once."""

    name: ClassVar[str] = "depthwise_int16_mve"

    def taps(self, layer: Layer) -> Taps:
        """The window."""
        return VectorTaps(layer.params, layer.output.shape[-1], range_name(layer.prepared))

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One output channel per input channel."""
        if not core.mve:
            return "the core lacks Helium (MVE)"
        channels = layer.output.shape[-1]
        if layer.params.groups != channels or layer.inputs[0].shape[-1] != channels:
            return "not one output channel per input channel"
        return refusal(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Row, pixel, eight channels; rows are copied first where there is padding."""
        _, out_height, _, channels = as_nhwc(layer.output.shape)
        shape = (layer.output.size // channels, channels)
        low = np.full(shape, NOTHING)
        high = np.full(shape, -1, np.int64)
        if layer.params.has_padding:
            per_row = shape[0] // out_height
            for row, (first, last) in enumerate(self.ring(layer).reads(out_height)):
                if last >= first:
                    low[row * per_row, 0], high[row * per_row, 0] = first, last
        else:
            own = list(range(channels))
            windows = window_reads(layer, own, own)
            ends = np.minimum(np.arange(0, channels, LANES) + LANES, channels) - 1
            low[:, ::LANES] = windows.low.reshape(shape)[:, ::LANES]
            high[:, ::LANES] = windows.high.reshape(shape)[:, ends]
        writes = np.arange(layer.output.size, dtype=np.int64)
        events = Schedule(writes, {0: Reads(low.reshape(-1), high.reshape(-1))})
        return events.in_bytes(CODE_BYTES)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        k = layer.prepared
        weights = layer.inputs[1].value.reshape(layer.output.shape[-1], -1)
        by_tap = np.ascontiguousarray(blocks_of(weights, LANES).swapaxes(1, 2).astype(np.int8))
        words = by_tap.reshape(len(by_tap), -1).view("<u4").astype(np.int64)
        wide, end = upper_factors(k)
        parts = [_parted(k.bias), words, _parted(wide), _parted(end)]
        values = (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)
        comment = "by 8 channels: biases (even, odd), weights of each tap, multipliers, shifts"
        return [Constant("stream", "uint32_t", values, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """One call computes all channels of a pixel."""
        words = -(-layer.output.shape[-1] // LANES) * self.taps(layer).words
        ends = {"pairs_end": words, "stream_words": words}
        return {**super().context(layer), "has_vectors": True, **ends}


def _parted(numbers: IntArray) -> IntArray:
    """Numbers per channel by blocks, the even channels of a block before the odd ones."""
    blocks = blocks_of(numbers, LANES)
    return np.asarray(np.concatenate([blocks[:, 0::2], blocks[:, 1::2]], axis=1), np.int64)
