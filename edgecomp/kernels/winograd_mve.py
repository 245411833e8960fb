"""3x3 convolution with Helium (MVE) by Winograd's F(4x4, 3x3), in exact integers.

A tile of 4x4 outputs takes 36 products per pair of channels instead of 144: `A (GgG' * BdB') A'`,
the `F4` of `winograd_transforms` along both axes, is exactly 24 * 24 = 576 times the sum.  Weights
become at most 144 times, inputs at most 100 times as large: both fit 16 bits, and VMLADAV.S16 adds
eight products at once.

Sums are numbers modulo 2^32.  Times the inverse of 9 they are 64 times the true sum, which an
arithmetic shift gives back if it is below 2^25 in size: `applies` proves that from the weights.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_mve import window_reads_of
from edgecomp.kernels.finish import arithmetic_suffix, beside_weights, vector_words
from edgecomp.kernels.gemm_mve import CHANNELS, as_words, refusal
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.kernels.winograd_transforms import F4
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

TILE = 4
"""Rows and columns of outputs in a tile."""
PATCH = 6
"""Rows and columns of inputs that a tile reads."""
LANES = 8
"""Inputs of 16 bits in a vector."""
MIN_CHANNELS, MAX_CHANNELS = 32, 64
"""With fewer, transforms cost what products save; with more, one pointer does not reach."""
LINES_BYTES = PATCH * PATCH * LANES * 2
"""A patch of 8 inputs whose columns are transformed."""
MAX_SUM = 1 << 25
"""Sums must be smaller."""


def tile_stream(layer: Layer) -> Array:
    """Return weights, biases and multipliers in the order in which they are read.

    Returns:
        uint32: for each four channels, for each of 36 places, for each 8 inputs, 8 int16 of each
        channel; four biases; four multipliers; TFLite's four shifts.
    """
    prepared = layer.prepared
    weights = layer.inputs[1].value.astype(np.int64)  # OHWI
    places = np.einsum("ia,oabc,jb->ijoc", F4.weights, weights, F4.weights).reshape(
        PATCH * PATCH, len(weights), -1
    )
    inputs = places.shape[2]
    by_block = places.reshape(len(places), -1, CHANNELS, inputs // LANES, LANES)
    ordered = np.ascontiguousarray(by_block.transpose(1, 0, 3, 2, 4)).astype(np.int16)
    bias = prepared.bias.reshape(-1, CHANNELS).astype(np.int32)
    ends = [words.reshape(-1, CHANNELS).astype(np.int32) for words in vector_words(prepared)]
    return as_words(ordered, bias, *ends)


class WinogradMve(Kernel):
    """Two tiles of 4x4 outputs x 4 channels at once; eight times the flash of the weights."""

    name: ClassVar[str] = "winograd_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_winograd.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, whole tiles and whole vectors."""
        reason = no_plain_window(layer) or refusal(layer, core)
        if reason is not None:
            return reason
        w, channels = layer.params, layer.inputs[0].shape[-1]
        if (w.kernel_h, w.kernel_w, w.stride_h, w.stride_w) != (3, 3, 1, 1):
            return "not 3x3 with stride 1"
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        if out_height % TILE or out_width % TILE:
            return f"rows or columns are not a multiple of {TILE}"
        if channels % LANES or out_channels % CHANNELS:
            return "channels do not fill vectors"
        if not MIN_CHANNELS <= channels <= MAX_CHANNELS:
            return f"not {MIN_CHANNELS} to {MAX_CHANNELS} channels"
        if (layer.prepared.low, layer.prepared.high) != (-128, 127):
            return "a range of codes smaller than int8"
        sums = np.abs(layer.inputs[1].value.astype(np.int64)).reshape(out_channels, -1).sum(axis=1)
        return "a sum can reach 2^25" if 128 * sums.max() >= MAX_SUM else None

    def _tiles_bytes(self, layer: Layer) -> int:
        return PATCH * PATCH * 2 * layer.inputs[0].shape[-1] * 2

    def scratch_bytes(self, layer: Layer) -> int:
        """Two transformed tiles; their sums, or before these a patch and its first transform."""
        patch = LINES_BYTES + PATCH * PATCH * layer.inputs[0].shape[-1]
        return self._tiles_bytes(layer) + max(PATCH * PATCH * 2 * CHANNELS * 4, patch)

    def schedule(self, layer: Layer) -> Schedule:
        """Rows of tiles, two tiles at a time; both are read before they are written."""
        _, height, width, channels = as_nhwc(layer.output.shape)
        reads = window_reads_of(layer)
        numbers = np.arange(height * width).reshape(height, width)
        writes, lows, highs = [], [], []
        for row in range(0, height, TILE):
            for column in range(0, width, 2 * TILE):
                pixels = numbers[row : row + TILE, column : column + 2 * TILE].reshape(-1)
                elements = pixels[:, None] * channels + np.arange(channels)
                low = np.full(elements.size, NOTHING)
                high = np.full(elements.size, -1, np.int64)
                low[0], high[0] = reads.low[pixels].min(), reads.high[pixels].max()
                writes.append(elements.reshape(-1))
                lows.append(low)
                highs.append(high)
        every = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: every})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        comment = (
            "by 4 channels: for 36 places and each 8 inputs 4 x 8 int16; 4 biases; multipliers"
        )
        return [Constant("stream", "uint32_t", tile_stream(layer), True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        assert layer.inputs[0].qparams is not None
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        return {
            "height": height,
            "width": width,
            "channels": channels,
            "out_height": out_height,
            "out_width": out_width,
            "out_channels": out_channels,
            "window": layer.params,
            "input_zero_point": layer.inputs[0].qparams.zero_point,
            "zero_point": layer.prepared.zero_point,
            "k": layer.prepared,
            "suffix": arithmetic_suffix(layer.prepared),
            "constant_words": CHANNELS * beside_weights(layer.prepared),
            "tiles_bytes": self._tiles_bytes(layer),
            "lines_bytes": LINES_BYTES,
            "steps": channels // LANES,
            "block_words": PATCH * PATCH * channels * CHANNELS // 2
            + CHANNELS * beside_weights(layer.prepared),
        }
