"""One row of a convolution on cores with the DSP extension, without scratch.

For stages that are fused by rows: the input is as high as the window, there is no padding above or
below.  Codes are expanded in registers, pixel by pixel, four channels at a time; what that costs in
time it saves in memory.  At the left and right border a window loses columns: these outputs take
fewer products and begin with a bias that has the padding's part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, code_name
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.gemm_dsp import (
    WORD,
    raw_bias,
    raw_lanes,
    raw_stream,
    refusal,
)
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

CHANNELS = 4
"""Output channels at once."""
MAX_TAPS = 25
"""Taps that a depthwise pixel writes out."""


@dataclass(frozen=True)
class Border:
    """Outputs of a row whose windows lose the same columns.

    Attributes:
        first: first column of the window inside the input.
        last: column behind the last one inside.
        start: first output.
        count: neighbouring outputs.
    """

    first: int
    last: int
    start: int
    count: int


@dataclass(frozen=True)
class RowShape:
    """One row of a convolution, as the templates need it."""

    kernel_h: int
    kernel_w: int
    stride: int
    pad_left: int
    width: int
    channels: int
    out_width: int
    out_channels: int

    @classmethod
    def of(cls, layer: Layer) -> "RowShape":
        """Read it from a layer that is cut to a row."""
        w = layer.params
        _, _, width, channels = as_nhwc(layer.inputs[0].shape)
        _, _, out_width, out_channels = as_nhwc(layer.output.shape)
        sizes = width, channels, out_width, out_channels
        return cls(w.kernel_h, w.kernel_w, w.stride_w, w.pad_left, *sizes)

    @property
    def borders(self) -> list[Border]:
        """Runs of outputs with equal windows, from left to right."""
        found: list[Border] = []
        for column in range(self.out_width):
            begin = column * self.stride - self.pad_left
            first = max(-begin, 0)
            last = min(self.width - begin, self.kernel_w)
            if found and (found[-1].first, found[-1].last) == (first, last):
                old = found[-1]
                found[-1] = Border(first, last, old.start, old.count + 1)
            else:
                found.append(Border(first, last, column, 1))
        return found

    def window(self, border: Border) -> str:
        """C expression of where the first column inside lies; `column` is the output."""
        step = self.stride * self.channels
        shift = (border.first - self.pad_left) * self.channels
        if border.count == 1:
            offset = border.start * step + shift
            return f"input + {offset}" if offset else "input"
        text = f"input + column * {step}"
        return text + (f" {'-' if shift < 0 else '+'} {abs(shift)}" if shift else "")

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of the input."""
        return self.width * self.channels


def row_refusal(layer: Layer, core: Core) -> str | None:
    """Say why a layer is not one row that the DSP extension can compute."""
    if not core.dsp:
        return "the core lacks the DSP extension"
    return no_plain_row(layer) or requantize_refusal(layer)


def no_plain_row(layer: Layer) -> str | None:
    """Say why a layer is not one row without padding above and below."""
    w = layer.params
    if layer.output.shape[1:2] != (1,) or len(layer.output.shape) != 4:
        return "not one row"
    if w.pad_top or w.pad_bottom or layer.inputs[0].shape[1] != w.kernel_h:
        return "not as high as the window"
    if (w.dilation_h, w.dilation_w) != (1, 1):
        return "dilation"
    if max(w.pad_left, w.pad_right) >= w.kernel_w:
        return "padding wider than the window"
    return None


def border_biases(layer: Layer, outside: Array) -> Array:
    """Biases with the padding's part, int64 `(channels,)`.

    Args:
        layer: a convolution.
        outside: its weights `(channels, anything)` that meet padding.
    """
    assert layer.inputs[0].qparams is not None
    padding = layer.inputs[0].qparams.zero_point * outside.astype(np.int64).sum(axis=1)
    return np.asarray(layer.prepared.bias.astype(np.int64) + padding, np.int64)


class DepthwiseRowDsp(Kernel):
    """A word of four channels per tap; every tap of a pixel is written out."""

    name: ClassVar[str] = "depthwise_row_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_row_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of a depthwise convolution with channels by fours."""
        channels, kernel_h, kernel_w, group_in = layer.inputs[1].shape
        if group_in != 1 or layer.params.groups != channels or channels % CHANNELS:
            return "not one input channel per output channel, by fours"
        reason = row_refusal(layer, core)
        if reason:
            return reason
        if kernel_h * kernel_w > MAX_TAPS:
            return f"more than {MAX_TAPS} taps"
        shape = RowShape.of(layer)
        if (kernel_h - 1) * shape.row_bytes + kernel_w * channels > MAX_OFFSET:
            return "rows further apart than a load reaches"
        return None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Biases of each border; the taps of four channels by column and row, multipliers."""
        shape, k = RowShape.of(layer), layer.prepared
        weights = layer.inputs[1].value[..., 0].astype(np.int64)
        biases = []
        for border in shape.borders:
            outside = np.ones(shape.kernel_w, bool)
            outside[border.first : border.last] = False
            biases.append(border_biases(layer, weights[:, :, outside].reshape(len(weights), -1)))
        by_column = np.swapaxes(weights, 1, 2).reshape(
            -1, CHANNELS, shape.kernel_h * shape.kernel_w
        )
        lanes = np.moveaxis(by_column & 0xFFFF, 1, 2)
        words = (lanes[..., :2] | lanes[..., 2:] << 16).reshape(len(lanes), -1)
        scales = [ends.reshape(-1, CHANNELS) & 0xFFFFFFFF for ends in end_words(k)]
        stream = np.concatenate([words, *scales], axis=1).astype(np.uint32)
        return [
            Constant("bias", "int32_t", np.stack(biases).astype(np.int32), True, "by border"),
            Constant(
                "stream", "uint32_t", stream, True, "by 4 channels: taps as lanes, multipliers"
            ),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The row and the function of each border."""
        shape, k = RowShape.of(layer), layer.prepared
        base = f"row_depthwise_{shape.kernel_h}x{shape.kernel_w}"
        size = f"{shape.width}x{shape.channels}"
        functions = [
            code_name(f"{base}_{border.first}_to_{border.last}_of_{size}", k)
            for border in shape.borders
        ]
        taps = shape.kernel_h * shape.kernel_w
        return {
            "s": shape,
            "k": k,
            "functions": list(zip(shape.borders, functions, strict=True)),
            "group_words": 2 * taps + CHANNELS * len(end_words(k)),
        }


