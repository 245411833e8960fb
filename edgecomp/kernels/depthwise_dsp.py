"""Depthwise 3x3 convolution on cores with the DSP extension.

Four channels at a time, a strip of input rows becomes four planes of 16-bit codes, padding
included: SMLAD then takes two taps of one row at once, and the pairs that do not begin at an even
column are made by the multiplications of single halves (SMLABT, SMLATB).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_IMMEDIATE, MAX_OFFSET, code_name
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.plain_windows import no_depthwise_3x3
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

PLANES = 4
"""Channels at once: one word of the input."""
MAX_PLANES_BYTES = 2048
"""Scratch: higher strips cost less time, because neighbours share rows of the input."""
MAX_PLANES_BYTES_SPEED = 4096
"""The same where speed is asked for."""
MAX_PAIR_OFFSET = 1020
"""Largest offset of a load of two words."""


def _largest_divisor(number: int, limit: int) -> int:
    return max((n for n in range(1, limit + 1) if number % n == 0), default=1)


@dataclass(frozen=True)
class Group:
    """Columns that are transposed at once: which of them lie inside the input."""

    inside: tuple[bool, ...]
    count: int

    @property
    def at_once(self) -> int:
        """Groups that the loop takes at once."""
        return _largest_divisor(self.count, 4)

    @property
    def turns(self) -> int:
        """Turns of the loop."""
        return self.count // self.at_once


@dataclass(frozen=True)
class Transposition:
    """Rows of the input to rows of four planes, as the template needs it."""

    width: int
    channels: int
    columns: int
    pad_left: int
    plane_bytes: int
    zero_point: int

    @property
    def name(self) -> str:
        """Of the C function."""
        size = f"{self.width}x{self.channels}_to_{self.columns}x{self.plane_bytes}"
        return f"planes_{size}_{self.pad_left}_{str(self.zero_point).replace('-', 'm')}"

    @property
    def zero_word(self) -> int:
        """The zero point in each byte of a word."""
        return (self.zero_point & 0xFF) * 0x01010101

    @property
    def groups(self) -> list[Group]:
        """The columns in order, four by four; equal neighbours are counted."""
        inside = [0 <= c - self.pad_left < self.width for c in range(self.columns)]
        found: list[Group] = []
        for start in range(0, self.columns, PLANES):
            group = tuple(inside[start : start + PLANES])
            if found and found[-1].inside == group:
                found[-1] = Group(group, found[-1].count + 1)
            else:
                found.append(Group(group, 1))
        return found

    @property
    def skip_bytes(self) -> int:
        """Input bytes at the end of each row that no output needs."""
        return max(self.width + self.pad_left - self.columns, 0) * self.channels


@dataclass(frozen=True)
class PlaneProduct:
    """Outputs of one plane, as the template needs it."""

    name: str
    stride: int
    out_width: int
    columns: int
    channels: int
    odd_rows: bool

    @property
    def one_turn(self) -> bool:
        """Whether a row's pairs are written out."""
        return self.blocks == self.blocks_at_once

    @property
    def blocks(self) -> int:
        """Pairs of outputs in a row."""
        return self.out_width // 2

    @property
    def blocks_at_once(self) -> int:
        """Pairs that the loop over a row takes at once."""
        return _largest_divisor(self.blocks, 6)


