"""Pairs of pixels on cores with long multiplication but without the DSP extension (Armv7-M).

A word holds two int8 codes, `low + high * 2^23`, and SMLAL adds its product with a weight to a
64-bit accumulator: two products per instruction.  Exact, whatever the weights and activations,
as long as each output's last sum fits 23 bits, which `refusal` proves.  Where it needs 24, words
are `low + 128 + high * 2^24`, one instruction more to make, and the start takes the 128 back.

The accumulator starts from `bias * (1 + 2^23) + 2^22`: with the low lane never negative, it parts
without a borrow.  Its low 23 bits, shifted to the top of a word, are `2^9 * acc + 2^31`, and with
`m = 2 * multiplier`

    (2^9 * acc + 2^31) * m = 2^10 * acc * multiplier + 2^32 * m / 2

so that the high word of the product, less `m / 2`, is `acc * multiplier` with ten more bits than
the formula rounds to: one addition and one SSAT with a shift end it.  The high lane is
`acc` itself, and its product with `m` has one more bit.
"""

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.kernels import finish
from edgecomp.kernels.base import Layer
from edgecomp.kernels.pairs import padded_taps
from edgecomp.ops.add import AddConstants
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

LANE_BITS = 23
"""Distance of the lanes: -128 - 128 * 2^23 and 127 + 127 * 2^23 fit a word."""
WIDE_BITS = 24
"""The same where the low code is never negative."""
MULTIPLIER_LIMIT = 1 << 30
"""Twice a multiplier must be below 2^31."""
STEP = 4
"""Columns are filled up to a multiple of so many taps; the loop takes twice as many at once."""
MAX_SIZE = 32767
"""Largest height, width or number of channels of layers that share functions."""
HEAD = 1 + (1 << 16)
"""Channels of a stream, and how many outputs a pixel has, in one word."""
MAX_PAIRS = 3
"""Pairs of pixels at once: six accumulators' halves and three words."""


def core_refusal(core: Core) -> str | None:
    """Say why a core does not execute these kernels; None if it does."""
    if core.is_v6m:
        return "the core lacks long multiplication"
    if core.dsp:
        return "the core has the DSP extension, which does more at once"
    return None


def size_refusal(layer: Layer) -> str | None:
    """Say which size is too large for the numbers that the shared functions read."""
    sizes = (*layer.inputs[0].shape, *layer.output.shape)
    return f"a size above {MAX_SIZE}" if max(sizes) > MAX_SIZE else None


def requantize_refusal(layer: Layer) -> str | None:
    """Say why the short requantization does not hold; None if it does."""
    prepared: LinearConstants = layer.prepared
    if prepared.arithmetic == "tflite":
        return finish.requantize_refusal(layer)
    if np.any(prepared.shift) or prepared.multiplier.max() >= MULTIPLIER_LIMIT:
        return "a factor of 1/4 or more"
    return None


def refusal(layer: Layer, bits: int = LANE_BITS) -> str | None:
    """Say why lanes of `bits` cannot compute a linear layer; None if they are proved exact."""
    prepared: LinearConstants = layer.prepared
    limit = 1 << (bits - 1)
    if prepared.acc_min.min() < -limit or prepared.acc_max.max() >= limit:
        return f"an accumulator can exceed {bits} bits"
    return requantize_refusal(layer)


def lane_bits(layer: Layer) -> int:
    """Return the distance of the lanes that a layer needs."""
    return LANE_BITS if refusal(layer) is None else WIDE_BITS


def lane_starts(low: IntArray, high: IntArray, bits: int = LANE_BITS) -> Array:
    """Return `low + high * 2^bits + 2^(bits - 1)` as uint32 `(n, 2)`, low word first.

    >>> lane_starts(np.array([-1]), np.array([0])).tolist()
    [[4194303, 0]]
    """
    start = low + (high << bits) + (1 << (bits - 1))
    return np.stack([start & 0xFFFFFFFF, start >> 32 & 0xFFFFFFFF], axis=1).astype(np.uint32)


def pair_stream(weights: Array, prepared: LinearConstants, bits: int = LANE_BITS) -> Array:
    """Return what the product of a block reads, in its order.

    Args:
        weights: int8 `(channels, taps)` in the order of the columns.
        prepared: bias and multipliers.
        bits: distance of the lanes.

    Returns:
        uint32: taps, `channels * HEAD`, `2 * zero_point + 1`; for each channel the start (2
        words), the weights as bytes, filled up with 0 to a multiple of `STEP`, and what
        `short_ends` gives.
    """
    channels = len(weights)
    taps = padded_taps(weights.shape[1], STEP)
    filled = np.zeros((channels, taps), np.int8)
    filled[:, : weights.shape[1]] = weights
    words = np.ascontiguousarray(filled).view("<u4")
    ends = short_ends(prepared)
    excess = 128 * weights.astype(np.int64).sum(axis=1) if bits == WIDE_BITS else 0
    starts = lane_starts(prepared.bias - excess, prepared.bias, bits)
    head = np.array([taps, channels * HEAD, (2 * prepared.zero_point + 1) & 0xFFFFFFFF], np.uint32)
    return np.concatenate([head, np.concatenate([starts, words, ends], axis=1).reshape(-1)])


def short_ends(k: LinearConstants) -> Array:
    """Return, per channel, twice the multiplier, or TFLite's and its shift, as uint32 `(n, ..)`."""
    words = finish.end_words(k) if k.arithmetic == "tflite" else [2 * k.multiplier]
    return (np.stack(words, axis=1) & 0xFFFFFFFF).astype(np.uint32)


def block_pairs(pixels: int) -> int:
    """Return how many pairs of pixels a block should take; the last block may overlap."""
    return min(MAX_PAIRS, pixels // 2)


def clamp_suffix(k: LinearConstants | AddConstants) -> str:
    """Name what arithmetic, and an activation narrower than a code, add to a function.

    The range of a ReLU on a tensor with zero point -128 is that of the codes.
    """
    suffix = finish.arithmetic_suffix(k)
    if (k.low, k.high) == (-128, 127):
        return suffix
    return suffix + f"_from_{k.low}_to_{k.high}".replace("-", "m")
