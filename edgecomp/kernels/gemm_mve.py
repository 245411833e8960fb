"""Products of 2 pixels x 4 channels with Helium (MVE): packing, shapes of the blocks, proofs.

VMLADAVA.S8 multiplies 16 pairs of codes and adds all products to a core register, modulo 2^32.
Eight such sums are alive at once: 2 pixels x 4 channels.

VQRDMLASH.S32 turns four sums into codes in one instruction, before saturation to 8 bits:
`(2 * acc * MM + (zero_point << 32) + 2^31) >> 32`.  The definition (docs/numerics.md) is
`zero_point + ((acc * 2^shift * M + 2^31) >> 32)`, the same number if `2 * MM = M * 2^shift`.
`M` is a multiple of 4, therefore `MM = M / 2 * 2^shift` is an integer; that it fits int32, which
holds for every factor below 1, is checked by `refusal`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.fixedpoint import INT32_MAX
from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.finish import (
    arithmetic_suffix,
    beside_weights,
    requantize_refusal,
    vector_words,
)
from edgecomp.kernels.schedule import NOTHING, IndexArray, Reads, Schedule
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

LANES = 16
"""Codes in a vector."""
CHANNELS = 4
"""Output channels of a block."""
MAX_STEPS = 10
"""Steps of 16 inputs that a block writes out; where there are more, it loops."""
UNROLL = 8
"""Steps of 16 inputs that a loop takes at once."""
MAX_WORD_OFFSET = 508
"""Largest offset of VLDRW."""
MAX_BYTE_OFFSET = 127
"""Largest offset of VLDRB."""
MAX_HALFWORD = 65535
"""Largest number that MOVW and a halfword of VSTRB's offsets hold."""


def refusal(layer: Layer, core: Core) -> str | None:
    """Say why Helium cannot compute a linear layer; None if it is proved exact."""
    if not core.mve:
        return "the core lacks Helium (MVE)"
    if layer.prepared.arithmetic == "tflite":
        return requantize_refusal(layer)
    (multipliers,) = vector_words(layer.prepared)
    return "a scale of 1 or more" if multipliers.max() > INT32_MAX else None


def code_name(name: str, k: LinearConstants) -> str:
    """Add what the end of a block depends on to its name."""
    numbers = (k.zero_point, *((k.low, k.high) if (k.low, k.high) != (-128, 127) else ()))
    return "_".join([name + arithmetic_suffix(k), *(str(n).replace("-", "m") for n in numbers)])


def rounded_up(count: int, to: int) -> int:
    """Return the least multiple of `to` that is not below `count`."""
    return -(-count // to) * to


def as_words(*parts: Array) -> Array:
    """Bytes of int8 and int32 arrays, one after the other, as words.

    Args:
        parts: arrays whose first axis is the same; the bytes of one entry lie together.

    Returns:
        uint32, flat.
    """
    rows = [
        np.ascontiguousarray(part.reshape(len(part), -1), dtype=part.dtype.newbyteorder("<"))
        .view(np.uint8)
        .reshape(len(part), -1)
        for part in parts
    ]
    return np.ascontiguousarray(np.concatenate(rows, axis=1)).view("<u4").reshape(-1)


def blocks_of(values: Array, channels: int) -> Array:
    """Cut the first axis into blocks of `channels`, filled up with zeros."""
    missing = -len(values) % channels
    filled = np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)])
    return filled.reshape(-1, channels, *values.shape[1:])


def gemm_stream(weights: Array, prepared: LinearConstants) -> Array:
    """Return weights, biases and multipliers in the order in which a block reads them.

    Args:
        weights: int8 `(channels, inputs)`.
        prepared: bias and multipliers.

    Returns:
        uint32: for each four channels, for each 16 inputs, 16 bytes of each channel; then four
        biases, four multipliers, TFLite's four shifts.
    """
    filled = np.pad(weights, ((0, 0), (0, -weights.shape[1] % LANES))).astype(np.int8)
    blocks = blocks_of(filled, CHANNELS)
    by_step = blocks.reshape(len(blocks), CHANNELS, -1, LANES).swapaxes(1, 2)
    bias = blocks_of(prepared.bias, CHANNELS).astype(np.int32)
    ends = [blocks_of(words, CHANNELS).astype(np.int32) for words in vector_words(prepared)]
    return as_words(np.ascontiguousarray(by_step), bias, *ends)


