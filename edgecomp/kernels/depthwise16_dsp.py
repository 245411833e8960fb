"""Depthwise convolution of int16 activations on cores with the DSP extension.

Two neighbouring channels lie in a word: SMLABB multiplies the lower one, SMLATT the upper one, for
two pixels with the same weights.  Rows of padded maps go through a ring of as many rows as a
window has, with zeros at their sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import block_starts, channel_blocks
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.product16 import CODE_BYTES, MAX_OFFSET, range_name, refusal, stream
from edgecomp.kernels.schedule import NOTHING, IndexArray, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

PIXELS = 2
"""Neighbours of a row at once."""
CHANNELS = 2
MOST_TAPS = 64
"""All taps are written out; code of more is too long."""


@dataclass(frozen=True)
class Taps:
    """A window of two pixels and two channels, as its template needs it.

    Attributes:
        window: the convolution's.
        channels: of a pixel.
        suffix: of the name, see `range_name`.
    """

    window: Window
    channels: int
    suffix: str

    pixels: ClassVar[int] = PIXELS

    @property
    def name(self) -> str:
        """Of the C function; those of one name are equal."""
        w = self.window
        steps = f"{w.stride_w}" + (f"_every_{w.dilation_w}" if w.dilation_w > 1 else "")
        shape = f"{w.kernel_h}x{w.kernel_w}_of_{self.channels}"
        return f"depthwise16_{shape}_step_{steps}{self.suffix}"

    @property
    def distance(self) -> int:
        """Bytes from the first pixel's window to the second's."""
        return CODE_BYTES * self.window.stride_w * self.channels

    @property
    def stride(self) -> int:
        """Bytes from one pixel of the output to the next."""
        return CODE_BYTES * self.channels

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row, and offset in bytes from its begin, of each tap."""
        w = self.window
        return [
            (row, CODE_BYTES * column * w.dilation_w * self.channels)
            for row in range(w.kernel_h)
            for column in range(w.kernel_w)
        ]

    @property
    def pairs(self) -> list[list[tuple[int, int]]]:
        """Places of the taps that share a word of weights."""
        return [self.places[i : i + 2] for i in range(0, len(self.places), 2)]

    @property
    def words(self) -> int:
        """Words of two channels in the stream."""
        return len(self.pairs) + 3 * CHANNELS

    @property
    def accumulators(self) -> list[tuple[str, str, str, int]]:
        """Of each sum: its register, those of multiplier and shift, where its code goes."""
        return [
            ("r2", "r6", "r8", 0),
            ("r4", "r7", "r9", CODE_BYTES),
            ("r3", "r6", "r8", self.stride),
            ("r5", "r7", "r9", self.stride + CODE_BYTES),
        ]


