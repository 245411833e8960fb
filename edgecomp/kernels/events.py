"""Schedules of the generic loop nests."""

from collections.abc import Sequence

import numpy as np

from edgecomp.ir import Shape
from edgecomp.kernels.base import Layer
from edgecomp.kernels.schedule import NOTHING, IndexArray, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window


def in_order(*reads: Reads | None) -> Schedule:
    """Events that write the output's elements in order; None for an input that is a constant."""
    present = {index: read for index, read in enumerate(reads) if read is not None}
    count = len(next(iter(present.values())).low)
    return Schedule(np.arange(count, dtype=np.int64), present)


def elements(index: IndexArray) -> Reads:
    """Each event reads one element."""
    flat = np.ascontiguousarray(index, dtype=np.int64).reshape(-1)
    return Reads(flat, flat)


def broadcast_elements(shape: Shape, output: Shape) -> Reads:
    """Each event reads the operand's element that broadcasting gives it."""
    numbers = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    return elements(np.broadcast_to(numbers, output))


def _pixels(window: Window, height: int, width: int) -> tuple[IndexArray, IndexArray]:
    """First and last input pixel inside each window, `(out_height, out_width)`."""
    out_h, out_w = window.output_hw(height, width)

    def ends(count: int, stride: int, pad: int, taps: int, dilation: int, size: int) -> IndexArray:
        first = np.arange(count)[:, None] * stride - pad
        positions = first + np.arange(taps) * dilation
        inside = (positions >= 0) & (positions < size)
        low = np.where(inside, positions, size).min(axis=1)
        high = np.where(inside, positions, -1).max(axis=1)
        return np.stack([low, high]).astype(np.int64)

    rows = ends(out_h, window.stride_h, window.pad_top, window.kernel_h, window.dilation_h, height)
    columns = ends(
        out_w, window.stride_w, window.pad_left, window.kernel_w, window.dilation_w, width
    )
    low = rows[0][:, None] * width + columns[0]
    high = rows[1][:, None] * width + columns[1]
    # A window that lies wholly in the padding reads nothing.
    empty = (rows[1] < 0)[:, None] | (columns[1] < 0)
    return np.where(empty, NOTHING, low), np.where(empty, -1, high)


def window_reads(layer: Layer, first: Sequence[int], last: Sequence[int]) -> Reads:
    """Events of a spatial loop nest: row, column, output channel.

    Args:
        layer: a convolution or pool.
        first: for each output channel the first input channel that it reads.
        last: for each output channel the last one.
    """
    _, height, width, channels = as_nhwc(layer.inputs[0].shape)
    low, high = _pixels(layer.params, height, width)
    empty = (high < 0)[:, :, None]
    begin = np.where(empty, 0, low[:, :, None]) * channels + np.asarray(first, np.int64)
    end = high[:, :, None] * channels + np.asarray(last, np.int64)
    return Reads(np.where(empty, NOTHING, begin).reshape(-1), np.where(empty, -1, end).reshape(-1))


def two_rows_at_a_time(layer: Layer) -> Schedule:
    """Two output rows at a time; their windows are read before any of them is written."""
    _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
    windows = window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])
    row = out_width * out_channels
    starts = np.array([min(r, out_height - 2) for r in range(0, out_height, 2)], np.int64)
    members = starts[:, None] * out_width + np.arange(2 * out_width)
    low = np.full((len(starts), 2 * row), NOTHING)
    high = np.full((len(starts), 2 * row), -1, np.int64)
    low[:, 0] = windows.low[members].min(axis=1)
    high[:, 0] = windows.high[members].max(axis=1)
    writes = starts[:, None] * row + np.arange(2 * row)
    return Schedule(writes.reshape(-1), {0: Reads(low.reshape(-1), high.reshape(-1))})


def blocks_at_a_time(layer: Layer, rows: int, columns: int) -> Schedule:
    """Blocks of `rows` x `columns` outputs of a convolution, in all channels.

    All that a block reads is read before it writes.  Where the last blocks would reach beyond the
    output they begin earlier, and what they share with those before is computed again.
    """
    _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
    windows = window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])
    writes, lows, highs = [], [], []
    for row in range(0, out_height, rows):
        top = min(row, out_height - rows)
        for column in range(0, out_width, columns):
            left = min(column, out_width - columns)
            pixels = (np.arange(top, top + rows)[:, None] * out_width + left) + np.arange(columns)
            members = pixels.reshape(-1)
            block = members[:, None] * out_channels + np.arange(out_channels)
            low = np.full(block.size, NOTHING)
            high = np.full(block.size, -1, np.int64)
            low[0] = windows.low[members].min()
            high[0] = windows.high[members].max()
            writes.append(block.reshape(-1))
            lows.append(low)
            highs.append(high)
    reads = Reads(np.concatenate(lows), np.concatenate(highs))
    return Schedule(np.concatenate(writes).astype(np.int64), {0: reads})
