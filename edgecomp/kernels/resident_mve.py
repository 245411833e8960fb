"""Convolution of few inputs with Helium (MVE): the weights of 4 channels stay, pixels pass by."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_mve import window_reads_of
from edgecomp.kernels.copies_mve import Copies
from edgecomp.kernels.finish import beside_weights, vector_words
from edgecomp.kernels.gemm_mve import (
    CHANNELS,
    LANES,
    Gemm,
    as_words,
    blocks_of,
    gemm_limits,
    refusal,
)
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import NOTHING, IndexArray, Reads, Schedule
from edgecomp.kernels.windows_mve import Windows, copied_schedule
from edgecomp.targets.cores import Core

HALFWORD_LANES = 8
"""Lanes of 16 bits: so many inputs and no more are read as such."""
PIXELS_AT_ONCE = 32
"""Pixels of the input that pass by all channels before the next ones do."""
MAX_IMMEDIATE = 4095
"""Largest number that ADD takes."""


def resident_stream(weights: Array, layer: Layer) -> Array:
    """Return weights, biases and multipliers in the order in which they are loaded.

    Args:
        weights: int8 `(channels, inputs)`.
        layer: for its bias and multipliers.

    Returns:
        uint32: for each four channels 16 bytes of each, as int8 or, up to 8 inputs, as int16;
        four biases; four multipliers; TFLite's four shifts.
    """
    prepared = layer.prepared
    few = weights.shape[1] <= HALFWORD_LANES
    lanes = HALFWORD_LANES if few else LANES
    filled = np.pad(weights, ((0, 0), (0, lanes - weights.shape[1])))
    blocks = blocks_of(filled.astype(np.int16 if few else np.int8), CHANNELS)
    bias = blocks_of(prepared.bias, CHANNELS).astype(np.int32)
    ends = [blocks_of(words, CHANNELS).astype(np.int32) for words in vector_words(prepared)]
    return as_words(blocks, bias, *ends)


class Conv2dResidentMve(Kernel):
    """4 channels whose weights stay in registers while two pixels after the other pass by."""

    name: ClassVar[str] = "conv2d_resident_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_gemm.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at most 16 inputs."""
        reason = no_plain_window(layer) or refusal(layer, core)
        if reason is not None:
            return reason
        w = Windows.of(layer)
        if w.inputs > LANES:
            return f"more than {LANES} inputs"
        g = self._gemm(layer, w)
        if g.clamps:
            return "a range of codes smaller than int8"
        if g.partial and self._tail(g):
            return "neither inputs nor channels fill their vectors"
        if max(g.channels, 2 * g.pixel_stride) > MAX_IMMEDIATE:
            return "too many channels"
        return gemm_limits(g)

    def _gemm(self, layer: Layer, w: Windows) -> Gemm:
        k = layer.prepared
        return Gemm(w.inputs, w.pixel_stride, w.out_channels, k, not w.direct, w.aligned)

    @staticmethod
    def _tail(g: Gemm) -> int:
        return 0 if g.inputs == HALFWORD_LANES else g.tail

    def scratch_bytes(self, layer: Layer) -> int:
        """Copied windows."""
        return Windows.of(layer).scratch_bytes

    def schedule(self, layer: Layer) -> Schedule:
        """Groups of pixels in order; in each, four channels of every pixel before the next four."""
        w, reads = Windows.of(layer), window_reads_of(layer)
        if not w.direct:
            return copied_schedule(reads, w.out_channels, w.groups())
        writes, lows, highs = [], [], []
        for pixels in (call for group in w.groups() for call in _calls(group)):
            for first in range(0, w.out_channels, CHANNELS):
                channels = np.arange(first, min(first + CHANNELS, w.out_channels))
                elements = pixels[:, None] * w.out_channels + channels
                low = np.full(elements.shape, NOTHING)
                high = np.full(elements.shape, -1, np.int64)
                # Two pixels are read before the codes of the first one are written.
                both = np.arange(0, len(pixels), 2)[:, None] + [0, 1]
                pairs = pixels[np.minimum(both, len(pixels) - 1)]
                low[::2, 0] = reads.low[pairs].min(axis=1)
                high[::2, 0] = reads.high[pairs].max(axis=1)
                writes.append(elements.reshape(-1))
                lows.append(low.reshape(-1))
                highs.append(high.reshape(-1))
        every = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: every})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        stream = resident_stream(Windows.of(layer).matrix(layer.inputs[1].value), layer)
        comment = "by 4 channels: 4 x 16 bytes of weights; 4 biases; 4 multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and how windows are copied."""
        assert layer.inputs[0].qparams is not None
        w = Windows.of(layer)
        g = self._gemm(layer, w)
        return {
            "w": w,
            "g": g,
            "resident": True,
            "halfwords": w.inputs <= HALFWORD_LANES,
            "tail": self._tail(g),
            "block_words": CHANNELS * (LANES // 4 + beside_weights(g.k)),
            "pixels_at_once": PIXELS_AT_ONCE,
            "block": f"ec_{g.name.replace('gemm', 'resident', 1)}",
            "input_zero_point": layer.inputs[0].qparams.zero_point,
            "copies": Copies(w),
        }


def _calls(group: range) -> list[IndexArray]:
    """Pixels of each call of the block for a group of neighbouring pixels of the input."""
    calls = []
    for start in range(group.start, group.stop, PIXELS_AT_ONCE):
        count = min(PIXELS_AT_ONCE, group.stop - start)
        if count > 1:
            calls.append(np.arange(start, start + count // 2 * 2, dtype=np.int64))
        if count % 2:
            # An odd last pixel comes with the one before it, a second time.
            first = max(start + count - 2, group.start)
            calls.append(np.arange(first, start + count, dtype=np.int64))
    return calls