@dataclass(frozen=True)
class Gemm:
    """A block of the product, as its template needs it.

    Attributes:
        inputs: codes that an output reads.
        pixel_stride: bytes from one pixel to the next; 0 if there is but one, which then is
            computed twice.
        channels: output channels.
        k: constants of the output.
        whole_vectors: whether whole vectors may be read, up to a multiple of 16 codes.
        aligned: whether each pixel begins at a multiple of four.
        row: outputs of a pixel, where a block computes but some of them.
    """

    inputs: int
    pixel_stride: int
    channels: int
    k: LinearConstants
    whole_vectors: bool
    aligned: bool
    row: int = 0

    @property
    def name(self) -> str:
        """Of the C function; blocks of one name are equal."""
        whole = "" if self.tail or self.inputs % LANES == 0 else "_whole"
        whole += "" if self.aligned or self.pixel_stride % 4 else "_bytes"
        shape = f"{self.inputs}x{self.channels}_step_{self.pixel_stride}"
        whole += f"_of_{self.row}" if self.row else ""
        return code_name(f"mve_gemm_{shape}{whole}", self.k)

    @property
    def steps(self) -> int:
        """Vectors of a pixel."""
        return math.ceil(self.inputs / LANES)

    @property
    def tail(self) -> int:
        """Codes of the last vector if it must not be read whole, else 0."""
        return 0 if self.whole_vectors else self.inputs % LANES

    @property
    def blocks(self) -> int:
        """Blocks of four channels."""
        return math.ceil(self.channels / CHANNELS)

    @property
    def out_stride(self) -> int:
        """Bytes from one pixel of the output to the next."""
        return (self.row or self.channels) if self.pixel_stride else 0

    @property
    def advance(self) -> int:
        """Bytes from the end of a pair's first codes to the next pair's."""
        return 2 * (self.row or self.channels) - self.channels

    @property
    def partial(self) -> bool:
        """Whether the last block has fewer than four channels."""
        return self.channels % CHANNELS != 0

    @property
    def clamps(self) -> bool:
        """Whether the activation's range is smaller than a code's."""
        return (self.k.low, self.k.high) != (-128, 127)

    @property
    def load(self) -> str:
        """Instruction that loads codes of a pixel: VLDRW must be aligned."""
        return "vldrw.32" if self.aligned else "vldrb.8"

    @property
    def keeps_pixels(self) -> bool:
        """Whether both pixels stay in registers while the channels pass."""
        return self.steps == 1 or (self.steps == 2 and not self.clamps)

    @property
    def moves(self) -> bool:
        """Whether loads move the pointers, because offsets do not reach or steps are looped."""
        reach = MAX_WORD_OFFSET if self.aligned else MAX_BYTE_OFFSET
        return self.loops or (self.steps - 1) * LANES > reach

    @property
    def loops(self) -> bool:
        """Whether there is a loop over the steps."""
        return self.steps > MAX_STEPS

    @property
    def turns(self) -> int:
        """Turns of the loop; the first and the last step stay outside."""
        return (self.steps - 2) // UNROLL if self.loops else 0

    @property
    def single_steps(self) -> int:
        """Steps between the first one and the loop."""
        return self.steps - 2 - self.turns * UNROLL

    @property
    def unroll(self) -> int:
        """Steps of a turn."""
        return UNROLL

    @property
    def block_words(self) -> int:
        """Words of the stream for a block."""
        return CHANNELS * (self.steps * LANES // 4 + beside_weights(self.k))

    def operand(self, register: str, step: int) -> str:
        """Where the vector of a step lies."""
        if self.moves:
            return f"[{register}], #{LANES}"
        return f"[{register}, #{LANES * step}]" if step else f"[{register}]"


def pair_schedule(windows: Reads, out_channels: int, groups: Sequence[range]) -> Schedule:
    """Return the events of a loop over pairs of pixels, four channels of both at a time.

    Args:
        windows: what each pixel's output reads; it is read before each four channels.
        out_channels: outputs of a pixel.
        groups: pixels; the last one of an odd group is computed with the one before it again.
    """
    starts = np.concatenate([_pairs_of(group) for group in groups])
    members = np.minimum(starts[:, None] + np.arange(2), len(windows.low) - 1)
    blocks = np.arange(rounded_up(out_channels, CHANNELS), dtype=np.int64).reshape(-1, CHANNELS)
    channel = np.repeat(blocks[:, None], 2, axis=1)  # blocks, two pixels, four channels
    begins = np.zeros(channel.shape, bool)
    begins[:, 0, 0] = True
    live = (channel < out_channels).reshape(-1)
    writes = members[:, None, :, None] * out_channels + channel
    begins = begins.reshape(-1)[live]
    low = np.where(begins, windows.low[members].min(axis=1)[:, None], NOTHING)
    high = np.where(begins, windows.high[members].max(axis=1)[:, None], -1)
    reads = Reads(low.reshape(-1), high.reshape(-1))
    return Schedule(writes.reshape(len(starts), -1)[:, live].reshape(-1), {0: reads})


def _pairs_of(group: range) -> IndexArray:
    """First pixels of the pairs of a group."""
    first = np.arange(group.start, group.stop, 2, dtype=np.int64)
    return np.minimum(first, max(group.stop - 2, group.start))


def gemm_limits(gemm: Gemm) -> str | None:
    """Say why a block's numbers fit no instruction; None if they do."""
    largest = max(
        2 * (gemm.row or gemm.channels) + CHANNELS, 2 * gemm.pixel_stride, LANES * gemm.steps
    )
    return "too large for a block" if largest > MAX_HALFWORD else None
