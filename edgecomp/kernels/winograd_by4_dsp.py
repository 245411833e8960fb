"""Winograd with tiles four columns wide, F(1x4), F(2x4) and F(4x4, 3x3), with the DSP extension.

Two tiles side by side x 4 channels at once.  Of 9 products per output 4.5, 3 or 2.25 remain, for 4,
5.3 or 8 times the weights; the sums come out 24, 48 or 576 times too large modulo 2^32.  These
factors are 3 or 9 times a power of 2: multiplied by the inverse of the odd part, the sum is shifted
to 4 times its value, which the multiplier, a multiple of 4, takes back.  The proof that nothing is
lost is that the largest accumulator times the power of 2 fits 32 bits.

Rows of the input are read where they lie, and copied only where the padding above or below meets
them; the padding at their sides is a constant of the transform.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, range_name
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import blocks_at_a_time
from edgecomp.kernels.finish import beside_weights, end_words, requantize_refusal
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.winograd_transforms import DIRECT, F2, F4, Transform, window_refusal
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import Core

COLUMNS = 8
"""Output columns of a block: two tiles."""
PIXELS = COLUMNS + 2
"""Input columns that a block reads."""
CHANNELS = 4
"""Output channels at once."""
STEPS = 8
"""Steps of two inputs each that are written out, of one product or of several."""
MAX_WEIGHTS = 1024
"""Weights per tap: of 64 x 64 channels the transformed ones would take 295 KB."""
MAX_STEPS = 48
"""Steps of one product that are written out."""


def weight_words(weights: Array, down: Transform) -> Array:
    """Return transformed weights as they are read.

    Args:
        weights: int8, OHWI.
        down: transform of the rows; that of the columns is `F4`.

    Returns:
        uint32 `(O / 4, words)`: for each product, for each two inputs, one word of each of four
        channels.  The halves of a word are inputs 0 and 2, or 1 and 3, of four.
    """
    u = np.einsum("ia,oabc,jb->ojic", down.weights, weights.astype(np.int64), F4.weights)
    if down.outputs > 1:
        u = u.transpose(0, 2, 1, 3)
        products = F4.points * down.points
    else:  # the rows are added up as channels are
        products = F4.points
    halves = u.reshape(len(u) // CHANNELS, CHANNELS, products, -1, 2, 2) & 0xFFFF
    words = halves[..., 0, :] | halves[..., 1, :] << 16
    return np.asarray(np.moveaxis(words, 1, -1).reshape(len(words), -1), np.uint32)


def matrix_text(matrix: Array) -> str:
    """Write a matrix in C.

    >>> matrix_text(np.array([[1, 0], [0, -1]]))
    '{{1, 0}, {0, -1}}'
    """
    return "{" + ", ".join("{" + ", ".join(map(str, row)) + "}" for row in matrix.tolist()) + "}"


class WinogradBy4Dsp(Kernel):
    """3x3 with stride 1: blocks of two tiles side by side x 4 channels."""

    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_winograd_by4.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"speed"})
    down: ClassVar[Transform]
    """The transform of the rows."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, channels by 4, at least one block."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        window, k = layer.params, layer.prepared
        _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
        channels = layer.inputs[0].shape[-1]
        if reason := window_refusal(window):
            return reason
        if max(window.pad_top, window.pad_left, window.pad_bottom, window.pad_right) > 2:
            return "padding wider than the window reaches"
        if out_width < COLUMNS or out_height < self.down.outputs:
            return f"fewer than {COLUMNS} x {self.down.outputs} outputs"
        if channels % 4 or out_channels % CHANNELS:
            return "channels: not a multiple of 4"
        if self._steps(layer) > self.max_steps:
            return "more channels than one product has steps"
        if channels * out_channels > self.max_weights:
            return "too many weights"
        if reason := requantize_refusal(layer):
            return reason
        power = self._power
        if k.acc_min.min() << power < INT32_MIN or k.acc_max.max() << power > INT32_MAX:
            return f"an accumulator can exceed {32 - power} bits"
        last = ((self.down.outputs - 1) * out_width + 3) * out_channels
        if max(last, 8 * out_channels) > MAX_OFFSET:
            return "rows further apart than a store reaches"
        return None

    @property
    def max_steps(self) -> int:
        """Steps of a product, which are written out."""
        return MAX_STEPS

    @property
    def max_weights(self) -> int:
        """Weights per tap."""
        return MAX_WEIGHTS

    @property
    def _power(self) -> int:
        """How often 2 divides the factor of the sums."""
        factor = self.down.factor * F4.factor
        return (factor & -factor).bit_length() - 1

    @property
    def _products(self) -> int:
        return F4.points * (self.down.points if self.down.outputs > 1 else 1)

    def _steps(self, layer: Layer) -> int:
        rows = 1 if self.down.outputs > 1 else self.down.points
        return rows * int(layer.inputs[0].shape[-1]) // 2

    def _products_bytes(self, layer: Layer) -> int:
        """Bytes of the transformed inputs of a block: a word per tile and two inputs."""
        return 8 * self._products * self._steps(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """Transformed inputs; lines and a block at the border, then the sums."""
        patch = 0
        if self._border_rows(layer) is not None:
            patch = (self.down.outputs + 2) * PIXELS * layer.inputs[0].shape[-1]
        sums = 8 * CHANNELS * self._products
        lines = 4 * PIXELS * self.down.points
        return self._products_bytes(layer) + max(sums, lines + patch)

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks; all that a block reads is read before it writes."""
        return blocks_at_a_time(layer, self.down.outputs, COLUMNS)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Per four channels: words of two inputs each by product, then biases and factors."""
        words = weight_words(layer.inputs[1].value, self.down)
        ends, text = self._ends(layer)
        stream = np.concatenate([words, ends.reshape(len(words), -1)], axis=1)
        comment = f"by 4 channels: {self._products} products, pairs of inputs; {text}, four times"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def _ends(self, layer: Layer) -> tuple[Array, str]:
        """What follows the weights of each channel, as uint32, and its name."""
        k, factor = layer.prepared, self.down.factor * F4.factor
        if k.arithmetic == "tflite":
            scales, text = end_words(k), "multiplier, shift with zero point"
        else:
            scales, text = [k.multiplier // 4], "multiplier / 4"
        ends = np.stack([factor * k.bias, *scales], axis=1) & 0xFFFFFFFF
        return ends.astype(np.uint32), f"{factor} * bias, {text}"

    def _border_rows(self, layer: Layer) -> str | None:
        """C condition for rows of blocks that meet the padding: empty if all do, None if none."""
        _, out_height, _, _ = as_nhwc(layer.output.shape)
        height = as_nhwc(layer.inputs[0].shape)[1]
        pad, rows = layer.params.pad_top, self.down.outputs
        starts = [min(row, out_height - rows) for row in range(0, out_height, rows)]
        inside = [row for row in starts if pad <= row <= height + pad - rows - 2]
        if len(inside) == len(starts):
            return None
        first = [f"row < {inside[0]}"] if inside and inside[0] > starts[0] else []
        last = [f"row > {inside[-1]}"] if inside and inside[-1] < starts[-1] else []
        return " || ".join(first + last)

    def _function_name(self, name: str, k: LinearConstants) -> str:
        """Of the C function that makes codes: its zero point is a parameter."""
        return range_name(name, k)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes, distances and the transforms' numbers."""
        shapes, k, down = window_context(layer), layer.prepared, self.down
        channels, out_channels = shapes["channels"], shapes["out_channels"]
        steps, power = self._steps(layer), self._power
        stem = self.name.removesuffix("_dsp")
        name = f"{stem}_{channels}_to_{out_channels}_by_{shapes['out_width']}"
        row_bytes = 4 * channels  # of a transformed row, one product of it
        outside = down.inputs.sum(axis=1) * shapes["input_zero_point"]
        beside = beside_weights(k)
        odd = down.factor * F4.factor >> power
        return {
            **shapes,
            "name": self._function_name(name, k),
            "input_name": f"{stem}_{channels}_input",
            "down": down,
            "across": F4,
            "border_rows": self._border_rows(layer),
            "matrices": {
                "down_inputs": matrix_text(down.inputs),
                "across_inputs": matrix_text(F4.inputs),
                "down_sums": matrix_text(down.sums[:, : 1 if down.outputs == 1 else None]),
                "across_sums": matrix_text(F4.sums),
            },
            "products": self._products,
            "steps": steps,
            "at_once": max(n for n in (1, 2) if n == 1 or n * steps <= STEPS),
            "product_bytes": 8 * steps,
            "line_bytes": row_bytes if down.outputs == 1 else F4.points * row_bytes,
            "products_bytes": self._products_bytes(layer),
            "pixels": PIXELS,
            "outside": [int(value) & 0xFFFF for value in outside],
            "inverse": pow(odd, -1, 1 << 32),
            "power": power,
            "factor_shift": power - (1 if k.arithmetic == "tflite" else 2),
            "channel_words": beside,
            "stream_words": out_channels // CHANNELS * CHANNELS * (self._products * steps + beside),
        }


class Winograd1x4Dsp(WinogradBy4Dsp):
    """Columns only: half of the products, little scratch, four times the weights."""

    name: ClassVar[str] = "winograd_1x4_dsp"
    down: ClassVar[Transform] = DIRECT


class Winograd2x4Dsp(WinogradBy4Dsp):
    """A third of the products, 5.3 times the weights."""

    name: ClassVar[str] = "winograd_2x4_dsp"
    down: ClassVar[Transform] = F2


class Winograd4x4Dsp(WinogradBy4Dsp):
    """A quarter of the products, eight times the weights."""

    name: ClassVar[str] = "winograd_4x4_dsp"
    down: ClassVar[Transform] = F4
