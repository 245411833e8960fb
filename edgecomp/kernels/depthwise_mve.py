"""Depthwise 3x3 convolution on cores with Helium (MVE): dot products of patches."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.finish import vector_words
from edgecomp.kernels.gemm_mve import LANES, MAX_HALFWORD, refusal
from edgecomp.kernels.patches_mve import AT_ONCE, Part, Patches
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.kernels.transpose_mve import PATCH, STEP
from edgecomp.targets.cores import Core

MAX_IMMEDIATE = 4095
"""Largest number that ADD takes."""


class DepthwiseMve(Kernel):
    """2x4 outputs of a channel at once (stride 1), or 8 neighbouring ones (stride 2)."""

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
        if reason is not None:
            return reason
        if layer.prepared.arithmetic == "tflite" and layer.prepared.rounds_away:
            return "TFLite's rounding of ties without a ReLU"
        p = Patches.of(layer)
        furthest = p.channels * (p.out_width * (p.out_rows - 1) + AT_ONCE)
        if max(furthest, 2 * p.row_bytes) > MAX_HALFWORD or 8 * channels > MAX_IMMEDIATE:
            return "rows too long"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """The transposed rows of a band."""
        return Patches.of(layer).scratch_bytes

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """16 channels are read before outputs are written over them, and only these."""
        return (0,) if Patches.of(layer).in_place else ()

    def schedule(self, layer: Layer) -> Schedule:
        """Bands, parts of them and 16 channels at a time; each is read before it is written."""
        p = Patches.of(layer)
        if p.in_place:
            return _by_channels(p)
        writes, lows, highs = [], [], []
        for band, channel, part in _order(p):
            last = min(channel + LANES, p.channels) - 1
            first_row = band * p.out_rows
            rows = np.arange(first_row, min(first_row + p.out_rows, p.out_height))
            columns = np.arange(part.first, part.first + part.outputs)
            pixels = (rows[:, None] * p.out_width + columns).reshape(-1, 1)
            elements = pixels * p.channels + np.arange(channel, last + 1)
            low = np.full(elements.size, NOTHING)
            high = np.full(elements.size, -1, np.int64)
            # A ring holds what bands have in common, but reading it again is the safe belief.
            top = max(band * STEP - p.window.pad_top, 0)
            bottom = min(band * STEP - p.window.pad_top + p.rows, p.height)
            if top < bottom and part.columns.inside:
                end = part.column + part.columns.inside - 1
                low[0] = (top * p.width + part.column) * p.channels + channel
                high[0] = ((bottom - 1) * p.width + end) * p.channels + last
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
        scales = np.stack([k.bias, *vector_words(k)], axis=1).astype(np.int32)
        text = "by channel: bias, multiplier" + (", shift" if scales.shape[1] == 3 else "")
        return [
            Constant("taps", "uint32_t", taps, True, "0; by channel: 3 rows of 3 weights and 0; 0"),
            Constant("scales", "int32_t", scales, True, text),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        return {"p": Patches.of(layer)}


def _order(p: Patches) -> list[tuple[int, int, Part]]:
    """Bands, first channels and parts in the order of the C."""
    bands, channels = range(p.bands), range(0, p.channels, LANES)
    if p.ring:
        return [(band, c, part) for c in channels for part in p.parts for band in bands]
    return [(band, c, part) for band in bands for c in channels for part in p.parts]


def _by_channels(p: Patches) -> Schedule:
    """16 channels of every pixel, then the next ones.

    Each code is read as late as could be, just before its own output; the C reads earlier.
    """
    numbers = np.arange(p.height * p.width * p.channels, dtype=np.int64).reshape(-1, p.channels)
    parts = [numbers[:, c : c + LANES].reshape(-1) for c in range(0, p.channels, LANES)]
    elements = np.concatenate(parts)
    return Schedule(elements, {0: Reads(elements, elements)})
