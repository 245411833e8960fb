"""Convolution on cores with the DSP extension: blocks of pixels x 2 channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import arithmetic_suffix, beside_weights
from edgecomp.kernels.gemm_dsp import (
    Column,
    Gemm,
    block_pixels,
    block_schedule,
    channel_blocks,
    raw_stream,
    refusal,
)
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

MAX_OFFSET = 4095
"""Largest immediate offset of a load or store."""
MAX_IMMEDIATE = 4095
"""Largest number that an instruction can add."""


@dataclass(frozen=True)
class Expansion:
    """How columns are made from windows, as the templates need it.

    Attributes:
        column: the window of one output.
        pixels: outputs at once.
        pixel_stride: bytes from one window to the next.
    """

    column: Column
    pixels: int
    pixel_stride: int

    @property
    def name(self) -> str:
        """Of the C function that expands neighbouring windows."""
        c = self.column
        row = f"x{c.rows}_by_{c.row_stride}" if c.rows > 1 else ""
        return f"expand{self.pixels}_{c.row_bytes}{row}_step_{self.pixel_stride}"

    @property
    def single_name(self) -> str:
        """Of the C function that expands one window."""
        return f"expand1_{self.column.row_bytes}x{self.column.rows}_of_{self.pixels}"

    @property
    def words_at_once(self) -> int:
        """Words that the loop over a row takes at once."""
        return max(n for n in range(1, 5) if self.column.words % n == 0)

    @property
    def word_loops(self) -> int:
        """Turns of the loop over a row."""
        return self.column.words // self.words_at_once

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Registers of odd codes and of the codes themselves, by pixel."""
        return [(f"r{4 + i}", f"r{8 + i}") for i in range(self.pixels)]

    @property
    def tail_offsets(self) -> list[list[int]]:
        """Byte offsets of the words made of bytes left over."""
        stride = self.column.row_stride
        return [[row * stride + place for row, place in word] for word in self.column.left_over]

    @property
    def largest_offset(self) -> int:
        """Largest offset of a load."""
        places = [place for word in self.tail_offsets for place in word]
        return max(places, default=0) + (self.pixels - 1) * self.pixel_stride

    def tail_word(self, pointer: str, places: Sequence[int]) -> str:
        """C expression of a word made of bytes left over."""
        return _joined_bytes([f"{pointer}[{place}]" for place in places])

    def left_over_word(self, pointer: str, places: Sequence[tuple[int, int]]) -> str:
        """The same where the distance of the rows is the variable `stride`."""
        index = {0: "", 1: "stride + "}
        return _joined_bytes(
            [f"{pointer}[{index.get(row, f'{row} * stride + ')}{place}]" for row, place in places]
        )


def _joined_bytes(codes: Sequence[str]) -> str:
    """C expression of a word whose bytes are these codes."""
    terms = [
        f"(uint32_t)(uint8_t){code}" + (f" << {8 * i}" if i else "") for i, code in enumerate(codes)
    ]
    return " | ".join(terms)


