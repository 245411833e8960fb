"""Depthwise 3x3 convolution with code that layers share, on cores with the DSP extension.

The planes of `depthwise_dsp` with a fixed number of rows, which lie together: the distances in the
code are then the same for every layer, and sizes are read from a few half words in flash.  With
stride 1 the planes keep the rows that the next strip needs, so that each input is read once and the
output may lie over the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.conv2d_shared_dsp import SHARED_GOALS
from edgecomp.kernels.depthwise_dsp import PLANES, depthwise_refusal, depthwise_stream
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import beside_weights
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.kernels.shared_dsp import LARGEST, initializer, range_suffix
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

ROWS = {1: (10, 6), 2: (6,)}
"""Rows of a plane by stride: the first number whose planes fit `PLANES_BYTES`, or else the last."""
PLANES_BYTES = 4608
"""Scratch with stride 1, where the output lies over the input."""
TILE, NARROW_TILE = 12, 6
"""Outputs of a row at once with stride 2, where the large input leaves little room for scratch."""


@dataclass(frozen=True)
class SharedPlanes:
    """What the shared functions depend on, and their names.

    Attributes:
        stride: 1 or 2.
        rows: of a plane.
        groups: of four columns.
        tile: outputs of a row at once.
        suffix: what the names owe to the fused activation.
    """

    stride: int
    rows: int
    groups: int
    tile: int
    suffix: str

    @classmethod
    def of(cls, layer: Layer, most: int = TILE) -> "SharedPlanes":
        """Choose the planes of a layer, with stride 2 for at most `most` outputs of a row."""
        stride = layer.params.stride_w
        out_width = as_nhwc(layer.output.shape)[2]
        suffix = range_suffix(layer.prepared)
        if stride == 2:
            tile = -(-out_width // -(-out_width // most))
            return cls(stride, ROWS[2][0], -(-(2 * tile + 1) // 4), tile, suffix)
        columns = out_width + out_width % 2 + 2
        groups = -(-columns // 4)
        rows = next((r for r in ROWS[1] if PLANES * 8 * groups * r <= PLANES_BYTES), ROWS[1][-1])
        return cls(stride, rows, groups, out_width, suffix)

    @property
    def out_rows(self) -> int:
        """Rows of the output that full planes give."""
        return (self.rows - 3) // self.stride + 1

    @property
    def plane_name(self) -> str:
        """Of the product's function."""
        return f"plane{self.stride}_{self.rows}{self.suffix}"

    @property
    def driver_name(self) -> str:
        """Of the function that the layers call."""
        return f"depthwise{self.stride}_{self.rows}{self.suffix}"

    @property
    def scratch_bytes(self) -> int:
        """Four planes of words for two columns each."""
        return PLANES * self.groups * 2 * self.rows * 4