@dataclass(frozen=True)
class Ring:
    """The rows of a padded map that a window sees.

    Attributes:
        window: the convolution's.
        height: of the map.
        width: of the map.
        channels: of the map.
    """

    window: Window
    height: int
    width: int
    channels: int

    @property
    def rows(self) -> int:
        """Rows in the ring."""
        return (self.window.kernel_h - 1) * self.window.dilation_h + 1

    @property
    def row_codes(self) -> int:
        """Codes of a row, with the zeros at its sides."""
        return (self.width + self.window.pad_left + self.window.pad_right) * self.channels

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of all rows."""
        return CODE_BYTES * self.rows * self.row_codes

    def reads(self, out_height: int) -> list[tuple[int, int]]:
        """First and last code that are copied before each row of the output; (0, -1): none."""
        found, copied = [], 0
        for row in range(out_height):
            seen = row * self.window.stride_h + self.rows - self.window.pad_top
            until = max(min(seen, self.height), copied)
            begin, end = (n * self.width * self.channels for n in (copied, until))
            found.append((begin, end - 1) if end > begin else (0, -1))
            copied = until
        return found


class DepthwiseInt16Dsp(Kernel):
    """2 pixels x 2 channels at once, weights of two taps in a word."""

    name: ClassVar[str] = "depthwise_int16_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "int16/depthwise_blocks.c.j2"
    numerics: ClassVar[frozenset[str]] = Int16Kernel.numerics
    code_type: ClassVar[str] = Int16Kernel.code_type

    def taps(self, layer: Layer) -> Taps:
        """The window."""
        return Taps(layer.params, layer.output.shape[-1], range_name(layer.prepared))

    def ring(self, layer: Layer) -> Ring:
        """The rows that a window sees."""
        return Ring(layer.params, *as_nhwc(layer.inputs[0].shape)[1:])

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One output channel per input channel, at least two of them, rows of two pixels."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        _, _, out_width, channels = as_nhwc(layer.output.shape)
        if layer.params.groups != channels or layer.inputs[0].shape[-1] != channels:
            return "not one output channel per input channel"
        if out_width < PIXELS or channels < CHANNELS:
            return "fewer than 2 pixels in a row, or 2 channels"
        taps = self.taps(layer)
        if len(taps.places) > MOST_TAPS:
            return f"more than {MOST_TAPS} taps"
        if taps.places[-1][1] + taps.distance > MAX_OFFSET or taps.stride + 2 > MAX_OFFSET:
            return "pixels further apart than a load reaches"
        return refusal(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """The ring of rows, if there is padding."""
        return self.ring(layer).size_bytes if layer.params.has_padding else 0

    def schedule(self, layer: Layer) -> Schedule:
        """Row, pair of pixels, pair of channels.

        With padding, rows are copied before the first output that needs them is written.
        """
        _, out_height, out_width, channels = as_nhwc(layer.output.shape)
        columns = block_starts(out_width, PIXELS)[:, None] + np.arange(PIXELS)
        pairs = channel_blocks(channels, CHANNELS)
        pixels = np.arange(out_height)[:, None, None] * out_width + columns
        outputs = (pixels[:, :, None, :, None] * channels + pairs[:, None, :]).astype(np.int64)
        low = np.full(outputs.shape, NOTHING)
        high = np.full(outputs.shape, -1, np.int64)
        if layer.params.has_padding:
            for row, (first, last) in enumerate(self.ring(layer).reads(out_height)):
                if last >= first:
                    low[row, 0, 0, 0, 0], high[row, 0, 0, 0, 0] = first, last
        else:
            own = list(range(channels))
            windows = window_reads(layer, own, own)
            low[..., 0, 0] = _of_blocks(windows.low, outputs).min(axis=-1)
            high[..., 0, 0] = _of_blocks(windows.high, outputs).max(axis=-1)
        events = Schedule(outputs.reshape(-1), {0: Reads(low.reshape(-1), high.reshape(-1))})
        return events.in_bytes(CODE_BYTES)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value.reshape(layer.output.shape[-1], -1).astype(np.int64)
        filled = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2))) & 0xFF
        blocks = channel_blocks(len(weights), CHANNELS)
        first, second = filled[blocks[:, 0]], filled[blocks[:, 1]]
        words = first[:, ::2] | first[:, 1::2] << 8 | second[:, ::2] << 16 | second[:, 1::2] << 24
        values = stream(words, layer.prepared, blocks)
        comment = "by 2 channels: biases, weights of two taps each, multipliers, shifts"
        return [Constant("stream", "uint32_t", values, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The window and where its rows are."""
        taps, channels = self.taps(layer), layer.output.shape[-1]
        return {
            **window_context(layer),
            "has_vectors": False,
            "t": taps,
            "ring": self.ring(layer),
            "k": layer.prepared,
            "pairs_end": channels // CHANNELS * taps.words,
            "stream_words": -(-channels // CHANNELS) * taps.words,
        }


def _of_blocks(codes: IndexArray, outputs: IndexArray) -> IndexArray:
    """What belongs to each block's outputs, in its last axis."""
    return np.asarray(codes[outputs.reshape(*outputs.shape[:3], -1)])