class ConvRowDsp(Kernel):
    """A pixel x 4 channels at once, weights as raw words, codes expanded as they are loaded."""

    name: ClassVar[str] = "conv2d_row_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_row.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of a plain convolution with channels by fours."""
        out_channels, _, _, channels = layer.inputs[1].shape
        if layer.params.groups != 1 or channels % WORD or out_channels % CHANNELS:
            return "not channels by fours without groups"
        weights = layer.inputs[1].value
        return row_refusal(layer, core) or refusal(layer, weights.reshape(len(weights), -1))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        shape, k = RowShape.of(layer), layer.prepared
        weights = layer.inputs[1].value
        lanes = raw_lanes(weights.reshape(len(weights), -1)) & 0xFFFF
        words = (lanes[:, 0::2] | lanes[:, 1::2] << 16).reshape(
            -1, CHANNELS, weights[0].size // WORD
        )
        starts = []
        for border in shape.borders:
            inside = np.zeros(shape.kernel_w, bool)
            inside[border.first : border.last] = True
            outside = weights[:, :, ~inside].reshape(len(weights), -1)
            met = weights[:, :, inside].reshape(len(weights), -1)
            bias = raw_bias(border_biases(layer, outside), met)
            starts.append(bias.reshape(-1, CHANNELS))
        parts = [
            *starts,
            np.moveaxis(words, 1, 2).reshape(len(words), -1),
            *(ends.reshape(-1, CHANNELS) for ends in end_words(k)),
        ]
        stream = (np.concatenate(parts, axis=1) & 0xFFFFFFFF).astype(np.uint32)
        comment = "by 4 channels: biases by border, raw words (256 * even + odd), multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The row, and how each border goes through rows and stream."""
        shape, k = RowShape.of(layer), layer.prepared
        words, borders = shape.channels // WORD, shape.borders
        column_bytes = 16 * words
        paths = [
            Path(
                bias=16 * index,
                skip=16 * (len(borders) - index) + border.first * column_bytes,
                run=(border.last - border.first) * shape.channels,
                down=shape.row_bytes - (border.last - border.first) * shape.channels,
                over=(shape.kernel_w - border.last + border.first) * column_bytes,
                rows=shape.kernel_h,
                tail=(shape.kernel_w - border.last) * column_bytes,
            )
            for index, border in enumerate(borders)
        ]
        window_words = shape.kernel_h * shape.kernel_w * words
        per_block = CHANNELS * (len(borders) + window_words + len(end_words(k)))
        return {
            "s": shape,
            **_dot(words, k),
            "paths": list(zip(borders, paths, strict=True)),
            "stream_words": shape.out_channels // CHANNELS * per_block,
        }


class DenseRowDsp(Kernel):
    """The same for a dense layer, which is a single pixel."""

    name: ClassVar[str] = "dense_row_dsp"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/dsp_row.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of inputs; inputs and outputs by fours."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        out_channels, in_channels = layer.inputs[1].shape
        if in_channels % WORD or out_channels % CHANNELS:
            return "inputs or outputs not by fours"
        if layer.inputs[0].size != in_channels:
            return "several rows"
        return refusal(layer, layer.inputs[1].value)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value
        blocks = np.arange(len(weights)).reshape(-1, CHANNELS)
        stream = raw_stream(weights, layer.prepared, blocks)
        comment = "by 4 channels: biases, raw words (256 * even + odd), multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def schedule(self, layer: Layer) -> Schedule:
        """Four outputs at a time; the whole input is read before each four are written."""
        out_channels, in_channels = layer.inputs[1].shape
        number = np.arange(out_channels, dtype=np.int64)
        begins = number % CHANNELS == 0
        reads = Reads(np.where(begins, 0, NOTHING), np.where(begins, in_channels - 1, -1))
        return Schedule(number, {0: reads})

    def context(self, layer: Layer) -> dict[str, Any]:
        """How the pixel goes through the stream."""
        out_channels, in_channels = layer.inputs[1].shape
        words = in_channels // WORD
        return {
            **_dot(words, layer.prepared),
            "path": Path(0, 16, in_channels, 0, 0, 1, 0),
            "stream_words": out_channels * (words + beside_weights(layer.prepared)),
        }


@dataclass(frozen=True)
class Path:
    """How a window goes through the input and the stream; the fields are those of the C struct."""

    bias: int
    skip: int
    run: int
    down: int
    over: int
    rows: int
    tail: int


def _dot(words: int, k: Any) -> dict[str, Any]:
    """Name and unrolling of the function for runs of a multiple of `words` words."""
    unroll = max(n for n in (8, 4, 2, 1) if words % n == 0)
    return {"k": k, "name": code_name(f"row_dot_by_{unroll}", k), "unroll": unroll}
