"""One row of a convolution on cores with the DSP extension, with a few columns as scratch.

For stages that are fused by rows.  Two outputs are neighbours, and so are their windows: in columns
of the input, expanded once (see kernels/gemm_dsp.py), the second window begins `stride` columns
behind the first and shares the rest with it.  That is half the scratch of windows that are expanded
one by one, and two pixels share every weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_dsp import MAX_OFFSET, code_name
from edgecomp.kernels.gemm_dsp import WORD, raw_stream, refusal
from edgecomp.kernels.rows_dsp import RowShape, row_refusal
from edgecomp.targets.cores import Core

CHANNELS = 2
"""Output channels at once."""
PIXELS = 2
"""Outputs at once."""
MOST_STEPS = 12
"""Steps of four inputs that the loop takes at once, at most."""
STEP_BYTES = 8
"""Two words of expanded codes: even ones, and odd ones with these."""


@dataclass(frozen=True)
class Slide:
    """The columns of two windows."""

    s: RowShape

    @property
    def columns(self) -> int:
        """Columns of the input that two neighbouring windows cover."""
        return self.s.kernel_w + self.s.stride

    @property
    def column_steps(self) -> int:
        """Steps of a column."""
        return self.s.kernel_h * self.s.channels // WORD

    @property
    def steps(self) -> int:
        """Steps of a window."""
        return self.s.kernel_w * self.column_steps

    @property
    def second(self) -> int:
        """Bytes from the first window's columns to those of the second."""
        return self.s.stride * self.column_steps * STEP_BYTES

    @property
    def scratch_bytes(self) -> int:
        """Expanded columns."""
        return self.columns * self.column_steps * STEP_BYTES

    @property
    def unroll(self) -> int:
        """Steps that the loop takes at once."""
        return max(n for n in range(1, MOST_STEPS + 1) if self.steps % n == 0)

    @property
    def pairs(self) -> int:
        """Pairs of outputs; the last one of an odd row begins an output earlier."""
        return -(-self.s.out_width // PIXELS)

    @property
    def is_padded(self) -> bool:
        """Whether windows have columns outside the input."""
        last = (self.s.out_width - PIXELS) * self.s.stride - self.s.pad_left
        return self.s.pad_left > 0 or last + self.columns > self.s.width


class ConvRowSlideDsp(Kernel):
    """2 pixels x 2 channels at once; columns are expanded for two pixels."""

    name: ClassVar[str] = "conv2d_row_slide_dsp"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_row_slide.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """One row of a plain convolution whose windows overlap, channels by fours and twos."""
        out_channels, _, kernel_w, channels = layer.inputs[1].shape
        if layer.params.groups != 1 or channels % WORD or out_channels % CHANNELS:
            return "not channels by fours and twos without groups"
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        weights = layer.inputs[1].value
        reason = row_refusal(layer, core) or refusal(layer, weights.reshape(len(weights), -1))
        if reason:
            return reason
        slide = Slide(RowShape.of(layer))
        if slide.s.out_width < PIXELS or kernel_w <= slide.s.stride:
            return "no windows that overlap"
        if slide.second + STEP_BYTES > MAX_OFFSET:
            return "columns further apart than a load reaches"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """The columns of two windows."""
        return Slide(RowShape.of(layer)).scratch_bytes

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        weights = layer.inputs[1].value
        by_column = np.ascontiguousarray(np.swapaxes(weights, 1, 2)).reshape(len(weights), -1)
        blocks = np.arange(len(weights)).reshape(-1, CHANNELS)
        stream = raw_stream(by_column, layer.prepared, blocks)
        comment = "by 2 channels: biases, raw words (256 * even + odd) by column, multipliers"
        return [Constant("stream", "uint32_t", stream, True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The columns, and how pairs of outputs walk over them."""
        assert layer.inputs[0].qparams is not None
        slide, k = Slide(RowShape.of(layer)), layer.prepared
        s = slide.s
        numbers = f"{slide.steps}_by_{slide.second}_to_{s.out_channels}"
        return {
            "s": s,
            "d": slide,
            "k": k,
            "name": code_name(f"row_slide_{numbers}", k),
            "padding": layer.inputs[0].qparams.zero_point & 0xFF,
            "stream_words": s.out_channels * (slide.steps + 2),
        }
