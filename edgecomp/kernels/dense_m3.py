"""Dense layers on Armv7-M without the DSP extension: 8 channels at once, in pairs.

A word of the weights holds four channels.  Masked with 0xFF0000FF, as it is and rotated by 16 bits,
it is two pairs with lanes 24 bits apart: the high byte keeps its sign, the low byte holds
`weight + 128`.  SMLAL multiplies a pair with one code of the input; `-128 * sum(codes)`, the same
for all channels, is added where an accumulator starts.  See `gemm_m3` for the rest.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.gemm_dsp import block_schedule
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal, lane_starts, refusal, short_ends
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.targets.cores import Core

CHANNELS = 8
"""Output channels of a block."""
LANE_BITS = 24
"""Distance of the lanes."""
UNROLL = 16
"""Inputs that the loop takes at once; of small layers a quarter of it."""
SMALL_MACS = 4096
LOW = (0, 2, 4, 6)
"""Channels of a block in the low lanes; their neighbours are in the high ones."""
BYTES = (0, 3, 2, 1, 4, 7, 6, 5)
"""Channel in each byte of a tap: lanes at bytes 0 and 3, and at 2 and 1."""


class DenseM3(Kernel):
    """1 row x 8 channels at once, two products per multiplication."""

    name: ClassVar[str] = "dense_m3"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/m3_dot.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the lanes are proved wide enough."""
        return core_refusal(core) or refusal(layer, LANE_BITS)

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row; of each the whole is read before its last outputs are written."""
        out_channels, in_channels = layer.inputs[1].shape
        low = np.arange(0, layer.inputs[0].size, in_channels, dtype=np.int64)
        rows = block_schedule(Reads(low, low + in_channels - 1), 1, out_channels)
        # Every block of channels reads the row again.
        begins = np.arange(len(rows.writes)) % out_channels % CHANNELS == 0
        row = np.arange(len(rows.writes)) // out_channels
        reads = rows.reads[0]
        return Schedule(
            rows.writes,
            {
                0: Reads(
                    np.where(begins, row * in_channels, reads.low),
                    np.where(begins, (row + 1) * in_channels - 1, reads.high),
                )
            },
        )

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use, channels filled up to whole blocks."""
        k = layer.prepared
        weights = layer.inputs[1].value.astype(np.int64)
        channels, taps = weights.shape
        blocks = -(-channels // CHANNELS)
        missing = blocks * CHANNELS - channels
        bias = np.pad(k.bias, (0, missing)).reshape(blocks, CHANNELS)
        ends = np.pad(short_ends(k), ((0, missing), (0, 0))).reshape(blocks, len(LOW), 2, -1)
        offset = np.where(np.isin(np.arange(CHANNELS), LOW), 128, 0)
        filled = np.pad(weights, ((0, missing), (0, 0))).reshape(blocks, CHANNELS, taps)
        ordered = (filled + offset[:, None])[:, BYTES, :] & 0xFF
        lanes = np.moveaxis(ordered, 1, 2).astype(np.uint8)
        pairs = lane_starts(bias[:, 0::2].reshape(-1), bias[:, 1::2].reshape(-1), LANE_BITS)
        body = [
            pairs.reshape(blocks, -1),
            np.ascontiguousarray(lanes).view("<u4").reshape(blocks, -1),
            np.swapaxes(ends, 2, 3).reshape(blocks, -1),  # by pair
        ]
        head = np.array([taps, channels, (2 * k.zero_point + 1) & 0xFFFFFFFF], np.uint32)
        stream = np.concatenate([head, np.concatenate(body, axis=1).reshape(-1)])
        comment = (
            "inputs, channels, 2 * zero point + 1; by 8 channels: starts of 4 pairs, for each "
            "input the weights (the first of each pair + 128), 2 * multipliers"
        )
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows and their sizes."""
        out_channels, in_channels = layer.inputs[1].shape
        return {
            "rows": math.prod(layer.inputs[0].shape[:-1]),
            "in_channels": in_channels,
            "out_channels": out_channels,
            "k": layer.prepared,
            "suffix": clamp_suffix(layer.prepared),
            "unroll": UNROLL // 4 if layer.macs < SMALL_MACS else UNROLL,
        }
