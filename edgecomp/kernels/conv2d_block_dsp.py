"""Convolution for speed on cores with the DSP extension: columns on the stack, no loop over them.

One function expands the windows of 4 or 3 pixels below its stack pointer and multiplies them.
With the columns at fixed distances from SP no register walks over them, which leaves five for
operands: loads come in three groups per step instead of four, and of neighbouring loads all but
the first take one cycle.  Blocks of 4 pixels come first, then those of 3, so that no pixel is
computed twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Goal, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, Conv2dDsp, Expansion, Shape, code_name
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.finish import beside_weights
from edgecomp.kernels.gemm_dsp import Gemm, block_schedule
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.targets.cores import Core

FOUR, THREE = 4, 3
"""Pixels of the two kinds of blocks."""
MAX_STEPS = 40
"""Steps of four inputs up to which all are written out: some 110 bytes of code each."""
MAX_IMAGE_BYTES = 1024
"""Inputs that are copied with their padding, so that no window needs to be put together."""


def block_counts(pixels: int) -> tuple[int, int] | None:
    """Return how many blocks of 4 and of 3 give exactly `pixels`; None if none do.

    >>> block_counts(125), block_counts(8), block_counts(5)
    ((29, 3), (2, 0), None)
    """
    threes = -pixels % FOUR
    fours, rest = divmod(pixels - THREE * threes, FOUR)
    return (fours, threes) if fours >= 0 and rest == 0 else None


class Block(Gemm):
    """A block of the product whose columns lie on the stack."""

    @property
    def _registers(self) -> tuple[tuple[str, str], ...]:
        """The accumulators of each pixel; the first step writes the last pair last."""
        if self.pixels == FOUR:
            return ("r4", "r8"), ("r5", "r9"), ("r3", "r7"), ("r2", "r6")
        return ("r3", "r6"), ("r4", "r7"), ("r2", "r5")


@dataclass(frozen=True)
class Plan:
    """How a layer is cut into blocks.

    Attributes:
        layer: the convolution.
        source: its sizes.
    """

    layer: Layer
    source: Shape

    @classmethod
    def of(cls, layer: Layer) -> "Plan":
        """Return the plan of a layer."""
        return cls(layer, Shape.of(layer))

    @cached_property
    def has_image(self) -> bool:
        """Whether the input is copied together with its padding."""
        size = self._image.height * self._image.width * self._image.channels
        is_needed = self.source.window.has_padding and not self._image.flat
        return is_needed and size <= MAX_IMAGE_BYTES

    @cached_property
    def _image(self) -> Shape:
        s, w = self.source, self.source.window
        return replace(
            s,
            window=replace(w, pad_top=0, pad_left=0, pad_bottom=0, pad_right=0),
            height=(s.out_height - 1) * w.stride_h + w.kernel_h,
            width=(s.out_width - 1) * w.stride_w + w.kernel_w,
        )

    @cached_property
    def shape(self) -> Shape:
        """The sizes that windows are taken from."""
        return self._image if self.has_image else self.source

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """Pixels of each kind of block that is needed, and where these blocks end."""
        fours, threes = block_counts(self.shape.pixels) or (0, 0)
        ends = ((FOUR, FOUR * fours), (THREE, self.shape.pixels))
        return tuple(end for end, count in zip(ends, (fours, threes), strict=True) if count)

    def block(self, pixels: int) -> Block:
        """A block of so many pixels."""
        steps, stride = self.shape.column.steps, self.shape.out_channels
        window = self.expansion(pixels).name.removeprefix(f"expand{pixels}_")
        name = f"block{pixels}_{window}_by_{stride}" + ("" if self.shape.flat else "_or_columns")
        return Block(code_name(name, self.layer.prepared), pixels, steps, stride)

    def expansion(self, pixels: int) -> Expansion:
        """How its columns are made."""
        return Expansion(
            self.shape.column, pixels, self.source.window.stride_w * self.source.channels
        )

    @property
    def column_bytes(self) -> int:
        """Columns that are expanded one by one, of windows in different rows."""
        return 0 if self.shape.flat else max(self.block(n).column_bytes for n, _ in self.counts)

    @property
    def border_bytes(self) -> int:
        """The copied input, or one window at the border."""
        s = self.shape
        if self.has_image:
            return s.height * s.width * s.channels
        return s.column.rows * s.column.row_bytes if s.window.has_padding else 0


class Conv2dDspBlock(Conv2dDsp):
    """Columns on the stack, every step written out; exact blocks of 4 and of 3 pixels."""

    name: ClassVar[str] = "conv2d_dsp_block"
    template: ClassVar[str] = "conv2d/dsp_block.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def _weights(self, layer: Layer) -> Array:
        """Weights in the order of the columns, `(channels, inputs)`."""
        weights = layer.inputs[1].value
        return Plan.of(layer).shape.column.ordered(weights.reshape(len(weights), -1))

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What blocks compute, with few enough inputs per output."""
        if reason := super().applies(layer, core):
            return reason
        plan = Plan.of(layer)
        if plan.shape.column.steps > MAX_STEPS:
            return f"more than {MAX_STEPS} steps of four inputs"
        if not plan.counts:
            return "no blocks of 4 and 3 pixels"
        pixels, _ = plan.counts[0]
        farthest = plan.block(pixels).stores[-1][1], plan.expansion(pixels).largest_offset
        return "pixels further apart than a load reaches" if max(farthest) > MAX_OFFSET else None

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns expanded one by one, and the padded input or a window at the border."""
        plan = Plan.of(layer)
        return plan.column_bytes + plan.border_bytes

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of pixels; each reads its windows, or the first one all, before it writes."""
        plan = Plan.of(layer)
        windows = window_reads(layer, [0], [plan.source.channels - 1])
        backward, out_channels = plan.shape.backward, plan.shape.out_channels
        parts, start = [], 0
        for pixels, end in plan.counts:
            part = slice(start, end)
            reads = Reads(windows.low[part], windows.high[part])
            events = block_schedule(reads, pixels, out_channels, backward=backward)
            parts.append((events.writes + start * out_channels, events.reads[0]))
            start = end
        if backward:
            parts.reverse()
        low = np.concatenate([reads.low for _, reads in parts])
        high = np.concatenate([reads.high for _, reads in parts])
        if plan.has_image:
            low[:], high[:] = NOTHING, -1
            low[0], high[0] = 0, layer.inputs[0].size - 1
        return Schedule(np.concatenate([writes for writes, _ in parts]), {0: Reads(low, high)})

    def context(self, layer: Layer) -> dict[str, Any]:
        """Both kinds of blocks, and where windows lie."""
        plan, k = Plan.of(layer), layer.prepared
        shape = plan.shape
        per_pair = 2 * (shape.column.steps + beside_weights(k))
        kinds: Sequence[dict[str, Any]] = [
            {
                "g": plan.block(pixels),
                "e": plan.expansion(pixels),
                "begin": begin,
                "end": end,
                "inner": shape.conditions(pixels),
            }
            for (pixels, end), begin in zip(
                plan.counts, (0, *(end for _, end in plan.counts)), strict=False
            )
        ]
        return {
            **window_context(layer),
            "kinds": list(reversed(kinds)) if shape.backward else kinds,
            "shape": shape,
            "source": plan.source,
            "column_bytes": plan.column_bytes,
            "has_image": plan.has_image,
            "has_border": shape.window.has_padding,
            "flat": shape.flat,
            "backward": shape.backward,
            "single": shape.conditions(1),
            "first": shape.first,
            "pairs_end": shape.out_channels // 2 * per_pair,
            "stream_words": (shape.out_channels + 1) // 2 * per_pair,
        }
