"""Convolution on Armv7-M without the DSP extension: blocks of pixel pairs, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import window_reads
from edgecomp.kernels.gemm_dsp import block_schedule
from edgecomp.kernels.gemm_m3 import (
    STEP,
    WIDE_BITS,
    block_pairs,
    clamp_suffix,
    core_refusal,
    lane_bits,
    pair_stream,
    refusal,
    size_refusal,
)
from edgecomp.kernels.pairs import padded_taps
from edgecomp.kernels.plain_windows import no_plain_window
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.spatial import Window
from edgecomp.targets.cores import Core


@dataclass(frozen=True)
class ConvShape:
    """A convolution as the shared functions see it: a pointwise one is a single row."""

    window: Window
    height: int
    width: int
    channels: int
    out_height: int
    out_width: int

    @classmethod
    def of(cls, layer: Layer) -> "ConvShape":
        """Read a layer's sizes."""
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        _, out_height, out_width, _ = as_nhwc(layer.output.shape)
        if layer.params.is_pointwise:
            return cls(layer.params, 1, height * width, channels, 1, height * width)
        return cls(layer.params, height, width, channels, out_height, out_width)

    @property
    def pixels(self) -> int:
        """Outputs of one channel."""
        return self.out_height * self.out_width

    @property
    def taps(self) -> int:
        """Products of one output, filled up to what the loop over a column takes."""
        return padded_taps(self.rows * self.row_bytes, STEP)

    @property
    def row_bytes(self) -> int:
        """Codes of a window that follow each other."""
        return self.window.kernel_w * self.channels

    @property
    def rows(self) -> int:
        """Runs of such codes."""
        return self.window.kernel_h

    @property
    def skip(self) -> int:
        """Bytes from the end of a run to the next one."""
        return self.width * self.channels - self.row_bytes

    @property
    def step(self) -> int:
        """Bytes from the window of one output to that of the next."""
        return self.window.stride_w * self.channels

    @property
    def inside_rows(self) -> tuple[int, int]:
        """First and last output row whose windows lie inside the input."""
        w = self.window
        return _inside(self.height, self.out_height, w.kernel_h, w.stride_h, w.pad_top)

    @property
    def inside_columns(self) -> tuple[int, int]:
        """First and last output column whose windows lie inside the input."""
        w = self.window
        return _inside(self.width, self.out_width, w.kernel_w, w.stride_w, w.pad_left)

    @property
    def pairs(self) -> int:
        """Pairs of pixels in a block."""
        return block_pairs(self.pixels)


def _inside(size: int, out_size: int, kernel: int, stride: int, pad: int) -> tuple[int, int]:
    """First and last output along an axis whose windows lie inside the input."""
    return -(-pad // stride), min((size + pad - kernel) // stride, out_size - 1)


class Conv2dM3(Kernel):
    """6 pixels of one channel at once, two products per multiplication."""

    name: ClassVar[str] = "conv2d_m3"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/m3_gemm.c.j2"

    @staticmethod
    def shape_refusal(layer: Layer, core: Core) -> str | None:
        """Say why the shared functions cannot compute such a layer; None if they can."""
        return no_plain_window(layer) or core_refusal(core) or size_refusal(layer)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions of at least 2 pixels, if the lanes are proved wide enough."""
        reason = self.shape_refusal(layer, core)
        if reason is None and ConvShape.of(layer).pairs < 1:
            return "a single pixel"
        return reason or refusal(layer, WIDE_BITS)

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns of a block; codes of the padding."""
        shape = ConvShape.of(layer)
        padding = shape.channels if layer.params.has_padding else 0
        return 4 * shape.pairs * shape.taps + padding

    def schedule(self, layer: Layer) -> Schedule | None:
        """Blocks of pixels in order; each reads its windows before it writes."""
        windows = window_reads(layer, [0], [layer.inputs[0].shape[-1] - 1])
        return block_schedule(windows, 2 * ConvShape.of(layer).pairs, layer.output.shape[-1])

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        stream = pair_stream(self._weights(layer), layer.prepared, lane_bits(layer))
        comment = (
            "taps, channels twice, 2 * zero point + 1; by channel: start, weights, 2 * multiplier"
        )
        return [Constant("stream", "uint32_t", stream, True, comment)]

    @staticmethod
    def _weights(layer: Layer) -> Array:
        """Weights `(channels, taps)`: OHWI is the order of the columns."""
        weights = layer.inputs[1].value
        return weights.reshape(len(weights), -1)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The numbers that the shared functions read."""
        shape = ConvShape.of(layer)
        assert layer.inputs[0].qparams is not None
        wide = "_wide" if lane_bits(layer) == WIDE_BITS else ""
        return {
            "k": layer.prepared,
            "product": "pairs",
            "pairs": shape.pairs,
            "pixels": 2 * shape.pairs,
            "words": shape.pairs,
            "kind": f"{shape.pairs}{wide}",
            "lane": lane_bits(layer),
            "wide": wide,
            "suffix": clamp_suffix(layer.prepared),
            "s": shape,
            "w": shape.window,
            "out_channels": layer.output.shape[-1],
            "input_zero_point": layer.inputs[0].qparams.zero_point,
        }
