"""Depthwise convolution on Armv7-M without the DSP extension: two rows of outputs at once.

One channel of a strip of rows becomes a plane of pairs, padding included: the lower half of the
strip's outputs lies in the high lane, so that one packing serves every tap and every stride, and
each multiplication makes the products of two outputs.  The weights are multiplied by 2^9 as they
are loaded: the high lane of the accumulator is then its high word (see `gemm_m3`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.gemm_m3 import (
    clamp_suffix,
    core_refusal,
    lane_starts,
    refusal,
    short_ends,
    size_refusal,
)
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

MAX_PLANE_BYTES = 640
"""Scratch of a layer whose output cannot lie over its input: strips of few rows, so that the output
follows close behind the input."""
MAX_KERNEL_W = 7
MAX_KERNEL_H = 7
REGISTERS = 14
"""Of the core, without stack pointer and program counter."""
MAX_COLUMNS = 4
FUNCTION_INSTRUCTIONS = 20_000
"""What a layer must gain to get a function for another number of columns, which takes 0.6 KB."""


@dataclass(frozen=True)
class Planes:
    """How a depthwise layer is cut into planes.

    Attributes:
        lane_rows: output rows of one lane in a strip.
    """

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    out_channels: int
    lane_rows: int

    @classmethod
    def of(cls, layer: Layer) -> "Planes":
        """Cut a layer into strips, or not at all where in place saves much more than a plane."""
        window = layer.params
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        sizes = (window, height, width, channels, out_height, out_width, out_channels)
        whole = cls(*sizes, -(-out_height // 2))
        if whole.same_shape and 8 * whole.scratch_bytes <= layer.output.size:
            return whole
        fit = (MAX_PLANE_BYTES - 4 * whole.slack) // (4 * whole.pitch)
        most = max((fit - window.kernel_h) // window.stride_h + 1, 1)
        strips = -(-out_height // (2 * most))
        return cls(*sizes, -(-out_height // (2 * strips)))

    @property
    def same_shape(self) -> bool:
        """Whether the output has the input's shape."""
        outputs = (self.out_height, self.out_width, self.out_channels)
        return (self.height, self.width, self.channels) == outputs

    @property
    def scratch_bytes(self) -> int:
        """One plane, and what is read behind it."""
        return 4 * (self.pitch * self.rows + self.slack)

    @property
    def strips(self) -> int:
        """Strips of two lanes; the last one may overlap the one before it."""
        return -(-self.out_height // (2 * self.lane_rows))

    @property
    def second_lane(self) -> int:
        """Output rows from the first row of a strip's low lane to that of its high lane."""
        return min(self.lane_rows, self.out_height - self.lane_rows)

    @property
    def starts(self) -> list[int]:
        """First output row of each strip."""
        last = max(self.out_height - 2 * self.lane_rows, 0)
        return [min(2 * self.lane_rows * i, last) for i in range(self.strips)]

    @property
    def columns(self) -> int:
        """Outputs of a row that are computed at once; fewer than most where much is gained."""
        window = self.window
        most = min((REGISTERS - 3 - window.kernel_w) // 2, MAX_COLUMNS)

        def instructions(columns: int) -> int:
            words = (columns - 1) * window.stride_w + window.kernel_w
            row = window.kernel_w + words + window.kernel_w * columns + 2
            block = window.kernel_h * row + 13 * columns + 8
            rows = -(-self.out_height // 2) * self.out_channels
            return -(-self.out_width // columns) * block * rows

        best = min(range(1, most + 1), key=lambda n: (instructions(n), -n))
        return best if instructions(most) - instructions(best) > FUNCTION_INSTRUCTIONS else most

    @property
    def pitch(self) -> int:
        """Words of a plane's row."""
        return (self.out_width - 1) * self.window.stride_w + self.window.kernel_w

    @property
    def rows(self) -> int:
        """Rows of a plane."""
        return (self.lane_rows - 1) * self.window.stride_h + self.window.kernel_h

    @property
    def pad_left(self) -> int:
        """Words of padding at the beginning of a row."""
        return min(self.window.pad_left, self.pitch)

    @property
    def inside(self) -> int:
        """Words of the input in a row."""
        return min(self.width, self.pitch - self.pad_left)

    @property
    def slack(self) -> int:
        """Words behind the plane that outputs right of the last column read, and nobody uses."""
        return -self.out_width % self.columns * self.window.stride_w

    @property
    def multiplier(self) -> int:
        """Outputs of one input channel."""
        return self.out_channels // self.channels

    @cached_property
    def name(self) -> str:
        """What the shared functions of layers with such windows are called."""
        w = self.window
        return f"{w.kernel_h}x{w.kernel_w}_step_{w.stride_w}_by_{self.columns}"


class DepthwiseM3(Kernel):
    """One channel's plane at a time, up to 4 columns of 2 rows at once."""

    name: ClassVar[str] = "depthwise_m3"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m3_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Windows up to 7 x 7 without dilation, if the lanes are proved wide enough."""
        reason = core_refusal(core)
        if reason is not None:
            return reason
        _, kernel_h, kernel_w, group_in = layer.inputs[1].shape
        window = layer.params
        if group_in != 1 or window.groups != layer.inputs[0].shape[-1]:
            return "not one input channel per group"
        if kernel_h > MAX_KERNEL_H or kernel_w > MAX_KERNEL_W:
            return f"a window larger than {MAX_KERNEL_H} x {MAX_KERNEL_W}"
        if window.dilation_h != 1 or window.dilation_w != 1:
            return "dilation"
        return size_refusal(layer) or refusal(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """One plane."""
        return Planes.of(layer).scratch_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """A channel's whole plane is read before any of it is written, and only this channel."""
        p = Planes.of(layer)
        return (0,) if p.same_shape and p.strips == 1 else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Strip by strip, channel by channel; each reads its rows before it writes."""
        p = Planes.of(layer)
        pixels = np.arange(p.out_height * p.out_width, dtype=np.int64)
        if self.in_place_inputs(layer):
            # Each pixel is read as late as could be, just before its own output.
            order = np.arange(p.channels)[:, None] + pixels * p.channels
            return Schedule(order.reshape(-1), {0: Reads(order.reshape(-1), order.reshape(-1))})
        writes, lows, highs = [], [], []
        for start in p.starts:
            rows = min(p.second_lane + p.lane_rows, p.out_height)
            block = (start * p.out_width + pixels[: rows * p.out_width]) * p.out_channels
            first = start * p.window.stride_h - p.window.pad_top
            last = first + (rows - 1) * p.window.stride_h + p.window.kernel_h - 1
            top, bottom = max(first, 0), min(last, p.height - 1)
            for channel in range(p.out_channels):
                writes.append(block + channel)
                low = np.full(len(block), NOTHING)
                high = np.full(len(block), -1, np.int64)
                if bottom >= top:
                    own = channel // p.multiplier
                    low[0] = top * p.width * p.channels + own
                    high[0] = ((bottom + 1) * p.width - 1) * p.channels + own
                lows.append(low)
                highs.append(high)
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel the accumulator's start, twice the multiplier, the weights as bytes."""
        k = layer.prepared
        weights = layer.inputs[1].value.reshape(len(k.bias), -1)
        filled = np.zeros((len(weights), -(-weights.shape[1] // 4) * 4), np.int8)
        filled[:, : weights.shape[1]] = weights
        stream = np.concatenate(
            [
                _shifted(lane_starts(k.bias, k.bias)),
                short_ends(k),
                np.ascontiguousarray(filled).view("<u4"),
            ],
            axis=1,
        )
        comment = "by channel: start, 2 * multiplier, weights as bytes"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes of planes and strips."""
        p = Planes.of(layer)
        assert layer.inputs[0].qparams is not None
        window = p.window
        taps = window.kernel_h * window.kernel_w
        weights_at = 4 * taps
        return {
            "p": p,
            "w": window,
            "k": layer.prepared,
            "suffix": clamp_suffix(layer.prepared),
            "zero_point": layer.inputs[0].qparams.zero_point,
            "taps": taps,
            "stream_words": 2 + short_ends(layer.prepared).shape[1] + -(-taps // 4),
            "frame": weights_at,
            "addend": 2 * layer.prepared.zero_point + 1,
        }


def _shifted(starts: Array) -> Array:
    """Multiply 64-bit numbers `(n, 2)`, low word first, by 2^9."""
    wide = starts.astype(np.uint64)
    value = (wide[:, 0] | wide[:, 1] << np.uint64(32)) << np.uint64(9)
    low, high = value & np.uint64(0xFFFFFFFF), value >> np.uint64(32)
    return np.stack([low, high], axis=1).astype(np.uint32)
