"""Products of int16 activations on cores with the DSP extension: packing, factors and blocks.

SMLAD takes two neighbouring activations as they lie.  Their weights stay int8 in flash: four of a
channel are a word, of which two SXTB16 make two pairs, for all pixels of a block.  Sums are int32,
which `refusal` proves from the weights.

A factor `multiplier * 2^-shift` becomes `wide * 2^-(32 + end)` with `end` of at least 1: SMMUL
takes the upper word of the product, and a shift by `end` leaves the half to round in the carry.
That is exact: the lower word cannot reach the half's bit.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_dsp import channel_blocks
from edgecomp.requant.int16 import HIGH, LOW, LinearFactor
from edgecomp.targets.cores import Core

WORD = 4
"""Weights in a word."""
CODE_BYTES = 2
UNROLL = 4
"""Steps of four inputs that a loop takes at once."""
LEAST_SHIFT = 26
"""A multiplier of 24 bits, shifted left until the product's shift is 33, has 31 bits."""
MAX_OFFSET = 4095
"""Largest immediate offset of a load or store."""


def refusal(layer: Layer) -> str | None:
    """Say why a linear layer's sums cannot be int32 with one upper product; None if they can."""
    k = layer.prepared
    if not isinstance(k, LinearFactor):
        return "not the arithmetic of int16 codes"
    return factor_refusal(k)


def factor_refusal(k: LinearFactor) -> str | None:
    """Say why sums and factors are not for the blocks; None if they are."""
    if not k.is_narrow:
        return "sums need 64 bits"
    if k.shift.min() < LEAST_SHIFT:
        return "a factor of 1/4 or more"
    return None


def upper_factors(k: LinearFactor) -> tuple[IntArray, IntArray]:
    """Return `(wide, end)`: factors as `wide * 2^-(32 + end)`, `end` at least 1."""
    left = np.maximum(33 - k.shift, 0)
    return np.left_shift(k.multiplier, left), k.shift + left - 32


def weight_words(weights: Array) -> IntArray:
    """Return weights `(channels, inputs)` as words of four `(channels, words)`, filled with 0.

    The bytes are the inputs 0, 2, 1, 3: SXTB16 finds 0 and 1, and turned by 8 bits 2 and 3.
    """
    filled = np.pad(weights.astype(np.int64), ((0, 0), (0, -weights.shape[1] % WORD))) & 0xFF
    parts = filled.reshape(len(weights), -1, WORD)
    return np.asarray(
        parts[..., 0] | parts[..., 2] << 8 | parts[..., 1] << 16 | parts[..., 3] << 24
    )


def stream(words: IntArray, k: LinearFactor, channels: Array) -> Array:
    """Return biases, weights, multipliers and shifts in the order in which blocks read them.

    Args:
        words: those with the weights of each block, `(blocks, words)`.
        k: biases and factors.
        channels: the output channels of each block, `(blocks, channels at once)`; -1 is a channel
            of zeros.

    Returns:
        uint32: for each block the biases, the weights, the multipliers, the shifts.
    """
    live = channels >= 0
    wide, end = upper_factors(k)
    parts = [
        np.where(live, k.bias[channels], 0),
        words,
        np.where(live, wide[channels], 0),
        np.where(live, end[channels], 1),
    ]
    return (np.concatenate(parts, axis=1).reshape(-1) & 0xFFFFFFFF).astype(np.uint32)


def by_turns(words: IntArray, channels: Array) -> IntArray:
    """Return the words of each block's channels `(channels, words)`, one of each by turns.

    Args:
        words: of each channel.
        channels: as for `stream`.
    """
    chosen = np.where(channels[:, :, None] >= 0, words[channels], 0)
    return np.asarray(np.moveaxis(chosen, 2, 1).reshape(len(channels), -1))


def range_name(k: LinearFactor) -> str:
    """Return what a function's name owes to the range of its codes."""
    if (k.low, k.high) == (LOW, HIGH):
        return ""
    return f"_{k.low}_{k.high}".replace("-", "m")


