"""Dense layers on cores with Helium (MVE): 8 channels of one row, or 2 rows x 4 channels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.finish import beside_weights, vector_words
from edgecomp.kernels.gemm_mve import (
    LANES,
    Gemm,
    as_words,
    blocks_of,
    code_name,
    gemm_limits,
    gemm_stream,
    pair_schedule,
    refusal,
)
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

CHANNELS = 8
"""Output channels of a block of one row."""
UNROLL = 4
"""Steps of 16 inputs that a loop takes at once."""
MAX_STEPS = 9
"""Steps of 16 inputs that a block writes out; where there are more, it loops."""


@dataclass(frozen=True)
class Dot:
    """A block of the product of one row, as its template needs it.

    Attributes:
        inputs: codes of the row.
        channels: output channels.
        k: constants of the output.
    """

    inputs: int
    channels: int
    k: LinearConstants

    @property
    def name(self) -> str:
        """Of the C function; blocks of one name are equal."""
        return code_name(f"mve_dot_{self.inputs}x{self.channels}", self.k)

    @property
    def steps(self) -> int:
        """Vectors of the row."""
        return math.ceil(self.inputs / LANES)

    @property
    def tail(self) -> int:
        """Codes of the last vector if it must not be read whole, else 0."""
        return self.inputs % LANES

    @property
    def partial(self) -> bool:
        """Whether the last block has fewer than eight channels."""
        return self.channels % CHANNELS != 0

    @property
    def clamps(self) -> bool:
        """Whether the activation's range is smaller than a code's."""
        return (self.k.low, self.k.high) != (-128, 127)

    @property
    def plain_steps(self) -> int:
        """Steps that load the next vector as a whole."""
        return max(self.steps - 1 - (self.tail > 0), 0)

    @property
    def turns(self) -> int:
        """Turns of the loop over such steps."""
        return self.plain_steps // UNROLL if self.steps > MAX_STEPS else 0

    @property
    def single_steps(self) -> int:
        """Such steps before the loop."""
        return self.plain_steps - self.turns * UNROLL

    @property
    def unroll(self) -> int:
        """Steps of a turn."""
        return UNROLL

    @property
    def block_words(self) -> int:
        """Words of the stream for a block."""
        return CHANNELS * (self.steps * LANES // 4 + beside_weights(self.k))


def dot_stream(weights: Array, prepared: LinearConstants) -> Array:
    """Return biases, weights and multipliers in the order in which a block reads them.

    Args:
        weights: int8 `(channels, inputs)`.
        prepared: bias and multipliers.

    Returns:
        uint32: for each eight channels their biases; for each 16 inputs, 16 bytes of each
        channel; the multipliers of the even channels, those of the odd ones; TFLite's shifts alike.
    """
    filled = np.pad(weights, ((0, 0), (0, -weights.shape[1] % LANES))).astype(np.int8)
    blocks = blocks_of(filled, CHANNELS)
    by_step = np.ascontiguousarray(blocks.reshape(len(blocks), CHANNELS, -1, LANES).swapaxes(1, 2))
    bias = blocks_of(prepared.bias, CHANNELS).astype(np.int32)
    ends = [blocks_of(words, CHANNELS).astype(np.int32) for words in vector_words(prepared)]
    return as_words(bias, by_step, *(half for e in ends for half in (e[:, 0::2], e[:, 1::2])))


class DenseMve(Kernel):
    """8 channels of one row at once, or 2 rows x 4 channels."""

    name: ClassVar[str] = "dense_mve"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/mve_dot.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape."""
        return refusal(layer, core) or gemm_limits(self._gemm(layer))

    def _rows(self, layer: Layer) -> int:
        return math.prod(layer.inputs[0].shape[:-1])

    def _gemm(self, layer: Layer) -> Gemm:
        channels, inputs = layer.inputs[1].shape
        return Gemm(inputs, inputs, channels, layer.prepared, False, inputs % 4 == 0)

    def schedule(self, layer: Layer) -> Schedule:
        """Each block of outputs reads the whole row, or both rows."""
        channels, inputs = layer.inputs[1].shape
        rows = self._rows(layer)
        if rows > 1:
            low = np.arange(0, rows * inputs, inputs, dtype=np.int64)
            return pair_schedule(Reads(low, low + inputs - 1), channels, [range(rows)])
        writes = np.arange(channels, dtype=np.int64)
        begins = writes % CHANNELS == 0
        reads = Reads(np.where(begins, 0, NOTHING), np.where(begins, inputs - 1, -1))
        return Schedule(writes, {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value
        if self._rows(layer) > 1:
            stream = gemm_stream(weights, layer.prepared)
            comment = "by 4 channels: for each 16 inputs 4 x 16 weights; 4 biases; 4 multipliers"
        else:
            stream = dot_stream(weights, layer.prepared)
            comment = "by 8 channels: biases; for each 16 inputs 8 x 16 weights; multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block."""
        channels, inputs = layer.inputs[1].shape
        return {
            "rows": self._rows(layer),
            "in_channels": inputs,
            "out_channels": channels,
            "d": Dot(inputs, channels, layer.prepared),
            "g": self._gemm(layer),
        }
