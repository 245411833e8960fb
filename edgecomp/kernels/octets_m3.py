"""Convolution on Armv7-M without the DSP extension: eight pixels in five words.

MLA takes two cycles where SMLAL is modelled with six, but sums modulo 2^32 have no room for two
lanes.  Five of them have room for the sums `S` of eight pixels, each from 0 up to `RANGE`: four

    T[i] = S[2i] - 2^16 * S[2i+1]          and          mix = sum(16^i * S[2i+1])

The words of a column are made in the same way from eight codes, for all output channels.  With
`u[i] = T[i] >> 16`, unsigned, and `h[i] = S[2i] >> 16`,

    mix + sum(16^i * u[i]) = sum(16^i * (h[i] + 2^16 * k[i])),   S[2i+1] = h[i] - u[i] + 2^16 * k[i]

where all `h` and `k` are below 16: the digits of one number to the base 16 are what the four
pairs lost.  A channel's accumulators begin at `start = bias - acc_min`, so that no sum is
negative; `acc_min` is added again at the end.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Layer
from edgecomp.kernels.conv2d_m3 import Conv2dM3, ConvShape
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import block_schedule
from edgecomp.kernels.gemm_m3 import STEP, requantize_refusal, short_ends
from edgecomp.kernels.pairs import padded_taps
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

PIXELS = 8
"""Outputs of a block, of one channel."""
WORDS = 5
"""Words of a tap."""
RANGE = 15 << 16
"""What a sum must stay below: then `h` and `k` are digits."""
MIN_CHANNELS = 16
"""With fewer output channels, making columns costs more than their products save."""
DIGITS = 1 + (1 << 4) + (1 << 8) + (1 << 12)
"""What a number contributes to `mix` if it is in all four places."""


def octet_stream(weights: Array, k: LinearConstants) -> Array:
    """Return what the product of a block reads, in its order.

    Args:
        weights: int8 `(channels, taps)` in the order of the columns.
        k: bias, multipliers and the accumulators' proved ranges.

    Returns:
        uint32: taps, channels, `2 * zero_point + 1`; for each channel the starts of a pair and of
        the mixture, the weights as bytes, filled up with 0 to a multiple of `STEP`, `-acc_min` and
        what `short_ends` gives.
    """
    channels = len(weights)
    taps = padded_taps(weights.shape[1], STEP)
    filled = np.zeros((channels, taps), np.int8)
    filled[:, : weights.shape[1]] = weights
    start = k.bias - k.acc_min
    starts = [start - (start << 16), start * DIGITS, -k.acc_min]
    numbers = (np.stack(starts, axis=1) & 0xFFFFFFFF).astype(np.uint32)
    words = np.ascontiguousarray(filled).view("<u4")
    body = np.concatenate([numbers[:, :2], words, numbers[:, 2:], short_ends(k)], axis=1)
    head = np.array([taps, channels, (2 * k.zero_point + 1) & 0xFFFFFFFF], np.uint32)
    return np.concatenate([head, body.reshape(-1)])


class Conv2dM3Octets(Conv2dM3):
    """8 pixels of one channel at once, eight products per five multiplications."""

    name: ClassVar[str] = "conv2d_m3_octets"
    goals: ClassVar[frozenset[Goal]] = frozenset({"balanced", "speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at least 8 pixels whose sums stay in a range below 2^20."""
        reason = self.shape_refusal(layer, core) or requantize_refusal(layer)
        if reason is not None:
            return reason
        if ConvShape.of(layer).pixels < PIXELS:
            return f"fewer than {PIXELS} pixels"
        if layer.output.shape[-1] < MIN_CHANNELS:
            return f"fewer than {MIN_CHANNELS} output channels"
        k = layer.prepared
        if int((k.acc_max - k.acc_min).max()) >= RANGE:
            return "a sum's range reaches 15 * 2^16"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block; codes of the padding."""
        shape = ConvShape.of(layer)
        padding = shape.channels if layer.params.has_padding else 0
        return 4 * WORDS * shape.taps + padding

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of pixels in order; each reads its windows before it writes."""
        windows = window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])
        return block_schedule(windows, PIXELS, layer.output.shape[-1])

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value
        stream = octet_stream(weights.reshape(len(weights), -1), layer.prepared)
        comment = (
            "taps, channels, 2 * zero point + 1; by channel: starts of a pair and of the mixture, "
            "weights, -least sum, 2 * multiplier"
        )
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The numbers that the shared functions read."""
        context = super().context(layer)
        return {
            **context,
            "product": "octets",
            "pixels": PIXELS,
            "words": WORDS,
            "kind": "8",
        }
