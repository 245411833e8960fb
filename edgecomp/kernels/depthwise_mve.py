"""Depthwise 3x3 convolution on cores with Helium (MVE): dot products of patches.

Rows of the input are transposed, 16 channels at a time, into *blocks*: for each channel the 4 bytes
of 4 neighbouring columns; the next block begins 2 columns further.  One gather of words, one from
each of 4 rows, then is a patch of 4x4 codes of a channel: the inputs of 2x2 outputs with stride 1,
of one output with stride 2.  Each output is one VMLADAV with the weights at its place in the patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.gemm_mve import (
    LANES,
    MAX_HALFWORD,
    code_name,
    doubling_multipliers,
    refusal,
)
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.linear import LinearConstants
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core

STEP = 2
"""Columns from one block to the next, and rows from one band to the next."""
PATCH = 4
"""Columns of a block."""
MAX_TURNS = 3
"""Turns of a row that are written out instead of looped."""


@dataclass(frozen=True)
class Patches:
    """Sizes of a layer, as its templates need them."""

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    k: LinearConstants

    @classmethod
    def of(cls, layer: Layer) -> "Patches":
        """Read them from a layer."""
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        sizes = height, width, channels, out_height, out_width
        return cls(layer.params, *sizes, layer.prepared)

    @property
    def stride(self) -> int:
        """Of the convolution."""
        return self.window.stride_w

    @property
    def name(self) -> str:
        """Of the C function; functions of one name are equal."""
        shape = f"{self.out_width}x{self.channels}"
        return code_name(f"mve_patches{self.stride}_{shape}", self.k)

    @property
    def rows(self) -> int:
        """Rows of the input that a band reads."""
        return 4 if self.stride == 1 else 3

    @property
    def out_rows(self) -> int:
        """Rows of the output that a band writes."""
        return STEP // self.stride

    @property
    def bands(self) -> int:
        """Bands of the output, the last of which may have one row only."""
        return -(-self.out_height // self.out_rows)

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return -(-self.out_width * self.stride // STEP)

    @property
    def block_bytes(self) -> int:
        """Bytes from one block to the next."""
        return PATCH * min(self.channels, LANES)

    @property
    def row_bytes(self) -> int:
        """Bytes of a transposed row."""
        return self.blocks * self.block_bytes

    @property
    def in_place(self) -> bool:
        """Whether 16 channels of all rows are computed before the next ones.

        Each row then is read once, before outputs are written over it.
        """
        same = (self.height, self.width) == (self.out_height, self.out_width)
        return self.stride == 1 and same

    @property
    def half_bytes(self) -> int:
        """Two transposed rows, and what storing a last block as a whole writes beyond them."""
        return 2 * self.row_bytes + PATCH * LANES - self.block_bytes

    @property
    def scratch_bytes(self) -> int:
        """Transposed rows."""
        if self.in_place:
            return 2 * self.half_bytes
        return self.half_bytes + (self.rows - 2) * self.row_bytes

    @property
    def turns(self) -> int:
        """Turns of the loop over a row that store four outputs."""
        return self.out_width // 2 if self.stride == 1 else self.out_width // 4

    @property
    def turns_written_out(self) -> bool:
        """Whether so few turns need no loop."""
        return self.turns <= MAX_TURNS

    @property
    def left_over(self) -> int:
        """Outputs in a row beyond those."""
        return self.out_width - self.turns * (2 if self.stride == 1 else 4)

    @property
    def left_over_mask(self) -> int:
        """VPR.P0 for storing them: 4 bits for each word of a vector."""
        return 0x0F0F if self.stride == 1 else (1 << 4 * self.left_over) - 1

    @property
    def store_places(self) -> list[int]:
        """Distances of the four outputs of a turn."""
        if self.stride == 1:
            row = self.out_width * self.channels
            return [0, self.channels, row, row + self.channels]
        return [0, self.channels, 2 * self.channels, 3 * self.channels]

    @property
    def whole_blocks(self) -> range:
        """Blocks whose columns all lie inside the input."""
        first = -(-self.window.pad_left // STEP)
        last = (self.width - PATCH + self.window.pad_left) // STEP
        return range(first, max(first, min(last + 1, self.blocks)))

    def columns(self, block: int) -> list[int | None]:
        """The input's columns of a block; None for one outside."""
        first = block * STEP - self.window.pad_left
        return [c if 0 <= c < self.width else None for c in range(first, first + PATCH)]


