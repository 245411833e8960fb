"""Raw-word products on cores with the DSP extension: packing, proofs and shapes of the blocks.

Two int8 weights of one output channel lie in a 16-bit lane as `v = 256 * even + odd`, a *raw
word* holds two such lanes: four weights.  SMLAD multiplies lanes of 16 bits, so the activations
are expanded once, for all output channels, to

    x_even                             one SXTB16 of four codes
    odd' = 256 * x_odd + 127 - x_even  one EOR: the codes with the bits of 0x007F007F inverted

and `x_even * v + odd' * odd = 256 * (x_even * even + x_odd * odd) + 127 * odd`.  One SXTB16 per
raw word gives the odd weights.  The accumulator is 256 times the sum that the reference computes
and `127 * sum(odd)`, which the bias takes back.  All of it is exact modulo 2^32, so that partial
sums may wrap; the last sum must fit 24 bits, which `refusal` proves from the weights.  The factor
256 stays: SMMLA adds `256 * zero_point + 128`, the half to round, and SSAT shifts by 8.
"""

import math
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.finish import end_words, requantize_refusal
from edgecomp.kernels.schedule import NOTHING, IndexArray, Reads, Schedule
from edgecomp.ops.linear import LinearConstants

WORD = 4
"""Weights in a raw word."""
ACC_BITS = 24
"""Bits of the accumulator that its factor 256 leaves."""
UNROLL = 8
"""Steps of four inputs that a loop over a column takes at once."""


def raw_lanes(weights: Array) -> Array:
    """Return `256 * even + odd` for pairs along the last axis, as int64."""
    wide = weights.astype(np.int64)
    return np.asarray(256 * wide[..., 0::2] + wide[..., 1::2], np.int64)


def raw_bias(bias: Array, weights: Array) -> Array:
    """Return 256 times biases, less what the odd weights' expanded codes have too much.

    Args:
        bias: of the sums, `(channels,)`.
        weights: as for `refusal`, those that meet a code.
    """
    odd = weights[:, 1::2].astype(np.int64).sum(axis=1)
    return np.asarray(256 * bias.astype(np.int64) - 127 * odd, np.int64)


def refusal(layer: Layer, weights: Array) -> str | None:
    """Say why raw words cannot compute a linear layer; None if they are proved exact.

    Args:
        layer: a convolution or a dense layer.
        weights: its weights in the order of the columns, `(channels, inputs)`, `inputs` a
            multiple of 4.
    """
    prepared: LinearConstants = layer.prepared
    lanes = raw_lanes(weights)
    limit = 1 << (ACC_BITS - 1)
    if reason := requantize_refusal(layer):
        return reason
    if prepared.acc_min.min() < -limit or prepared.acc_max.max() >= limit:
        return f"an accumulator can exceed {ACC_BITS} bits"
    if lanes.size and (lanes.min() < -(2**15) or lanes.max() >= 2**15):
        return "a pair of weights exceeds 16 bits"
    return None


def raw_stream(weights: Array, prepared: LinearConstants, channels: Array) -> Array:
    """Return bias, raw words and multipliers in the order in which a block reads them.

    Args:
        weights: as for `refusal`.
        prepared: bias and multipliers.
        channels: the output channels of each block, `(blocks, channels at once)`; -1 is a channel
            of zeros.

    Returns:
        uint32: for each block the biases, the words of each step of four inputs (one per
        channel), the multipliers, and TFLite's shifts with zero points.
    """
    lanes = (raw_lanes(weights) & 0xFFFF).astype(np.int64)
    raw = lanes[:, 0::2] | lanes[:, 1::2] << 16
    bias = raw_bias(prepared.bias, weights)
    live = channels >= 0
    parts = [
        np.where(live, bias[channels], 0)[:, None, :],
        np.where(live[:, None, :], np.moveaxis(raw[channels], 2, 1), 0),
        *(np.where(live, words[channels], 0)[:, None, :] for words in end_words(prepared)),
    ]
    return (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)


def channel_blocks(channels: int, at_once: int) -> Array:
    """Return the channels of each block, `(blocks, at_once)`; the last block may overlap.

    Fewer channels than `at_once` are filled up with -1.

    >>> channel_blocks(5, 2).tolist()
    [[0, 1], [2, 3], [3, 4]]
    """
    if channels < at_once:
        return np.array([[c if c < channels else -1 for c in range(at_once)]])
    starts = [min(c, channels - at_once) for c in range(0, channels, at_once)]
    return np.array(starts)[:, None] + np.arange(at_once)