@dataclass(frozen=True)
class Shape:
    """A convolution's window and sizes."""

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    out_channels: int

    @classmethod
    def of(cls, layer: Layer) -> "Shape":
        """Return the sizes of a layer."""
        return cls(
            layer.params, *as_nhwc(layer.inputs[0].shape)[1:], *as_nhwc(layer.output.shape)[1:]
        )

    @property
    def pixels(self) -> int:
        """Outputs of one channel."""
        return self.out_height * self.out_width

    @property
    def flat(self) -> bool:
        """Whether windows follow each other with one distance through the whole input."""
        return self.window.is_pointwise

    @property
    def backward(self) -> bool:
        """Whether 1x1 goes from the end on: a larger output may then begin where the input does."""
        return self.flat and self.out_channels > self.channels

    @cached_property
    def column(self) -> Column:
        """The window of one output."""
        row_bytes = self.window.kernel_w * self.channels
        if self.window.kernel_h > 1 and row_bytes == self.width * self.channels:
            return Column(1, self.window.kernel_h * row_bytes, 0)
        return Column(self.window.kernel_h, row_bytes, self.width * self.channels)

    @cached_property
    def gemm(self) -> Gemm:
        """The block of the product."""
        pixels, steps = block_pixels(self.pixels), self.column.steps
        return Gemm("", pixels, steps, self.out_channels)

    @cached_property
    def expansion(self) -> Expansion:
        """How columns are made."""
        return Expansion(self.column, self.gemm.pixels, self.window.stride_w * self.channels)

    def inside(self, size: int, out_size: int, kernel: int, stride: int, pad: int) -> range:
        """Outputs along an axis whose windows lie inside the input."""
        first = -(-pad // stride)
        last = min((size + pad - kernel) // stride, out_size - 1)
        return range(first, max(last + 1, first))

    @property
    def inside_rows(self) -> range:
        """Output rows without padding."""
        w = self.window
        return self.inside(self.height, self.out_height, w.kernel_h, w.stride_h, w.pad_top)

    @property
    def inside_columns(self) -> range:
        """Output columns without padding."""
        w = self.window
        return self.inside(self.width, self.out_width, w.kernel_w, w.stride_w, w.pad_left)

    def conditions(self, pixels: int) -> list[str]:
        """C conditions for `pixels` neighbouring windows inside the input; empty if there is none.

        The pixels must lie in one row, too.
        """
        rows, columns = self.inside_rows, self.inside_columns
        last = columns.stop - pixels
        if not rows or last < columns.start:
            return []
        found = []
        if rows.start > 0:
            found.append(f"row >= {rows.start}")
        if rows.stop < self.out_height:
            found.append(f"row <= {rows.stop - 1}")
        if columns.start > 0:
            found.append(f"column >= {columns.start}")
        if last < self.out_width - 1:
            found.append(f"column <= {last}")
        return found or ["column >= 0"]

    @property
    def first(self) -> str:
        """C expression of where the window of (row, column) begins."""
        w, pitch = self.window, self.width * self.channels
        step = w.stride_w * self.channels
        text = f"row * {w.stride_h * pitch} + column" + (f" * {step}" if step != 1 else "")
        before = w.pad_top * pitch + w.pad_left * self.channels
        return text + (f" - {before}" if before else "")


class Conv2dDsp(Kernel):
    """4 or 3 pixels x 2 channels at once, weights as raw words."""

    name: ClassVar[str] = "conv2d_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_gemm.c.j2"
    single_loads: ClassVar[bool] = False

    def _weights(self, layer: Layer) -> Array:
        """Weights in the order of the columns, `(channels, inputs)`."""
        weights = layer.inputs[1].value
        return Shape.of(layer).column.ordered(weights.reshape(len(weights), -1))

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at least 3 pixels and 2 channels."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := no_plain_window(layer):
            return reason
        shape = Shape.of(layer)
        if shape.pixels < 3 or shape.out_channels < 2:
            return "fewer than 3 pixels or 2 channels"
        if shape.gemm.stores[-1][1] > MAX_OFFSET or shape.expansion.largest_offset > MAX_OFFSET:
            return "pixels further apart than a load reaches"
        return refusal(layer, self._weights(layer))

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block, and a window at the border."""
        shape = Shape.of(layer)
        border = shape.column.rows * shape.column.row_bytes if layer.params.has_padding else 0
        return shape.gemm.column_bytes + border

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of pixels in order; each reads its windows before it writes."""
        shape = Shape.of(layer)
        windows = window_reads(layer, [0], [shape.channels - 1])
        pixels = shape.gemm.pixels
        return block_schedule(windows, pixels, shape.out_channels, backward=shape.backward)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = self._weights(layer)
        stream = raw_stream(weights, layer.prepared, channel_blocks(len(weights), 2))
        comment = "by 2 channels: biases, raw words (256 * even + odd) twice, multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block, the expansion and where windows lie inside the input."""
        shape = Shape.of(layer)
        k = layer.prepared
        base = shape.gemm
        name = f"gemm{base.pixels}x2_{base.steps}_by_{base.stride}"
        name += "_singly" if self.single_loads else ""
        gemm = Gemm(code_name(name, k), base.pixels, base.steps, base.stride, self.single_loads)
        per_pair = 2 * (gemm.steps + beside_weights(k))
        return {
            **window_context(layer),
            "g": gemm,
            "e": shape.expansion,
            "flat": shape.flat,
            "backward": shape.backward,
            "pixels": shape.pixels,
            "inner": shape.flat or shape.conditions(gemm.pixels),
            "single": shape.conditions(1),
            "first": shape.first,
            "pairs_end": shape.out_channels // 2 * per_pair,
            "stream_words": (shape.out_channels + 1) // 2 * per_pair,
        }


class Conv2dDspSpeed(Conv2dDsp):
    """The same with loads of one word, which pipeline, where several follow each other."""

    name: ClassVar[str] = "conv2d_dsp_speed"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})
    single_loads: ClassVar[bool] = True


def code_name(name: str, k: Any) -> str:
    """Add what the end of a block depends on to its name."""
    return _with_numbers(name, k, k.zero_point, *_narrow_range(k))


def range_name(name: str, k: Any) -> str:
    """The same for blocks that are told the zero point."""
    return _with_numbers(name, k, *_narrow_range(k))


def _with_numbers(name: str, k: Any, *numbers: int) -> str:
    return "_".join([name + arithmetic_suffix(k), *(str(n).replace("-", "m") for n in numbers)])


def _narrow_range(k: Any) -> tuple[int, ...]:
    return (k.low, k.high) if (k.low, k.high) != (-128, 127) else ()