class DepthwiseMve(Kernel):
    """2x2 outputs of a channel at once (stride 1), or 4 neighbouring ones (stride 2)."""

    name: ClassVar[str] = "depthwise_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Kernels of 3x3 with stride 1 or 2, one output per input channel."""
        w, channels = layer.params, layer.output.shape[-1]
        if layer.inputs[1].shape[1:] != (3, 3, 1) or w.groups != channels:
            return "not 3x3 with one output channel per input channel"
        if (w.dilation_h, w.dilation_w) != (1, 1) or w.stride_h != w.stride_w or w.stride_w > STEP:
            return "dilation, or a stride other than 1 and 2"
        if (layer.prepared.low, layer.prepared.high) != (-128, 127):
            return "a range of codes smaller than int8"
        reason = refusal(layer, core)
        p = Patches.of(layer)
        if reason is None and max(p.store_places[-1], 2 * p.row_bytes) > MAX_HALFWORD:
            return "rows too long"
        return reason

    def scratch_bytes(self, layer: Layer) -> int:
        """The transposed rows of a band."""
        return Patches.of(layer).scratch_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """16 channels are read before outputs are written over them, and only these."""
        return (0,) if Patches.of(layer).in_place else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Band by band, 16 channels at a time; all rows of a band are read before it is written."""
        p = Patches.of(layer)
        if p.in_place:
            return _by_channels(p)
        writes, lows, highs = [], [], []
        for band in range(p.bands):
            top = max(band * STEP - p.window.pad_top, 0)
            bottom = min(band * STEP - p.window.pad_top + p.rows, p.height)
            out_first = band * p.out_rows
            rows = min(p.out_rows, p.out_height - out_first)
            pixels = np.arange(out_first * p.out_width, (out_first + rows) * p.out_width)
            for channel in range(0, p.channels, LANES):
                last = min(channel + LANES, p.channels)
                elements = pixels[:, None] * p.channels + np.arange(channel, last)
                low = np.full(elements.size, NOTHING)
                high = np.full(elements.size, -1, np.int64)
                if top < bottom:
                    low[0] = top * p.width * p.channels + channel
                    high[0] = (bottom * p.width - 1) * p.channels + last - 1
                writes.append(elements.reshape(-1))
                lows.append(low)
                highs.append(high)
        reads = Reads(np.concatenate(lows), np.concatenate(highs))
        return Schedule(np.concatenate(writes), {0: reads})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as patches, then what becomes of the sums."""
        k = layer.prepared
        weights = layer.inputs[1].value.reshape(-1, 3, 3)
        patches = np.pad(weights, ((0, 0), (0, 1), (0, 1))).reshape(-1)
        taps = np.concatenate([np.zeros(PATCH, np.int8), patches]).view("<u4")
        scales = np.stack([k.bias, doubling_multipliers(k)], axis=1).astype(np.int32)
        return [
            Constant("taps", "uint32_t", taps, True, "0; by channel: 3 rows of 3 weights and 0; 0"),
            Constant("scales", "int32_t", scales, True, "by channel: bias, multiplier"),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and the input's zero point."""
        assert layer.inputs[0].qparams is not None
        return {"p": Patches.of(layer), "zero_point": layer.inputs[0].qparams.zero_point}


def _by_channels(p: Patches) -> Schedule:
    """16 channels of every pixel, then the next ones.

    Each code is read as late as could be, just before its own output; the C reads earlier.
    """
    numbers = np.arange(p.height * p.width * p.channels, dtype=np.int64).reshape(-1, p.channels)
    parts = [numbers[:, c : c + LANES].reshape(-1) for c in range(0, p.channels, LANES)]
    elements = np.concatenate(parts)
    return Schedule(elements, {0: Reads(elements, elements)})