@dataclass(frozen=True)
class Product:
    """A block of the product, as its template needs it: 2 pixels x 2 channels, or 1 x 4.

    Attributes:
        pixels: 2 or 1.
        inputs: of a pixel, neighbours in memory.
        distance: bytes from the inputs of one pixel to those of the next.
        stride: bytes from the outputs of one pixel to those of the next.
        out_channels: outputs of a pixel.
        suffix: of the name, see `range_name`.
    """

    pixels: int
    inputs: int
    distance: int
    stride: int
    out_channels: int
    suffix: str

    has_vectors: ClassVar[bool] = False

    @staticmethod
    def lacks(core: Core) -> str | None:
        """Say what the core lacks for it."""
        return None if core.dsp else "the core lacks the DSP extension"

    @classmethod
    def of(cls, pixels: int, inputs: int, step: int, out_channels: int, k: LinearFactor) -> Self:
        """Choose the block of a layer.

        Args:
            pixels: of the output.
            inputs: of a pixel.
            step: codes from one pixel's inputs to the next one's.
            out_channels: outputs of a pixel.
            k: the layer's constants.
        """
        distance, stride = CODE_BYTES * step, CODE_BYTES * out_channels
        at_once = 2 if pixels > 1 and cls.takes_two(distance, stride) else 1
        return cls(at_once, inputs, distance, stride, out_channels, range_name(k))

    @staticmethod
    def takes_two(distance: int, stride: int) -> bool:
        """Whether there are two channels, and offsets that loads and stores reach."""
        farthest = max(distance + 2 * WORD - 1, stride + CODE_BYTES)
        return stride > CODE_BYTES and farthest <= MAX_OFFSET

    def stream(self, weights: Array, k: LinearFactor) -> Array:
        """Return what the block reads in flash, for weights `(channels, inputs)`."""
        blocks = channel_blocks(len(weights), self.channels)
        return stream(by_turns(weight_words(weights), blocks), k, blocks)

    @property
    def comment(self) -> str:
        """What the stream holds."""
        order = "biases, weights by fours (0, 2, 1, 3), multipliers, shifts"
        return f"by {self.channels} channels: {order}"

    @property
    def name(self) -> str:
        """Of the C function; blocks of one name are equal."""
        text = f"product16_{self.inputs}_{self.pixels}x{self.stored}"
        if self.pixels > 1:
            text += f"_from_{self.distance}_to_{self.stride}"
        return text + self.suffix

    @property
    def channels(self) -> int:
        """Channels at once."""
        return 4 // self.pixels

    @property
    def stored(self) -> int:
        """Channels of a block that are stored."""
        return min(self.channels, self.out_channels)

    @property
    def steps(self) -> int:
        """Whole steps of four inputs."""
        return self.inputs // WORD

    @property
    def left_over(self) -> int:
        """Inputs after the whole steps."""
        return self.inputs % WORD

    @property
    def first_steps(self) -> int:
        """Steps before the loop."""
        return self.steps if self.steps <= UNROLL + 1 else self.steps % UNROLL

    @property
    def unroll(self) -> int:
        """Steps that the loop takes at once."""
        return UNROLL

    @property
    def words(self) -> int:
        """Words of a block in the stream."""
        return self.channels * (-(-self.inputs // WORD) + 3)

    @property
    def accumulators(self) -> list[tuple[str, str, str, int]]:
        """Of each stored sum: its register, those of multiplier and shift, where its code goes."""
        if self.pixels == 1:
            rows = zip(
                ("r2", "r3", "r4", "r5"),
                ("r6", "r7", "r8", "r9"),
                ("r0", "r10", "r11", "lr"),
                strict=True,
            )
            return [(*row, CODE_BYTES * i) for i, row in enumerate(rows)][: self.stored]
        return [
            ("r2", "r6", "r8", 0),
            ("r4", "r7", "r9", CODE_BYTES),
            ("r3", "r6", "r8", self.stride),
            ("r5", "r7", "r9", self.stride + CODE_BYTES),
        ]