@dataclass(frozen=True)
class Column:
    """How the window of one output lies in an expanded column.

    The window is `rows` runs of `row_bytes` neighbouring bytes.  Whole words of every run come
    first, then the bytes that are left over of all runs, four by four.

    Attributes:
        rows: runs of the window.
        row_bytes: bytes of a run.
        row_stride: bytes from one run to the next.
    """

    rows: int
    row_bytes: int
    row_stride: int

    @property
    def words(self) -> int:
        """Whole words of a run."""
        return self.row_bytes // WORD

    @property
    def left_over(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Run and place of the bytes of each word after the whole ones."""
        places = [
            (row, place)
            for row in range(self.rows)
            for place in range(self.words * WORD, self.row_bytes)
        ]
        return tuple(tuple(places[i : i + WORD]) for i in range(0, len(places), WORD))

    @property
    def steps(self) -> int:
        """Words of the column: steps of a product."""
        return self.rows * self.words + len(self.left_over)

    def ordered(self, weights: Array) -> Array:
        """Bring weights `(channels, rows * row_bytes)` to the column's order, filled with 0."""
        runs = weights.reshape(len(weights), self.rows, self.row_bytes)
        whole = runs[:, :, : self.words * WORD].reshape(len(weights), -1)
        rest = runs[:, :, self.words * WORD :].reshape(len(weights), -1)
        filled = np.zeros((len(weights), WORD * self.steps), np.int8)
        filled[:, : whole.shape[1]] = whole
        filled[:, whole.shape[1] : whole.shape[1] + rest.shape[1]] = rest
        return filled


BLOCK_CYCLES = {4: 33, 3: 25}
"""Cycles of one step for the pixels that a block computes at once, two channels each."""


def block_pixels(pixels: int) -> int:
    """Return how many pixels a block should take: the last block of a layer overlaps."""
    return min(BLOCK_CYCLES, key=lambda n: (math.ceil(pixels / n) * BLOCK_CYCLES[n], -n))


def first_steps(steps: int) -> int:
    """Steps of a column before its loop of `UNROLL`."""
    return steps if steps <= UNROLL + 1 else (steps - 1) % UNROLL + 1


@dataclass(frozen=True)
class Gemm:
    """A block of the product, as its template needs it.

    Attributes:
        name: of the C function; blocks of one name are equal.
        pixels: outputs at once, of two channels each.
        steps: words of a column.
        stride: bytes from pixel to pixel of the output.
        single_loads: whether loads of one word are used where they pipeline: fewer cycles, more
            instructions.
    """

    name: str
    pixels: int
    steps: int
    stride: int
    single_loads: bool = False

    @property
    def column_bytes(self) -> int:
        """Bytes of the expanded columns."""
        return 8 * self.pixels * self.steps

    @property
    def unroll(self) -> int:
        """Steps that the loop takes at once."""
        return UNROLL

    @property
    def first_steps(self) -> int:
        """Steps before the loop."""
        return first_steps(self.steps)

    @property
    def loops(self) -> bool:
        """Whether there is a loop."""
        return self.first_steps < self.steps

    @property
    def _registers(self) -> tuple[tuple[str, str], ...]:
        """The accumulators of each pixel."""
        if self.pixels == WORD:
            return ("r4", "r8"), ("r5", "r9"), ("r2", "r6"), ("r3", "r7")
        return ("r2", "r5"), ("r3", "r6"), ("r4", "r7")

    @property
    def accumulators(self) -> list[tuple[str, str]]:
        """Each accumulator and the register of its multiplier."""
        return [pair for a, b in self._registers for pair in ((a, "r10"), (b, "r11"))]

    @property
    def stores(self) -> list[tuple[str, int]]:
        """Each accumulator and where its code is stored."""
        return [
            (register, pixel * self.stride + channel)
            for pixel, pair in enumerate(self._registers)
            for channel, register in enumerate(pair)
        ]


def block_starts(pixels: int, at_once: int) -> IndexArray:
    """Return the first pixel of each block; the last block overlaps the one before it."""
    return np.minimum(np.arange(0, pixels, at_once, dtype=np.int64), pixels - at_once)


def block_schedule(
    windows: Reads, at_once: int, out_channels: int, *, backward: bool = False
) -> Schedule:
    """Return the events of a loop over blocks of pixels, which reads all before it writes.

    Args:
        windows: what each pixel's output reads.
        at_once: pixels of a block.
        out_channels: outputs of a pixel.
        backward: from the last pixels to the first.
    """
    starts = block_starts(len(windows.low), at_once)
    if backward:
        starts = len(windows.low) - at_once - starts
    members = starts[:, None] + np.arange(at_once)
    outputs = at_once * out_channels
    writes = starts[:, None] * out_channels + np.arange(outputs)
    low = np.full((len(starts), outputs), NOTHING)
    high = np.full((len(starts), outputs), -1, np.int64)
    low[:, 0] = windows.low[members].min(axis=1)
    high[:, 0] = windows.high[members].max(axis=1)
    return Schedule(writes.reshape(-1), {0: Reads(low.reshape(-1), high.reshape(-1))})
