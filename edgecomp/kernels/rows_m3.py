"""One row of a depthwise 3x3 convolution on Armv7-M without the DSP extension, without scratch.

For stages that are fused by rows: one channel after the other, most of its taps in registers.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal, requantize_refusal
from edgecomp.kernels.rows_dsp import Border, RowShape, border_biases, no_plain_row
from edgecomp.targets.cores import Core

TAPS_BYTES = 12
"""Nine taps of a channel, filled up to whole words."""
MAX_OFFSET = 4095
"""Largest immediate offset of a load."""


class DepthwiseRowM3(Kernel):
    """One output at a time; taps of the padding are left out at the borders."""

    name: ClassVar[str] = "depthwise_row_m3"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m3_row_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of a depthwise 3x3 convolution."""
        channels = layer.inputs[1].shape[0]
        if layer.inputs[1].shape[1:] != (3, 3, 1) or layer.params.groups != channels:
            return "not 3x3 with one output channel per input channel"
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = core_refusal(core) or no_plain_row(layer) or requantize_refusal(layer)
        if reason is not None:
            return reason
        s = RowShape.of(layer)
        furthest = max(2 * s.row_bytes + 3 * channels, s.stride * channels)
        return "rows further apart than a load reaches" if furthest > MAX_OFFSET else None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value[..., 0]
        taps = np.zeros((len(weights), TAPS_BYTES), np.int8)
        taps[:, :9] = weights.reshape(-1, 9)
        biases = [border_biases(layer, _outside(weights, b)) for b in RowShape.of(layer).borders]
        twice = 2 * layer.prepared.multiplier.astype(np.int64)
        words = np.stack([*biases, twice], axis=1) & 0xFFFFFFFF
        stream = np.concatenate([taps.view("<u4"), words.astype(np.uint32)], axis=1)
        comment = "by channel: 9 taps, biases of each border, twice the multiplier"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The row and the function of each border."""
        s, k = RowShape.of(layer), layer.prepared
        zero_point = str(k.zero_point).replace("-", "m")
        end = f"{zero_point}{clamp_suffix(k)}"
        size = f"{s.width}x{s.channels}_step_{s.stride}"
        borders = [
            {
                "border": border,
                "name": f"row_depthwise_{index}_{border.first}_to_{border.last}_of_{size}_{end}",
                "bias_at": TAPS_BYTES + 4 * index,
                "taps": [
                    (row * s.row_bytes + (column - border.first) * s.channels, 3 * row + column)
                    for row in range(3)
                    for column in range(border.first, border.last)
                ],
            }
            for index, border in enumerate(s.borders)
        ]
        multiplier_at = TAPS_BYTES + 4 * len(borders)
        return {
            "s": s,
            "k": k,
            "borders": borders,
            "step": s.stride * s.channels,
            "multiplier_at": multiplier_at,
            "block_bytes": multiplier_at + 4,
        }


def _outside(weights: Any, border: Border) -> Any:
    """Weights of the columns that a border loses, `(channels, taps)`."""
    lost = np.ones(weights.shape[2], bool)
    lost[border.first : border.last] = False
    return weights[:, :, lost].reshape(len(weights), -1)
