"""Convolutions whose channels come in blocks with windows of their own, with the DSP extension.

A transposed convolution arrives as one convolution that makes a block of pixels at once
(`edgecomp.ops.conv_transpose`).  Where its window is no multiple of the stride, some pixels of the
block see fewer taps: 3x3 with stride 2 has windows of 2x2, 2x1, 1x2 and 1x1.  Each block of
channels is computed as a convolution of its own, all into the same output.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array, Tensor
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_shared_dsp import Conv2dDspShared
from edgecomp.kernels.shared_dsp import initializer
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.targets.cores import Core

MOST_BLOCKS = 16
MOST_WORK = 0.75
"""Share of the products that must be left for it to be worth while."""
LEAST_CHANNELS = 16
"""Of a block: each expands its windows anew."""
WINOGRAD = (3, 3)
"""Windows that other kernels compute with fewer products than these."""

Box = tuple[int, int, int, int]
"""First row, row behind the last, first column, column behind the last."""


@dataclass(frozen=True)
class Block:
    """Neighbouring output channels, and the part of the window that is not 0.

    Attributes:
        layer: the whole convolution.
        begin: first channel.
        end: channel behind the last.
        box: rows and columns of the window.
    """

    layer: Layer
    begin: int
    end: int
    box: Box

    @cached_property
    def part(self) -> Layer:
        """The block as a convolution of its own."""
        node, (top, bottom, left, right) = self.layer.node, self.box
        window: Conv2dParams = self.layer.params
        params = replace(
            window,
            kernel_h=bottom - top,
            kernel_w=right - left,
            pad_top=window.pad_top - top,
            pad_left=window.pad_left - left,
            pad_bottom=window.pad_bottom - (window.kernel_h - bottom),
            pad_right=window.pad_right - (window.kernel_w - right),
        )
        x, weights, *bias = self.layer.inputs
        inside = weights.value[self.begin : self.end, top:bottom, left:right]
        constants = [self._of_block(weights, np.ascontiguousarray(inside))]
        constants += [self._of_block(b, b.value[self.begin : self.end]) for b in bias]
        shape = (*self.layer.output.shape[:-1], self.end - self.begin)
        output = replace(self.layer.output, shape=shape)
        tensors = {tensor.name: tensor for tensor in (x, *constants, output)}
        own = replace(node, params=params)
        graph = self.layer.graph.replace(nodes=(own,), tensors=tensors)
        return Layer(graph, own)

    @property
    def least_pad(self) -> int:
        """The smallest padding of any side; less than 0 where the block sees less of the input."""
        window: Conv2dParams = self.part.params
        return min(window.pad_top, window.pad_left, window.pad_bottom, window.pad_right)

    def _of_block(self, tensor: Tensor, data: Array) -> Tensor:
        """A constant of the block's channels."""
        qparams = tensor.qparams
        if qparams is not None and qparams.axis is not None:
            qparams = replace(qparams, scale=qparams.scale[self.begin : self.end])
        return replace(tensor, shape=data.shape, data=data, qparams=qparams)


def _box(taps: Array) -> Box:
    """Where a channel's taps `(kernel_h, kernel_w)` are not 0; the whole window if nowhere."""
    if not taps.any():
        return 0, taps.shape[0], 0, taps.shape[1]
    rows, columns = np.flatnonzero(taps.any(axis=1)), np.flatnonzero(taps.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def blocks_of(layer: Layer) -> list[Block]:
    """Return the blocks of a convolution: neighbouring channels with the same box."""
    boxes = [_box(taps) for taps in np.asarray(layer.inputs[1].value.any(axis=3))]
    starts = [c for c in range(len(boxes)) if c == 0 or boxes[c] != boxes[c - 1]]
    ends = [*starts[1:], len(boxes)]
    return [Block(layer, a, b, boxes[a]) for a, b in zip(starts, ends, strict=True)]


class ConvPhasesDsp(Kernel):
    """A convolution for each block of channels, with the window that it needs."""

    name: ClassVar[str] = "conv2d_phases_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_phases.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})
    each: ClassVar[Conv2dDspShared] = Conv2dDspShared()

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Where a quarter of the products are left out, and no other kernel leaves out more."""
        if not core.dsp or core.mve:
            return "the core lacks the DSP extension, or has Helium"
        window: Conv2dParams = layer.params
        if window.groups != 1 or (window.kernel_h, window.kernel_w) in {(1, 1), WINOGRAD}:
            return "groups, 1x1 or 3x3"
        blocks = blocks_of(layer)
        if not 2 <= len(blocks) <= MOST_BLOCKS:
            return "its channels have one window, or too many different ones"
        if min(block.end - block.begin for block in blocks) < LEAST_CHANNELS:
            return f"blocks of fewer than {LEAST_CHANNELS} channels"
        if min(block.least_pad for block in blocks) < 0:
            return "a block sees nothing of some border"
        if sum(b.part.macs for b in blocks) > MOST_WORK * layer.macs:
            return "too few taps are 0"
        return next((r for b in blocks if (r := self.each.applies(b.part, core))), None)

    def scratch_bytes(self, layer: Layer) -> int:
        """What the largest block needs."""
        return max(self.each.scratch_bytes(block.part) for block in blocks_of(layer))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The streams of all blocks, one after the other."""
        streams = [self.each.constants(block.part)[0] for block in blocks_of(layer)]
        return [replace(streams[0], values=np.concatenate([s.values for s in streams]))]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes of each block, where its stream begins and where its channels are."""
        calls, at = [], 0
        for block in blocks_of(layer):
            c = self.each.context(block.part)
            product = {**c["s"].product, "stride": layer.output.shape[-1]}
            calls.append({**c, "product": initializer(product), "at": at, "begin": block.begin})
            at += math.prod(self.each.constants(block.part)[0].values.shape)
        return {"calls": calls, "s": calls[0]["s"], "k": layer.prepared}