class DepthwiseDspShared(Kernel):
    """3x3, stride 1 or 2: one channel's plane at a time, 2x2 or 2 outputs at once."""

    name: ClassVar[str] = "depthwise_dsp_shared"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_shared_depthwise.c.j2"
    goals: ClassVar[frozenset[Goal]] = SHARED_GOALS
    tile: ClassVar[int] = TILE

    def _planes(self, layer: Layer) -> SharedPlanes:
        return SharedPlanes.of(layer, self.tile)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 of at least 4 channels, without multiplier, no tiny planes."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := depthwise_refusal(layer):
            return reason
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, _, _ = as_nhwc(layer.output.shape)
        if layer.params.stride_w == 1 and out_height < 2:
            return "a single row"
        if layer.params.pad_left > 1 or width < PLANES - 1:
            return "padding of two columns, or a narrow input"
        if max(height, width, channels) > LARGEST:
            return "sizes that a half word does not hold"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """The planes."""
        return self._planes(layer).scratch_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """With stride 1 each input is read once, before the output at its place is written."""
        same = layer.inputs[0].shape == layer.output.shape
        return (0,) if same and layer.params.stride_w == 1 else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Stride 1: four channels after each other; stride 2: strips, tiles, four channels."""
        _, out_height, out_width, channels = as_nhwc(layer.output.shape)
        if layer.params.stride_w == 1:
            windows = window_reads(layer, [0], [channels - 1])
            return _by_channels(channels, windows, bool(self.in_place_inputs(layer)))
        planes = self._planes(layer)
        _, height, width, _ = as_nhwc(layer.inputs[0].shape)
        groups = np.minimum(np.arange(0, channels, PLANES), channels - PLANES)
        tiles = np.minimum(np.arange(0, out_width, planes.tile), out_width - planes.tile)
        writes, lows, highs = [], [], []
        for row in range(0, out_height, planes.out_rows):
            rows = np.arange(row, min(row + planes.out_rows, out_height))
            top = max(2 * row - layer.params.pad_top, 0)
            bottom = min(2 * int(rows[-1]) - layer.params.pad_top + 2, height - 1)
            for tile in tiles:
                pixels = rows[:, None] * out_width + tile + np.arange(planes.tile)
                for group in groups:
                    block = pixels[..., None] * channels + group + np.arange(PLANES)
                    low = np.full(block.size, NOTHING)
                    high = np.full(block.size, -1, np.int64)
                    low[0] = top * width * channels + group
                    high[0] = ((bottom + 1) * width - 1) * channels + group + PLANES - 1
                    writes.append(block.reshape(-1))
                    lows.append(low)
                    highs.append(high)
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes).astype(np.int64), {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per channel three words of weights, bias, multiplier."""
        return [depthwise_stream(layer)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The planes and the layer's sizes."""
        shapes, planes = window_context(layer), self._planes(layer)
        window = shapes["window"]
        sizes = {
            **{name: shapes[name] for name in ("height", "width", "channels")},
            **{name: shapes[name] for name in ("out_height", "out_width")},
            "tile": planes.tile,
            "groups": planes.groups,
            "pad_top": window.pad_top,
            "pad_left": window.pad_left,
            "outside": shapes["input_zero_point"],
            "zero_point": layer.prepared.zero_point,
        }
        return {
            "s": planes,
            "k": layer.prepared,
            "channel_words": 3 + beside_weights(layer.prepared),
            "sizes": initializer(sizes),
        }


class DepthwiseDspNarrow(DepthwiseDspShared):
    """The same with smaller planes, for the layer that decides the size of the arena."""

    name: ClassVar[str] = "depthwise_dsp_narrow"
    goals: ClassVar[frozenset[Goal]] = frozenset()
    tile: ClassVar[int] = NARROW_TILE

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What `DepthwiseDspShared` asks, with stride 2 and rows that it would not cut as small."""
        if layer.params.stride_w != 2 or layer.output.shape[-2] <= NARROW_TILE:
            return "no rows of stride 2 to cut"
        return super().applies(layer, core)


def _by_channels(channels: int, windows: Reads, in_place: bool) -> Schedule:
    """Events of a layer that is computed channel group by channel group.

    In place each pixel is read as late as could be, just before its own output; the C reads
    earlier.
    """
    pixels = np.arange(len(windows.low), dtype=np.int64)
    writes, lows, highs = [], [], []
    for start in range(0, channels, PLANES):
        group = np.arange(start, min(start + PLANES, channels), dtype=np.int64)
        own = (pixels[:, None] * channels + group).reshape(-1)
        writes.append(own)
        if in_place:
            lows.append(own)
            highs.append(own)
        else:
            empty = np.repeat(windows.high < 0, len(group))
            first = max(min(start, channels - PLANES), 0)
            low = np.repeat(np.where(windows.high < 0, 0, windows.low), len(group)) + first
            high = np.repeat(windows.high - channels + 1, len(group)) + first + PLANES - 1
            lows.append(np.where(empty, NOTHING, low))
            highs.append(np.where(empty, -1, high))
    return Schedule(np.concatenate(writes), {0: Reads(np.concatenate(lows), np.concatenate(highs))})
