"""Convolutions and dense layers of int16 activations on cores with Helium (MVE).

VMLADAVA multiplies eight neighbouring activations with as many weights, which are widened as they
are loaded, and adds all products to one sum.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.gemm_dsp import channel_blocks
from edgecomp.kernels.int16_dsp import Conv2dInt16Dsp, DenseInt16Dsp
from edgecomp.kernels.product16 import WORD, Product, stream
from edgecomp.requant.int16 import LinearFactor
from edgecomp.targets.cores import Core

LANES = 8
"""Codes of a vector."""
CHANNELS = 4
UNROLL = 4
"""Vectors that a loop takes at once."""
MAX_DISTANCE = 65535
"""Bytes that MOVW holds."""


@dataclass(frozen=True)
class VectorProduct(Product):
    """A block of 2 pixels x 4 channels, or 1 x 4."""

    has_vectors: ClassVar[bool] = True

    @staticmethod
    def lacks(core: Core) -> str | None:
        """Say what the core lacks for it."""
        return None if core.mve else "the core lacks Helium (MVE)"

    @staticmethod
    def takes_two(distance: int, stride: int) -> bool:
        """Whether a half word holds the distances."""
        return max(distance, stride) <= MAX_DISTANCE

    def stream(self, weights: Array, k: LinearFactor) -> Array:
        """Return what the block reads in flash, for weights `(channels, inputs)`."""
        filled = np.pad(weights, ((0, 0), (0, -weights.shape[1] % LANES)))
        words = np.ascontiguousarray(filled, np.int8).view("<u4").astype(np.int64)
        blocks = channel_blocks(len(weights), CHANNELS)
        # Two words of each channel by turns.
        pairs = words.reshape(len(words), -1, LANES // WORD)
        chosen = np.where(blocks[:, :, None, None] >= 0, pairs[blocks], 0)
        turns = np.moveaxis(chosen, 2, 1).reshape(len(blocks), -1)
        return stream(turns, k, blocks)

    @property
    def comment(self) -> str:
        """What the stream holds."""
        return "by 4 channels: biases, 8 weights of each by turns, multipliers, shifts"

    @property
    def name(self) -> str:
        """Of the C function; blocks of one name are equal."""
        return "mve_" + super().name

    @property
    def channels(self) -> int:
        """Channels at once."""
        return CHANNELS

    @property
    def steps(self) -> int:
        """Whole vectors."""
        return self.inputs // LANES

    @property
    def left_over(self) -> int:
        """Inputs after the whole vectors."""
        return self.inputs % LANES

    @property
    def first_steps(self) -> int:
        """Vectors before the loop."""
        return self.steps if self.steps <= UNROLL + 1 else self.steps % UNROLL

    @property
    def turns(self) -> int:
        """Turns of the loop."""
        return (self.steps - self.first_steps) // UNROLL

    @property
    def words(self) -> int:
        """Words of a block in the stream."""
        return CHANNELS * (-(-self.inputs // LANES) * LANES // WORD + 3)


class DenseInt16Mve(DenseInt16Dsp):
    """Dense layer: two rows at once, or one."""

    name: ClassVar[str] = "dense_int16_mve"
    block: ClassVar[type[Product]] = VectorProduct


class Conv2dInt16Mve(Conv2dInt16Dsp):
    """Convolution: 1x1 as it lies, other windows as columns."""

    name: ClassVar[str] = "conv2d_int16_mve"
    block: ClassVar[type[Product]] = VectorProduct
