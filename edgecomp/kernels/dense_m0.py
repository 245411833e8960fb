"""Dense layers on Armv6-M: four output channels in three sums.

A word of four weights plus 128, `X = b0 + 2^8 b1 + 2^16 b2 + 2^24 b3`, is multiplied by an input as
it is, shifted by 16 and with the bytes of its halves swapped (REV16).  Modulo 2^32 the three sums
are, with `S` those of the four channels,

    all     = S0 + 2^8 S1 + 2^16 (S2 + 2^8 S3)
    upper   = S2 + 2^8 S3
    swapped = S1 + 2^8 S0 + 2^16 (S3 + 2^8 S2)

so that `P = all - 2^16 upper` and `upper` are exact while sums are below 2^31 / 257.  With
`S0 = (P & 255) + 2^8 x`, `S1 = (P >> 8) - x` and likewise `y` for the other two,

    f(P, upper) - swapped = x + 2^16 (y - x),   f: swapped for x = y = 0

gives x and y, 16 bits each: nothing has to be parted on the way, whatever the weights are.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.ending_m0 import EndingM0
from edgecomp.kernels.events import in_order
from edgecomp.kernels.finish import requantize_refusal
from edgecomp.kernels.gemm_dsp import channel_blocks
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.requant.pieces import Pieces
from edgecomp.targets.cores import Core

CHANNELS = 8
"""Channels of a block: two words of weights."""
LIMIT = ((1 << 31) - 1) // 257
"""Largest sum that can be parted."""
PIECES = tuple(Pieces(3, bits) for bits in (8, 9, 7))
"""Cuts of the multiplier that are tried; few, so that layers share functions."""
UPPER = np.array([0, 0, 1, 1 << 8], np.int64)
ALL = np.array([1, 1 << 8, 1 << 16, 1 << 24], np.int64)
SWAPPED = np.array([1 << 8, 1, 1 << 24, 1 << 16], np.int64)


def dense_stream(weights: IntArray, bias: IntArray, ends: IntArray, blocks: IntArray) -> Any:
    """Return the stream of a layer as uint32.

    Args:
        weights: `(channels, inputs)`.
        bias: per channel.
        ends: per channel what its requantization needs, `(channels, ..)`.
        blocks: channels of each block, `(blocks, 8)`; -1 is a channel of zeros.

    Returns:
        Per block: the starts of both fours (all, upper, swapped), per input two words of weights
        plus 128, the ends of every channel that exists.
    """
    parts = []
    for block in blocks:
        live = block >= 0
        starts = np.where(live, bias[block], 0).reshape(2, 4)
        sums = np.stack([starts @ ALL, starts @ UPPER, starts @ SWAPPED], axis=1)
        codes = np.where(live[:, None], weights[block], 0) + 128
        words = np.einsum("fci,c->if", codes.reshape(2, 4, -1), ALL)
        parts += [sums.reshape(-1), words.reshape(-1), ends[block[live]].reshape(-1)]
    return (np.concatenate(parts) & 0xFFFFFFFF).astype(np.uint32)


def unroll_of(inputs: int) -> int:
    """Inputs that the loop takes at once."""
    return max(n for n in (4, 2, 1) if inputs % n == 0)


class DenseM0(Kernel):
    """8 channels at once: three multiplications for four products."""

    name: ClassVar[str] = "dense_m0"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/m0_dot.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape of at least two channels, if the sums can be parted."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        if reason := requantize_refusal(layer):
            return reason
        if layer.inputs[1].shape[0] < 2:
            return "one channel"
        if layer.prepared.magnitude > LIMIT:
            return f"an accumulator can exceed {LIMIT}"
        if EndingM0.of(layer, PIECES) is None:
            return "no multiplier of three pieces is exact for every accumulator"
        return None

    def _ending(self, layer: Layer) -> EndingM0:
        found = EndingM0.of(layer, PIECES)
        assert found is not None
        return found

    def schedule(self, layer: Layer) -> Schedule:
        """Row, output; each reads its whole row."""
        out_channels, in_channels = layer.inputs[1].shape
        rows = math.prod(layer.inputs[0].shape[:-1])
        low = np.repeat(np.arange(rows, dtype=np.int64) * in_channels, out_channels)
        return in_order(Reads(low, low + in_channels - 1))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        k = layer.prepared
        weights = layer.inputs[1].value.astype(np.int64)
        blocks = channel_blocks(len(weights), CHANNELS)
        short = self._ending(layer).short
        comment = "by 8 channels: starts, bytes of weight + 128, quarters of the multipliers"
        if short:
            ends = np.stack([short.addend, short.factor], axis=1)
            comment += ", each behind its addend"
        else:
            ends = k.multiplier[:, None] >> 2
        stream = dense_stream(weights, k.bias, ends, blocks)
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and the function."""
        out_channels, in_channels = layer.inputs[1].shape
        ending, k = self._ending(layer), layer.prepared
        pieces, short = ending.pieces, ending.short
        name = function_name("dot", unroll_of(in_channels), pieces.bits, k.low, k.high)
        count = min(out_channels, CHANNELS)
        block_words = 6 + 2 * in_channels + count * (2 if short else 1)
        return {
            "rows": math.prod(layer.inputs[0].shape[:-1]),
            "in_channels": in_channels,
            "out_channels": out_channels,
            "count": count,
            "unroll": unroll_of(in_channels),
            "whole_words": max(1, out_channels // CHANNELS) * block_words,
            "stream_words": math.ceil(out_channels / CHANNELS) * block_words,
            "p": pieces,
            "t": short,
            "addend": 0 if short else pieces.addend(k.zero_point, k.low),
            "name": ending.name(name),
            "k": k,
        }
