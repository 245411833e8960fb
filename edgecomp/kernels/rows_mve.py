"""One row of a depthwise 3x3 convolution with Helium (MVE), without scratch.

For stages that are fused by rows.  16 channels of a pixel are a vector.  VMULLB and VMULLT multiply
its even and its odd channels to 16 bits; products of two taps still fit 16 bits together
(2 * 128 * 127 < 2^15) and are widened to 32 bits as one.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.finish import vector_words
from edgecomp.kernels.gemm_mve import (
    LANES,
    MAX_WORD_OFFSET,
    as_words,
    code_name,
    refusal,
)
from edgecomp.kernels.rows_dsp import Border, RowShape, border_biases, row_refusal
from edgecomp.targets.cores import Core

TAPS = 9
VECTOR_BYTES = 64
"""Four vectors of 32 bits: what 16 channels have of biases or multipliers."""
WIDENED = np.array([[0, 4, 8, 12], [2, 6, 10, 14], [1, 5, 9, 13], [3, 7, 11, 15]])
"""Channels in the lanes of four sums: even and odd ones, widened from the bottom and the top."""


class DepthwiseRowMve(Kernel):
    """16 channels of a pixel at once, two taps together."""

    name: ClassVar[str] = "depthwise_row_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_row_depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of a depthwise 3x3 convolution with channels by sixteens."""
        channels = layer.inputs[1].shape[0]
        if layer.inputs[1].shape[1:] != (3, 3, 1) or layer.params.groups != channels:
            return "not 3x3 with one output channel per input channel"
        if channels % LANES or 2 * channels > MAX_WORD_OFFSET:
            return "channels not by sixteens, or too many"
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        if (layer.prepared.low, layer.prepared.high) != (-128, 127):
            return "a range of codes smaller than int8"
        if np.any(layer.inputs[1].value == -128):
            return "a weight of -128"
        reason = refusal(layer, core) or row_refusal(layer, core)
        if reason is None and self._multipliers_at(layer) + VECTOR_BYTES > MAX_WORD_OFFSET:
            reason = "too many kinds of borders"
        return reason

    def _multipliers_at(self, layer: Layer) -> int:
        """Where a block of the stream has its multipliers."""
        return TAPS * LANES + VECTOR_BYTES * len(RowShape.of(layer).borders)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        comment = "by 16 channels: 9 taps, biases of each border, multipliers as sums are widened"
        return [Constant("stream", "uint32_t", self._stream(layer), True, comment)]

    def _stream(self, layer: Layer) -> Array:
        weights = layer.inputs[1].value[..., 0]
        taps = weights.reshape(-1, LANES, TAPS).swapaxes(1, 2).astype(np.int8)
        words = [
            *(border_biases(layer, _outside(weights, b)) for b in RowShape.of(layer).borders),
            *vector_words(layer.prepared),
        ]
        widened = [word.astype(np.int32).reshape(-1, LANES)[:, WIDENED] for word in words]
        return as_words(np.ascontiguousarray(taps), *widened)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The row and the function of each border."""
        s, k = RowShape.of(layer), layer.prepared
        size = f"{s.width}x{s.channels}_step_{s.stride}"
        at = self._multipliers_at(layer)
        borders = [
            {
                "border": border,
                "name": code_name(
                    f"mve_row_depthwise_{index}_{border.first}_to_{border.last}_of_{size}", k
                ),
                "bias_at": TAPS * LANES + VECTOR_BYTES * index,
                "taps": [
                    (row, column - border.first, 3 * row + column)
                    for row in range(3)
                    for column in range(border.first, border.last)
                ],
            }
            for index, border in enumerate(s.borders)
        ]
        return {
            "s": s,
            "k": k,
            "borders": borders,
            "multipliers_at": at,
            "block_bytes": at + VECTOR_BYTES,
        }


def _outside(weights: Array, border: Border) -> Array:
    """Weights of the columns that a border loses, `(channels, taps)`."""
    lost = np.ones(weights.shape[2], bool)
    lost[border.first : border.last] = False
    return weights[:, :, lost].reshape(len(weights), -1)
