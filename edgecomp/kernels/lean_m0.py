"""Convolution without scratch on Armv6-M: one pixel, eight channels in six sums.

The products are those of kernels/dense_m0.py; windows are read in place, run by run.
"""

from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.dense_m0 import ALL, CHANNELS, LIMIT, PIECES, SWAPPED, UPPER
from edgecomp.kernels.lean import LeanConv
from edgecomp.requant.pieces import Pieces, signed_pieces
from edgecomp.targets.cores import Core

FOUR = 4
"""Channels of a word."""
MAX_UNROLL = 4
"""Inputs that the loop over a run takes at once: a branch reaches 256 bytes."""


class Conv2dLeanM0(LeanConv):
    """8 channels at once: three multiplications for four products."""

    name: ClassVar[str] = "conv2d_lean_m0"
    template: ClassVar[str] = "conv2d/m0_lean.c.j2"
    channels_at_once: ClassVar[int] = CHANNELS
    pixels_at_once: ClassVar[int] = 1
    start_bytes: ClassVar[int] = 24
    tap_bytes: ClassVar[int] = CHANNELS

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions, channels by eights, if the sums can be parted."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        reason = self.shape_refusal(layer, core)
        if reason is not None:
            return reason
        if np.any(layer.prepared.shift):
            return "a multiplier needs a shift"
        if layer.prepared.magnitude > LIMIT:
            return f"an accumulator can exceed {LIMIT}"
        if self._pieces(layer) is None:
            return "no multiplier of three pieces is exact for every accumulator"
        return None

    def _pieces(self, layer: Layer) -> Pieces | None:
        k = layer.prepared
        return signed_pieces(k.acc_min, k.acc_max, k.multiplier, k.zero_point, k.low, PIECES)

    def stream(self, layer: Layer) -> Array:
        """Per block: six starts of every path, two words per input, quarters of the multipliers."""
        weights = layer.inputs[1].value.astype(np.int64)
        blocks = len(weights) // CHANNELS
        starts = []
        for bias in self.lean(layer).biases():
            fours = bias.reshape(blocks, 2, FOUR)
            sums = np.stack([fours @ ALL, fours @ UPPER, fours @ SWAPPED], axis=-1)
            starts.append(sums.reshape(blocks, -1))
        codes = weights.reshape(blocks, 2, FOUR, -1) + 128
        words = np.einsum("bfci,c->bif", codes, ALL).reshape(blocks, -1)
        quarters = (layer.prepared.multiplier.astype(np.int64) >> 2).reshape(blocks, CHANNELS)
        parts = np.concatenate([*starts, words, quarters], axis=1)
        return np.asarray((parts & 0xFFFFFFFF).astype(np.uint32).reshape(-1))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The paths and the function."""
        lean, k, pieces = self.lean(layer), layer.prepared, self._pieces(layer)
        assert pieces is not None
        unroll = lean.unroll(MAX_UNROLL)
        return {
            "l": lean,
            "k": k,
            "p": pieces,
            "unroll": unroll,
            "addend": pieces.addend(k.zero_point, k.low),
            "name": function_name("lean", unroll, pieces.bits, k.low, k.high),
            "stream_words": len(self.stream(layer)),
        }
