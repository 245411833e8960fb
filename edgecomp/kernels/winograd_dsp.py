"""Exact integer Winograd F(2x2, 3x3) on cores with the DSP extension.

SMLAD multiplies 16-bit halves whatever they hold: with G scaled by 2, the transformed weights fit
12 bits and the transformed inputs 11, and the output transform gives exactly 4 times the direct
sum modulo 2^32.  The multiplier, a multiple of 4, takes the factor back.  2.25 times fewer
products for 3.6 times the weights: worth it only where speed counts more than flash.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, code_name
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import two_rows_at_a_time
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.winograd_transforms import window_refusal
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

TILES = 4
"""Tiles of 2x2 outputs at once, side by side."""
COLUMNS = 2 * TILES
"""Output columns of a block."""
SUMS_BYTES = 16 * 2 * TILES * 4
"""Scratch for the sums of 16 products, 2 channels each."""
STEPS = 32
"""Steps that the loop over the 16 products takes at once, of one product or several."""
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
"""Weight transform, scaled by 2."""


def transformed_weights(weights: Array) -> Array:
    """Return `G g G^T` for OHWI weights as int64 `(O, 4, 4, I)`: four times the usual transform."""
    return np.asarray(np.einsum("ia,oabc,jb->oijc", G, weights.astype(np.int64), G))


def _product_bytes(channels: int) -> int:
    """Bytes of one of the 16 transformed inputs of a block."""
    return 2 * TILES * channels


def winograd_refusal(layer: Layer) -> str | None:
    """Say why the transforms cannot compute a convolution; None if they are proved exact."""
    window, k = layer.params, layer.prepared
    _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
    if reason := window_refusal(window):
        return reason
    if out_channels % 2:
        return "an odd number of channels out"
    if out_width < COLUMNS or out_height < 2:
        return f"fewer than {COLUMNS} x 2 outputs"
    if reason := requantize_refusal(layer):
        return reason
    if 4 * k.acc_min.min() < INT32_MIN or 4 * k.acc_max.max() > INT32_MAX:
        return "an accumulator can exceed 30 bits"
    return None


def winograd_stream(layer: Layer) -> Constant:
    """Return, per pair of channels, words of two inputs by product, then biases and factors."""
    k = layer.prepared
    u = transformed_weights(layer.inputs[1].value) & 0xFFFF
    channels = u.shape[3]
    # Lanes of a word: inputs 0 and 2, or 1 and 3, of each four.
    fours = u.reshape(-1, 2, 16, channels // 4, 2, 2)
    words = fours[..., 0, :] | fours[..., 1, :] << 16
    weights = np.moveaxis(words, 1, -1).reshape(len(words), -1)
    if k.arithmetic == "tflite":
        scales, text = end_words(k), "multiplier, shift with zero point"
    else:
        scales, text = [k.multiplier // 4], "multiplier / 4"
    ends = np.stack([4 * k.bias, *scales], axis=1).reshape(len(words), -1)
    stream = np.concatenate([weights, ends], axis=1) & 0xFFFFFFFF
    comment = f"by 2 channels: 16 products, pairs of inputs; 4 * bias, {text}, twice"
    return Constant("stream", "uint32_t", stream.astype(np.uint32), True, comment)


def at_once(channels: int) -> int:
    """Products that the loop over them takes at once: a divisor of 16.

    >>> at_once(16), at_once(24), at_once(64)
    (4, 2, 1)
    """
    return max(n for n in (1, 2, 4) if n == 1 or n * channels // 2 <= STEPS)


class WinogradDsp(Kernel):
    """3x3, stride 1: 4 tiles of 2x2 outputs x 2 channels at once."""

    name: ClassVar[str] = "winograd_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_winograd.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, up to 64 input channels, at least 8 x 2 outputs."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := winograd_refusal(layer):
            return reason
        _, _, out_width, out_channels = as_nhwc(layer.output.shape)
        channels = layer.inputs[0].shape[-1]
        if channels % 4 or not 8 <= channels <= 64:
            return "channels: not a multiple of 4 from 8 to 64"
        row_bytes = (out_width + 2) * channels
        farthest = (3 * row_bytes + 9 * channels, (out_width + 1) * out_channels, 8 * out_channels)
        if max(farthest) > MAX_OFFSET:
            return "rows further apart than a load or store reaches"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """Transformed inputs, sums, four padded rows."""
        channels, out_width = layer.inputs[0].shape[-1], layer.output.shape[-2]
        return 16 * _product_bytes(channels) + SUMS_BYTES + 4 * (out_width + 2) * channels

    def schedule(self, layer: Layer) -> Schedule:
        """Two rows at a time; their windows are read before any of them is written."""
        return two_rows_at_a_time(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per pair of channels: words of two inputs each by product, then biases and factors."""
        return [winograd_stream(layer)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        shapes = window_context(layer)
        channels, out_channels = shapes["channels"], shapes["out_channels"]
        out_width = shapes["out_width"]
        name = f"winograd_{channels}_to_{out_channels}_by_{out_width}"
        beside = beside_weights(layer.prepared)
        return {
            **shapes,
            "name": code_name(name, layer.prepared),
            "input_name": f"winograd_{channels}_by_{out_width}_input",
            "row_bytes": (out_width + 2) * channels,
            "product_bytes": _product_bytes(channels),
            "at_once": at_once(channels),
            "channel_words": beside,
            "stream_words": out_channels // 2 * (16 * channels + 2 * beside),
        }
