"""Convolutions without any scratch on cores without the DSP extension: windows are read in place.

A window is some runs of neighbouring codes, one per row.  At the borders of the input it loses rows
and columns: such outputs take fewer products and begin with a bias that has the padding's part.
Outputs that lose the same share a *path*: numbers that lead through the input and the stream of
weights.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.schedule import NOTHING, Schedule
from edgecomp.kernels.schedule import Reads as ReadEvents
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core


@dataclass(frozen=True)
class Extent:
    """Neighbouring outputs along an axis whose windows lie inside the input alike.

    Attributes:
        first: first place of the window inside the input.
        last: place behind the last one inside.
        start: first output.
        count: outputs.
    """

    first: int
    last: int
    start: int
    count: int

    @property
    def size(self) -> int:
        """Places of the window inside the input."""
        return max(self.last - self.first, 0)


def extents(size: int, outputs: int, kernel: int, stride: int, pad: int) -> list[Extent]:
    """Outputs along an axis, parted by what their windows lose, in order.

    >>> [(e.first, e.last, e.start, e.count) for e in extents(5, 5, 3, 1, 1)]
    [(1, 3, 0, 1), (0, 3, 1, 3), (0, 2, 4, 1)]
    """
    found: list[Extent] = []
    for output in range(outputs):
        begin = output * stride - pad
        first, last = max(-begin, 0), min(size - begin, kernel)
        if found and (found[-1].first, found[-1].last) == (first, last):
            old = found[-1]
            found[-1] = Extent(first, last, old.start, old.count + 1)
        else:
            found.append(Extent(first, last, output, 1))
    return found


@dataclass(frozen=True)
class Path:
    """How a window goes through the input and a block of the stream; all but `rows` in bytes.

    Attributes:
        start: from the begin of a block to the path's starts.
        skip: from there to the first weights.
        run: neighbouring codes of a row.
        down: from behind them to the next row.
        over: weights between rows that are not used.
        rows: rows of the window inside the input.
        tail: from behind the last weights to the multipliers.
    """

    start: int
    skip: int
    run: int
    down: int
    over: int
    rows: int
    tail: int


@dataclass(frozen=True)
class Place:
    """Outputs of one path: rows by columns."""

    rows: Extent
    columns: Extent
    path: Path
    number: int


@dataclass(frozen=True)
class Lean:
    """A convolution, as the templates need it.

    Attributes:
        layer: what is computed.
        start_bytes: of a path's starts in a block.
        tap_bytes: weights of one input in a block.
    """

    layer: Layer
    start_bytes: int
    tap_bytes: int

    @cached_property
    def _sizes(self) -> tuple[int, int, int, int, int, int]:
        _, height, width, channels = as_nhwc(self.layer.inputs[0].shape)
        _, out_height, out_width, out_channels = as_nhwc(self.layer.output.shape)
        return height, width, channels, out_height, out_width, out_channels

    @property
    def channels(self) -> int:
        """Of the input."""
        return self._sizes[2]

    @property
    def out_channels(self) -> int:
        """Of the output."""
        return self._sizes[5]

    @property
    def out_width(self) -> int:
        """Outputs of a row."""
        return self._sizes[4]

    @property
    def row_bytes(self) -> int:
        """Codes of a row of the input."""
        return self._sizes[1] * self.channels

    @property
    def taps(self) -> int:
        """Inputs of a whole window."""
        return int(self.layer.inputs[1].value[0].size)

    @cached_property
    def places(self) -> list[Place]:
        """Outputs by what their windows lose, row by row."""
        w = self.layer.params
        height, width, channels, out_height, out_width, _ = self._sizes
        rows = extents(height, out_height, w.kernel_h, w.stride_h, w.pad_top)
        columns = extents(width, out_width, w.kernel_w, w.stride_w, w.pad_left)
        count = len(rows) * len(columns)
        found: list[Place] = []
        for row in rows:
            for column in columns:
                number = len(found)
                run = column.size * channels
                unused = (w.kernel_w - column.size) * channels * self.tap_bytes
                before = (row.first * w.kernel_w + column.first) * channels * self.tap_bytes
                used = (row.size * w.kernel_w - (w.kernel_w - column.size)) * channels
                path = Path(
                    start=number * self.start_bytes,
                    skip=(count - number) * self.start_bytes + before,
                    run=run,
                    down=self.row_bytes - run,
                    over=unused,
                    rows=row.size,
                    tail=self.taps * self.tap_bytes - before - used * self.tap_bytes,
                )
                found.append(Place(row, column, path, number))
        return found

    def unroll(self, most: int) -> int:
        """Inputs that the loop over a run takes at once, at most `most`."""
        runs = [place.path.run for place in self.places]
        return max(n for n in range(1, most + 1) if all(run % n == 0 for run in runs))

    @property
    def by_rows(self) -> list[list[Place]]:
        """Places in groups of equal rows."""
        groups: dict[Extent, list[Place]] = {}
        for place in self.places:
            groups.setdefault(place.rows, []).append(place)
        return list(groups.values())

    def window(self, place: Place) -> str:
        """C expression of where a window begins inside the input, from `row` and `column`."""
        w = self.layer.params
        down, step = w.stride_h * self.row_bytes, w.stride_w * self.channels
        shift = (place.rows.first - w.pad_top) * self.row_bytes
        shift += (place.columns.first - w.pad_left) * self.channels
        text = "input"
        for name, extent, factor in (("row", place.rows, down), ("column", place.columns, step)):
            if extent.count == 1:
                shift += extent.start * factor
            else:
                text += f" + {name} * {factor}"
        return text + (f" {'-' if shift < 0 else '+'} {abs(shift)}" if shift else "")

    def output(self, place: Place) -> str:
        """C expression of where its outputs lie."""
        text, shift = "output", 0
        row_bytes = self.out_width * self.out_channels
        for name, extent, factor in (
            ("row", place.rows, row_bytes),
            ("column", place.columns, self.out_channels),
        ):
            if extent.count == 1:
                shift += extent.start * factor
            else:
                text += f" + {name} * {factor}"
        return text + (f" + {shift}" if shift else "")

    def biases(self) -> list[IntArray]:
        """The bias of each path, padding included, `(channels,)`."""
        zero_point = self.layer.inputs[0].qparams
        assert zero_point is not None
        weights = self.layer.inputs[1].value.astype(np.int64)
        found = []
        for place in self.places:
            outside = np.ones(weights.shape[1:3], bool)
            outside[
                place.rows.first : place.rows.last, place.columns.first : place.columns.last
            ] = 0
            lost = weights[:, outside].reshape(len(weights), -1).sum(axis=1)
            bias = self.layer.prepared.bias.astype(np.int64) + zero_point.zero_point * lost
            found.append(np.asarray(bias, np.int64))
        return found


class LeanConv(Kernel):
    """What kernels without scratch share; blocks of `CHANNELS` output channels."""

    op: ClassVar[str] = "conv2d"
    is_lean: ClassVar[bool] = True
    channels_at_once: ClassVar[int]
    pixels_at_once: ClassVar[int]
    start_bytes: ClassVar[int]
    tap_bytes: ClassVar[int]

    def shape_refusal(self, layer: Layer, core: Core) -> str | None:
        """Say why a layer is no plain convolution of whole blocks; None if it is one."""
        window = layer.params
        if window.groups != 1 or window.dilation_h != 1 or window.dilation_w != 1:
            return "groups or dilation"
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        if layer.output.shape[-1] % self.channels_at_once:
            return f"channels not by {self.channels_at_once}"
        if any(not p.path.run or not p.path.rows for p in self.lean(layer).places):
            return "windows outside the input"
        return None

    def lean(self, layer: Layer) -> Lean:
        """The layer's paths."""
        return Lean(layer, self.start_bytes, self.tap_bytes)

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row; a window is read before each block of channels is written."""
        lean = self.lean(layer)
        windows = window_reads(layer, [0], [lean.channels - 1])
        columns = [
            range(first, min(first + self.pixels_at_once, extent.start + extent.count))
            for extent in dict.fromkeys(place.columns for place in lean.places)
            for first in range(extent.start, extent.start + extent.count, self.pixels_at_once)
        ]
        channel = np.arange(lean.out_channels, dtype=np.int64).reshape(-1, self.channels_at_once)
        writes, lows, highs = [], [], []
        for row in range(len(windows.low) // lean.out_width):
            for group in columns:
                pixels = row * lean.out_width + np.array(group, np.int64)
                elements = pixels[None, :, None] * lean.out_channels + channel[:, None, :]
                low = np.full(elements.shape, NOTHING)
                high = np.full(elements.shape, -1, np.int64)
                low[:, 0, 0] = windows.low[pixels].min()
                high[:, 0, 0] = windows.high[pixels].max()
                writes.append(elements.reshape(-1))
                lows.append(low.reshape(-1))
                highs.append(high.reshape(-1))
        reads = ReadEvents(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: reads})

    @abstractmethod
    def stream(self, layer: Layer) -> Any:
        """Uint32, in the order of use."""

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        comment = f"by {self.channels_at_once} channels: starts by border, weights, multipliers"
        return [Constant("stream", "uint32_t", self.stream(layer), True, comment)]
