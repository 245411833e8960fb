"""Dense layers on cores with the DSP extension: 4 channels at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import Expansion, code_name
from edgecomp.kernels.finish import beside_weights
from edgecomp.kernels.gemm_dsp import (
    WORD,
    Column,
    block_schedule,
    channel_blocks,
    raw_stream,
    refusal,
)
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.targets.cores import Core

CHANNELS = 4
"""Output channels of a block."""
TURN = 2
"""Steps that one load of the column brings."""
UNROLL_TURNS = 4
"""Turns that the loop over the column takes at once."""
UNROLL_TURNS_SPEED = 8
"""The same where speed is asked for."""


@dataclass(frozen=True)
class Dot:
    """A block of the product, as its template needs it.

    Attributes:
        name: of the C function; blocks of one name are equal.
        steps: words of the column, a multiple of `TURN`.
        channels: outputs that are stored, 4 if the layer has so many.
        single_loads: whether loads of one word are used where they pipeline.
    """

    name: str
    steps: int
    channels: int
    single_loads: bool

    @property
    def unroll(self) -> int:
        """Turns that the loop takes at once."""
        return UNROLL_TURNS_SPEED if self.single_loads else UNROLL_TURNS

    @property
    def first_turns(self) -> int:
        """Turns before the loop."""
        return (self.steps // TURN - 1) % self.unroll + 1

    @property
    def loops(self) -> bool:
        """Whether there is a loop."""
        return self.first_turns * TURN < self.steps

    @property
    def accumulators(self) -> list[tuple[str, str]]:
        """The accumulator of each stored output and the register of its multiplier."""
        return [(f"r{2 + i}", f"r{6 + i}") for i in range(self.channels)]


def dot_weights(weights: Array) -> Array:
    """Fill the inputs of weights `(channels, inputs)` with zeros to a whole number of turns."""
    missing = -weights.shape[1] % (WORD * TURN)
    return np.pad(weights, ((0, 0), (0, missing)))


class DenseDsp(Kernel):
    """1 row x 4 channels at once, weights as raw words."""

    name: ClassVar[str] = "dense_dsp"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/dsp_dot.c.j2"
    single_loads: ClassVar[bool] = False

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, if the raw words are proved exact."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        return refusal(layer, dot_weights(layer.inputs[1].value))

    def scratch_bytes(self, layer: Layer) -> int:
        """The expanded input."""
        return 2 * int(dot_weights(layer.inputs[1].value).shape[1])

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row; each is read before its outputs are written."""
        out_channels, in_channels = layer.inputs[1].shape
        low = np.arange(0, layer.inputs[0].size, in_channels, dtype=np.int64)
        return block_schedule(Reads(low, low + in_channels - 1), 1, out_channels)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = dot_weights(layer.inputs[1].value)
        stream = raw_stream(weights, layer.prepared, channel_blocks(len(weights), CHANNELS))
        comment = "by 4 channels: biases, raw words (256 * even + odd), multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and the expansion."""
        out_channels, in_channels = layer.inputs[1].shape
        k = layer.prepared
        steps = dot_weights(layer.inputs[1].value).shape[1] // WORD
        channels = min(out_channels, CHANNELS)
        per_block = CHANNELS * (steps + beside_weights(k))
        blocks = math.ceil(out_channels / CHANNELS)
        whole = blocks if out_channels < CHANNELS else out_channels // CHANNELS
        name = f"dot_{steps}x{channels}" + ("_singly" if self.single_loads else "")
        return {
            "rows": math.prod(layer.inputs[0].shape[:-1]),
            "in_channels": in_channels,
            "out_channels": out_channels,
            "d": Dot(code_name(name, k), steps, channels, self.single_loads),
            "e": Expansion(Column(1, in_channels, 0), 1, in_channels),
            "k": k,
            "blocks_end": whole * per_block,
            "stream_words": blocks * per_block,
        }


class DenseDspSpeed(DenseDsp):
    """The same with a longer loop, and loads of one word, which pipeline."""

    name: ClassVar[str] = "dense_dsp_speed"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})
    single_loads: ClassVar[bool] = True
