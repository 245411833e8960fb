"""Windows of a convolution as runs of bytes, as the products with Helium (MVE) read them.

Windows that are runs of the input are read where they lie.  All others are copied, those of some
neighbouring outputs at a time: as *columns*, each the codes of the window's rows in one column of
the input, so that neighbouring windows share what they have in common; or, where the channels do
not fill vectors, as *windows* one by one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_mve import LANES, rounded_up
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc

COLUMN_BYTES = 1280
"""Bytes of copied columns; the fewer lie together, the more are copied twice."""
WINDOW_BYTES = 512, 1024
"""Bytes of windows copied one by one, if they are ..."""
WINDOW_SHARE = 16
"""... this part of input and output: more would save only calls."""


@dataclass(frozen=True)
class Windows:
    """A convolution's window and sizes, turned so that outputs are neighbours along the width."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    out_channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    is_lean: bool = False

    @classmethod
    def of(cls, layer: Layer) -> "Windows":
        """Read them from a layer.

        Where a window takes the whole width, a row is one pixel of more channels; where a row is
        one pixel, it is height that counts.
        """
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_h, out_w, out_channels = as_nhwc(layer.output.shape)
        w = layer.params
        if (out_w, w.kernel_w, w.pad_left, w.pad_right) == (1, width, 0, 0):
            return cls(
                1, height, width * channels, 1, out_h, out_channels,
                1, w.kernel_h, 1, w.stride_h, 0, w.pad_top,
            )  # fmt: skip
        return cls(
            height, width, channels, out_h, out_w, out_channels,
            w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.pad_top, w.pad_left,
        )  # fmt: skip

    @property
    def inputs(self) -> int:
        """Codes of a window."""
        return self.kernel_h * self.kernel_w * self.channels

    @property
    def run(self) -> int:
        """Neighbouring codes of a window."""
        return self.kernel_w * self.channels

    @property
    def column_bytes(self) -> int:
        """Codes of a window in one column."""
        return self.kernel_h * self.channels

    @property
    def row_bytes(self) -> int:
        """Codes of a row of the input."""
        return self.width * self.channels

    @staticmethod
    def _inside(size: int, outputs: int, kernel: int, stride: int, pad: int) -> range:
        """Outputs along an axis whose windows lie inside the input."""
        first = min(-(-pad // stride), outputs)
        return range(first, max(first, min((size + pad - kernel) // stride + 1, outputs)))

    @cached_property
    def inside_columns(self) -> range:
        """Outputs of a row whose windows have no column in the padding."""
        return self._inside(self.width, self.out_width, self.kernel_w, self.stride_w, self.pad_left)

    @cached_property
    def inside_rows(self) -> range:
        """Rows of outputs whose windows have no row in the padding."""
        return self._inside(
            self.height, self.out_height, self.kernel_h, self.stride_h, self.pad_top
        )

    @property
    def direct(self) -> bool:
        """Whether the windows are runs of the input."""
        return (
            self.kernel_h == 1
            and len(self.inside_columns) == self.out_width
            and len(self.inside_rows) == self.out_height
        )

    @property
    def by_columns(self) -> bool:
        """Whether columns are copied: their codes fill vectors or are one run, and rows pair up.

        With windows one by one the last pixel of an odd row pairs with the next row's first one.
        """
        odd = self.out_width % 2 == 1 and self.out_width < self.out_channels
        fitting = self.kernel_h == 1 or self.channels % LANES == 0
        return not self.direct and fitting and (self.out_height == 1 or not odd)

    @property
    def pixel_stride(self) -> int:
        """Bytes from a window to that of the next output; 0 if each is alone."""
        if self.at_once == 1:
            return 0
        return self.distance

    @property
    def aligned(self) -> bool:
        """Whether windows begin at multiples of four."""
        return self.channels % 4 == 0 or not (self.direct or self.by_columns)

    @property
    def distance(self) -> int:
        """Bytes from a window to that of the next output of a line."""
        if self.direct:
            return self.stride_w * self.channels
        if self.by_columns:
            return self.stride_w * self.column_bytes
        return rounded_up(self.inputs, LANES)

    @property
    def pad_right(self) -> int:
        """Columns of a row's last window beyond the input."""
        end = (self.out_width - 1) * self.stride_w + self.kernel_w - self.pad_left
        return max(end - self.width, 0)

    @property
    def line(self) -> int:
        """Outputs in a line, whose windows are at one distance or copied to be so."""
        pixels = self.out_height * self.out_width
        if self.direct:
            whole = self.stride_h * self.row_bytes == self.out_width * self.distance
            return pixels if whole or self.out_height == 1 else self.out_width
        return self.out_width if self.by_columns else pixels

    @cached_property
    def at_once(self) -> int:
        """Outputs of a line whose windows lie in memory together.

        A single one left over at the end of a line would be computed twice: there is none.
        """
        if self.direct or self.line == 1:
            return self.line
        ends = self.height * self.row_bytes + self.out_height * self.out_width * self.out_channels
        least, largest = WINDOW_BYTES
        share = max(least, min(ends // WINDOW_SHARE, largest))
        limit = COLUMN_BYTES if self.by_columns else share
        most = (limit - self.window_bytes) // self.distance + 1
        possible = [n for n in range(2, self.line + 1) if self.line % n != 1]
        sizes = [n for n in possible if n <= most and not self.is_lean] or possible[:1]
        return min(sizes, key=lambda n: (n % 2 * self.line, -(-self.line // n), n))

    @property
    def window_bytes(self) -> int:
        """Bytes of one copied window."""
        return rounded_up(self.inputs, LANES)

    @property
    def scratch_bytes(self) -> int:
        """Copied windows, and what copying a last window as whole vectors writes beyond them."""
        if self.direct:
            return 0
        beyond = 0 if self.by_columns else LANES
        return (self.at_once - 1) * self.distance + self.window_bytes + beyond

    @property
    def columns_at_once(self) -> int:
        """Columns of the windows that lie in memory together."""
        return (self.at_once - 1) * self.stride_w + self.kernel_w

    @property
    def whole_rows(self) -> range:
        """Rows of outputs all of whose windows may be copied as whole vectors.

        These read what lies beside the windows: columns outside the input, which are mended, and
        what fills the last vector up.
        """
        rows = self.inside_rows
        last = (self.out_width - 1) * self.stride_w - self.pad_left
        while len(rows):
            row = rows[-1] * self.stride_h - self.pad_top + self.kernel_h - 1
            begin = row * self.row_bytes + last * self.channels
            if begin + rounded_up(self.run, LANES) <= self.height * self.row_bytes:
                break
            rows = rows[:-1]
        while len(rows) and (rows[0] * self.stride_h - self.pad_top) * self.width < self.pad_left:
            rows = rows[1:]
        return rows

    @property
    def outside(self) -> list[tuple[int, int, int]]:
        """Columns of outputs whose windows have columns outside: output, first one, how many."""
        found = []
        for column in range(self.out_width):
            first = column * self.stride_w - self.pad_left
            if first < 0:
                found.append((column, 0, min(-first, self.kernel_w)))
            if first + self.kernel_w > self.width:
                inside = max(self.width - first, 0)
                found.append((column, inside, self.kernel_w - inside))
        return found

    @property
    def whole_conditions(self) -> list[str]:
        """C conditions of the rows whose windows may be copied as whole vectors."""
        rows = self.whole_rows
        found = {
            f"row >= {rows.start}": rows.start > 0,
            f"row < {rows.stop}": rows.stop < self.out_height,
        }
        return [condition for condition, needed in found.items() if needed]

    def matrix(self, weights: Array) -> Array:
        """Weights in the order of a window's codes.

        Args:
            weights: int8 `(out_channels, kernel_h, kernel_w, channels)` of the layer.

        Returns:
            int8 `(out_channels, inputs)`.
        """
        if self.by_columns:
            shape = self.out_channels, self.kernel_h, self.kernel_w, self.channels
            weights = np.ascontiguousarray(weights.reshape(shape).swapaxes(1, 2))
        return weights.reshape(self.out_channels, -1)

    def groups(self) -> list[range]:
        """Outputs, numbered row by row, whose windows lie in memory together."""
        return [
            range(line + first, line + min(first + self.at_once, self.line))
            for line in range(0, self.out_height * self.out_width, self.line)
            for first in range(0, self.line, self.at_once)
        ]


def copied_schedule(windows: Reads, out_channels: int, groups: list[range]) -> Schedule:
    """Return the events where all windows of a group are read before its first output is written.

    Args:
        windows: what each output reads.
        out_channels: codes of an output.
        groups: outputs, in order.
    """
    count = len(windows.low) * out_channels
    low = np.full(count, NOTHING)
    high = np.full(count, -1, np.int64)
    for group in groups:
        low[group.start * out_channels] = windows.low[group.start : group.stop].min()
        high[group.start * out_channels] = windows.high[group.start : group.stop].max()
    return Schedule(np.arange(count, dtype=np.int64), {0: Reads(low, high)})
