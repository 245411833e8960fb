"""Depthwise 3x3 convolution on Armv6-M, one channel at a time.

The codes of a channel become a plane of words, padding included: LDM then loads a row of a window
at once, and six multiplications of a row destroy nothing that is needed again.  The plane may lie
on its side, so that two outputs at a time leave the fewest over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.conv2d_m0 import function_name
from edgecomp.kernels.ending_m0 import EndingM0
from edgecomp.kernels.finish import requantize_refusal
from edgecomp.kernels.plain_windows import no_depthwise_3x3
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.requant.pieces import Pieces
from edgecomp.targets.cores import Core

MAX_PLANE_BYTES = 2048
"""Scratch: higher strips cost less time, because neighbours share rows of the input."""
PIECES = tuple(Pieces(2, bits) for bits in (12, 11, 10))
"""Cuts of the multiplier that are tried."""


@dataclass(frozen=True)
class Axis:
    """One axis of a layer.

    Attributes:
        inputs: codes along it.
        outputs: outputs along it.
        stride: of the window.
        before: padding before the first code.
        step: bytes from one code to the next.
        out_step: bytes from one output to the next.
    """

    inputs: int
    outputs: int
    stride: int
    before: int
    step: int
    out_step: int

    @property
    def needed(self) -> int:
        """Codes that all outputs read, padding included."""
        return (self.outputs - 1) * self.stride + 3

    @property
    def after(self) -> int:
        """Padding after the last code."""
        return max(0, self.needed - self.before - self.inputs)

    def inside(self, length: int) -> int:
        """How many of the first `length` places, padding included, are codes of the input."""
        return min(self.inputs, length - self.before)


@dataclass(frozen=True)
class Strips:
    """How a layer is cut: strips of rows of the outer axis, rows along the inner one.

    Attributes:
        outer: the axis from row to row of the plane.
        inner: the axis along a row.
        rows: output rows of a strip.
        on_its_side: whether rows of the plane are columns of the input.
    """

    outer: Axis
    inner: Axis
    rows: int
    on_its_side: bool = False

    @property
    def pitch(self) -> int:
        """Words of a row of the plane."""
        return self.inner.needed

    @property
    def plane_rows(self) -> int:
        """Rows of the plane."""
        return (self.rows - 1) * self.outer.stride + 3

    @property
    def plane_bytes(self) -> int:
        """Scratch."""
        return 4 * self.pitch * self.plane_rows

    @property
    def pairs(self) -> int:
        """Pairs of outputs that are computed."""
        return self.outer.outputs * -(-self.inner.outputs // 2)

    @property
    def starts(self) -> list[int]:
        """First output row of each strip."""
        last = self.outer.outputs - self.rows
        return [min(row, last) for row in range(0, self.outer.outputs, self.rows)]


def _strips(outer: Axis, inner: Axis, on_its_side: bool) -> Strips:
    """Cut into strips of equal height, as few as the plane's size allows."""
    fitting = [
        rows
        for rows in range(1, outer.outputs + 1)
        if Strips(outer, inner, rows).plane_bytes <= MAX_PLANE_BYTES
    ]
    count = -(-outer.outputs // max(fitting, default=1))
    return Strips(outer, inner, -(-outer.outputs // count), on_its_side)


def strips_of(layer: Layer) -> Strips:
    """Return how a layer is cut, upright or, if it is cheaper and one strip, on its side."""
    window = layer.params
    _, height, width, channels = as_nhwc(layer.inputs[0].shape)
    _, out_height, out_width, _ = as_nhwc(layer.output.shape)
    rows = Axis(
        height, out_height, window.stride_h, window.pad_top, width * channels, out_width * channels
    )
    columns = Axis(width, out_width, window.stride_w, window.pad_left, channels, channels)
    upright = _strips(rows, columns, False)
    side = _strips(columns, rows, True)
    if out_height < 2 or len(side.starts) > 1 or (out_width > 1 and side.pairs >= upright.pairs):
        return upright
    return side


class DepthwiseM0(Kernel):
    """3x3, stride 1 or 2: one channel's plane at a time, two outputs at once."""

    name: ClassVar[str] = "depthwise_m0"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m0_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 without channel multiplier, at least two outputs side by side."""
        if not core.is_v6m:
            return "the core is not of Armv6-M"
        if reason := no_depthwise_3x3(layer) or requantize_refusal(layer):
            return reason
        strips = strips_of(layer)
        if strips.inner.outputs < 2:
            return "one output in a row"
        if strips.plane_bytes > MAX_PLANE_BYTES:
            return "rows wider than the plane may be"
        if EndingM0.of(layer, PIECES) is None:
            return "no multiplier of few pieces is exact for every accumulator"
        return None

    def _ending(self, layer: Layer) -> EndingM0:
        found = EndingM0.of(layer, PIECES)
        assert found is not None
        return found

    def scratch_bytes(self, layer: Layer) -> int:
        """One plane."""
        return strips_of(layer).plane_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """A channel of a whole plane is read before any of it is written, and only this one."""
        same = layer.inputs[0].shape == layer.output.shape
        return (0,) if same and len(strips_of(layer).starts) == 1 else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Strip by strip, one channel at a time; each reads its rows before it writes."""
        s, channels = strips_of(layer), layer.output.shape[-1]
        if self.in_place_inputs(layer):
            return _by_channels(layer.output.size // channels, channels)
        rows, columns = np.arange(s.rows), np.arange(s.inner.outputs)
        block = (rows[:, None] * s.outer.out_step + columns * s.inner.out_step).reshape(-1)
        writes, lows, highs = [], [], []
        for row in s.starts:
            first = row * s.outer.stride - s.outer.before
            top = max(first, 0)
            bottom = min(first + s.plane_rows, s.outer.inputs) - 1
            last = bottom * s.outer.step + (s.inner.inside(s.pitch) - 1) * s.inner.step
            for channel in range(channels):
                writes.append(block + row * s.outer.out_step + channel)
                low = np.full(len(block), NOTHING)
                high = np.full(len(block), -1, np.int64)
                low[0] = top * s.outer.step + channel
                high[0] = last + channel
                lows.append(low)
                highs.append(high)
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes).astype(np.int64), {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel bias, a quarter of the multiplier, nine weights in three words."""
        k = layer.prepared
        weights = layer.inputs[1].value[..., 0].astype(np.int64)
        if strips_of(layer).on_its_side:
            weights = np.swapaxes(weights, 1, 2)
        codes = np.pad(weights.reshape(-1, 9) & 0xFF, ((0, 0), (0, 3))).reshape(-1, 3, 4)
        words = (codes << np.array([0, 8, 16, 24])).sum(axis=2)
        comment = "by channel: bias, a quarter of the multiplier, bytes of 9 weights"
        if short := self._ending(layer).short:
            columns = [k.bias[:, None], short.factor[:, None], words, short.addend[:, None]]
            comment += ", addend"
        else:
            columns = [k.bias[:, None], k.multiplier[:, None] >> 2, words]
        stream = np.concatenate(columns, axis=1)
        return [
            Constant("stream", "uint32_t", (stream & 0xFFFFFFFF).astype(np.uint32), True, comment)
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The strips and the function."""
        ending, k = self._ending(layer), layer.prepared
        pieces, short = ending.pieces, ending.short
        stride = layer.params.stride_w
        name = function_name("plane", stride, pieces.bits, k.zero_point, k.low, k.high)
        return {
            **window_context(layer),
            "s": strips_of(layer),
            "p": pieces,
            "stride": stride,
            "k": k,
            "t": short,
            "channel_words": 6 if short else 5,
            "name": ending.name(name),
        }


def _by_channels(pixels: int, channels: int) -> Schedule:
    """Events of a layer of one strip: every pixel of a channel, then the next channel.

    Each pixel is read as late as could be, just before its own output; the C reads earlier.
    """
    elements = (np.arange(channels)[:, None] + np.arange(pixels) * channels).reshape(-1)
    wide = elements.astype(np.int64)
    return Schedule(wide, {0: Reads(wide, wide)})