@dataclass(frozen=True)
class _Strips:
    """How a layer is cut into strips of rows.

    Attributes:
        rows: output rows of a strip; the last strip overlaps the one before it.
        columns: of a plane, even.
    """

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    rows: int
    columns: int

    @classmethod
    def of(cls, layer: Layer, max_bytes: int) -> "_Strips":
        window = layer.params
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        stride = window.stride_w
        needed = (out_width - 1) * stride + 3 + (out_width % 2 if stride == 1 else 1)
        columns = needed + needed % 2
        fit = max_bytes // (2 * PLANES * columns)  # rows of the planes
        most = (max(fit, 5 - stride) - 3) // stride + 1  # two rows, or one of stride 2, must be
        most -= most % (2 // stride) if most < out_height else 0
        # Strips of equal height: what the last one computes again is lost.
        rows = -(-out_height // -(-out_height // most))
        rows += rows % (2 // stride) if rows < out_height else 0
        shape = (height, width, channels, out_height, out_width)
        return cls(window, *shape, min(rows, out_height), columns)

    @property
    def plane_rows(self) -> int:
        """Rows of a plane."""
        return (self.rows - 1) * self.window.stride_h + 3

    @property
    def plane_bytes(self) -> int:
        """Bytes of one plane."""
        return 2 * self.columns * self.plane_rows

    @property
    def starts(self) -> list[int]:
        """First output row of each strip."""
        return [min(r, self.out_height - self.rows) for r in range(0, self.out_height, self.rows)]


def depthwise_refusal(layer: Layer) -> str | None:
    """Say why planes cannot compute a convolution; None if they can."""
    if reason := no_depthwise_3x3(layer):
        return reason
    if layer.output.shape[-1] < PLANES:
        return f"fewer than {PLANES} channels"
    return requantize_refusal(layer)


def depthwise_stream(layer: Layer) -> Constant:
    """Return the weights, biases and multipliers in the order of use, channel by channel."""
    w = layer.inputs[1].value.reshape(-1, 9).astype(np.int64) & 0xFF
    zero = np.zeros_like(w[:, 0])
    if layer.params.stride_w == 1:
        words = [_word(w[:, r], w[:, r + 1], w[:, r + 1], w[:, r + 2]) for r in (0, 3, 6)]
        comment = "by channel: for each row bytes w0 w1 w1 w2; bias; multiplier"
    else:
        words = [
            _word(w[:, 0], w[:, 2], w[:, 1], w[:, 5]),
            _word(w[:, 3], w[:, 8], w[:, 4], zero),
            _word(w[:, 6], zero, w[:, 7], zero),
        ]
        comment = "by channel: w00 w02 w01 w12, w10 w22 w11 0, w20 0 w21 0; bias; multiplier"
    k = layer.prepared
    ends = end_words(k)
    if len(ends) > 1:
        comment += "; shift, zero point"
    stream = np.stack([*words, k.bias, *ends], axis=1) & 0xFFFFFFFF
    return Constant("stream", "uint32_t", stream.astype(np.uint32), True, comment)


class DepthwiseDsp(Kernel):
    """3x3, stride 1 or 2: one channel's plane at a time, 2x2 or 2 outputs at once."""

    name: ClassVar[str] = "depthwise_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_depthwise.c.j2"
    max_planes_bytes: ClassVar[int] = MAX_PLANES_BYTES

    def _strips(self, layer: Layer) -> _Strips:
        """How the layer is cut."""
        return _Strips.of(layer, self.max_planes_bytes)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 of at least 4 channels, without multiplier."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := depthwise_refusal(layer):
            return reason
        channels = layer.inputs[1].shape[0]
        strips = self._strips(layer)
        if strips.rows < min(2, 3 - layer.params.stride_h):
            return "rows wider than the planes may be"
        farthest = (strips.out_width + 1) * channels
        if farthest > MAX_OFFSET or strips.columns * 4 > MAX_PAIR_OFFSET:
            return "rows further apart than a load or store reaches"
        if 2 * channels > MAX_IMMEDIATE or strips.plane_bytes * 3 + 4 > MAX_OFFSET:
            return "channels further apart than a load or store reaches"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """Four planes."""
        return PLANES * self._strips(layer).plane_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """Four channels of a whole plane are read before any is written, and only these."""
        s = self._strips(layer)
        same = (s.height, s.width) == (s.out_height, s.out_width)
        return (0,) if same and len(s.starts) == 1 and s.channels % PLANES == 0 else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Strip by strip, four channels at a time; each reads its rows before it writes."""
        s = self._strips(layer)
        if self.in_place_inputs(layer):
            return _by_channel_groups(s)
        groups = [min(c, s.channels - PLANES) for c in range(0, s.channels, PLANES)]
        pixels = np.arange(s.rows * s.out_width, dtype=np.int64)[:, None]
        block = (pixels * s.channels + np.arange(PLANES)).reshape(-1)
        writes, lows, highs = [], [], []
        for row in s.starts:
            first = row * s.window.stride_h - s.window.pad_top
            top, bottom = max(first, 0), min(first + s.plane_rows, s.height) - 1
            for channel in groups:
                writes.append(block + row * s.out_width * s.channels + channel)
                low = np.full(len(block), NOTHING)
                high = np.full(len(block), -1, np.int64)
                low[0] = top * s.width * s.channels + channel
                high[0] = ((bottom + 1) * s.width - 1) * s.channels + channel + PLANES - 1
                lows.append(low)
                highs.append(high)
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel three words of weights, bias, multiplier."""
        return [depthwise_stream(layer)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Strips, transposition and product."""
        s = self._strips(layer)
        k = layer.prepared
        assert layer.inputs[0].qparams is not None
        zero_point = layer.inputs[0].qparams.zero_point
        stride = s.window.stride_h
        last = (s.out_height - 1) * stride + 3 - s.window.pad_top
        name = f"plane{stride}_{s.out_width}x{s.channels}_of_{s.columns}"
        odd_rows = stride == 1 and s.rows % 2 == 1
        name += "_odd" if odd_rows else ""
        return {
            "t": Transposition(
                s.width, s.channels, s.columns, s.window.pad_left, s.plane_bytes, zero_point
            ),
            "p": PlaneProduct(
                code_name(name, k), stride, s.out_width, s.columns, s.channels, odd_rows
            ),
            "k": k,
            "channel_words": 3 + beside_weights(k),
            "height": s.height,
            "out_height": s.out_height,
            "pad_top": s.window.pad_top,
            "rows": s.rows,
            "strips": len(s.starts),
            "plane_rows": s.plane_rows,
            "has_border_rows": s.window.pad_top > 0 or last > s.height,
        }


class DepthwiseDspSpeed(DepthwiseDsp):
    """The same with higher strips."""

    name: ClassVar[str] = "depthwise_dsp_speed"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})
    max_planes_bytes: ClassVar[int] = MAX_PLANES_BYTES_SPEED


def _by_channel_groups(s: _Strips) -> Schedule:
    """Events of a layer of one strip: four channels of every pixel, then the next four.

    Each pixel is read as late as could be, just before its own output; the C reads earlier.
    """
    groups = np.arange(0, s.channels, PLANES, dtype=np.int64)[:, None, None]
    pixels = np.arange(s.height * s.width, dtype=np.int64)[None, :, None]
    elements = (groups + pixels * s.channels + np.arange(PLANES)).reshape(-1)
    return Schedule(elements, {0: Reads(elements, elements)})


def _word(*parts: Array) -> Array:
    """Four bytes, the lowest first, as words."""
    return np.asarray(sum(part << (8 * i) for i, part in enumerate(parts)), np.int64)
