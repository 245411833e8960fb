"""Winograd F(2x2, 3x3) with code that layers share, on cores with the DSP extension.

As `winograd_dsp`, with the transformed inputs by four channels, so that all distances in the code
are the same for every layer; input rows are read where they lie, and only blocks at the border are
copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Goal, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import blocks_at_a_time
from edgecomp.kernels.finish import beside_weights
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.shared_dsp import LARGEST, initializer, range_suffix
from edgecomp.kernels.winograd_dsp import COLUMNS, SUMS_BYTES, winograd_refusal, winograd_stream
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core

CHANNELS = 16
"""Input channels that the loop over a product takes at once."""
MAX_WEIGHTS = 1024
"""Weights per tap: up to so many the transformed ones, 3.6 times as large, are worth the flash."""
PATCH_PIXELS = 4 * (COLUMNS + 2)
"""Pixels that a block reads."""


@dataclass(frozen=True)
class WinogradNames:
    """Names of the functions, which differ by the range of the codes.

    Attributes:
        suffix: what the names owe to the fused activation.
    """

    suffix: str

    @property
    def output_name(self) -> str:
        """Of products and output transform."""
        return "winograd_output" + self.suffix

    @property
    def driver_name(self) -> str:
        """Of the function that the layers call."""
        return "winograd" + self.suffix


class WinogradDspShared(Kernel):
    """3x3, stride 1: 4 tiles of 2x2 outputs x 2 channels at once."""

    name: ClassVar[str] = "winograd_dsp_shared"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/dsp_shared_winograd.c.j2"
    goals: ClassVar[frozenset[Goal]] = frozenset({"balanced"})

    def applies(self, layer: Layer, core: Core) -> str | None:
        """3x3 with stride 1, input channels by 16, few enough weights, at least 8 x 2 outputs."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if reason := winograd_refusal(layer):
            return reason
        _, height, width, channels = as_nhwc(layer.inputs[0].shape)
        out_channels = layer.output.shape[-1]
        if channels % CHANNELS:
            return f"channels not a multiple of {CHANNELS}"
        window = layer.params
        if max(window.pad_top, window.pad_left, window.pad_bottom, window.pad_right) > 2:
            return "padding wider than the window reaches"
        if channels * out_channels > MAX_WEIGHTS:
            return "too many weights"
        if max(height, width, channels, out_channels) > LARGEST:
            return "sizes that a half word does not hold"
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """Transformed inputs; a block at the border, then the sums."""
        channels = layer.inputs[0].shape[-1]
        return 128 * channels + max(SUMS_BYTES, PATCH_PIXELS * channels)

    def schedule(self, layer: Layer) -> Schedule:
        """Blocks of 2 x 8 outputs; all that a block reads is read before it writes."""
        return blocks_at_a_time(layer, 2, COLUMNS)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The stream of `winograd_dsp`."""
        return [winograd_stream(layer)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes."""
        shapes, k = window_context(layer), layer.prepared
        names = ("height", "width", "channels", "out_height", "out_width", "out_channels")
        sizes = {
            **{name: shapes[name] for name in names},
            "pad_top": shapes["window"].pad_top,
            "pad_left": shapes["window"].pad_left,
            "outside": shapes["input_zero_point"],
            "zero_point": k.zero_point,
        }
        return {
            "s": WinogradNames(range_suffix(k)),
            "k": k,
            "channel_words": beside_weights(k),
            "sizes": initializer(sizes),
        }
