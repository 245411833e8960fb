"""Depthwise convolutions of any window: a table of pointers to a pixel's taps.

Where a tap lies outside the input its pointer leads to a pixel of zero points, so that no product
is left out and no channel asks where it is.  The table is made once per pixel, for all channels.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer, linear_constants
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.schedule import Schedule
from edgecomp.targets.cores import Core

MOST_TAPS = 128
"""The table lies on the stack."""
MOST_AT_ONCE = 7
"""Taps that the loop takes at once."""


def no_table_of_taps(layer: Layer) -> str | None:
    """Say why a layer is no depthwise convolution of few taps; None if it is one."""
    channels, kernel_h, kernel_w, group_in = layer.inputs[1].shape
    if group_in != 1 or layer.params.groups != channels:
        return "not one input channel per output channel"
    return f"more than {MOST_TAPS} taps" if kernel_h * kernel_w > MOST_TAPS else None


def taps_scratch(layer: Layer) -> int:
    """Bytes of the pixel of zero points: none without padding."""
    return int(layer.output.shape[-1]) if layer.params.has_padding else 0


def taps_context(layer: Layer) -> dict[str, Any]:
    """What `kernels/window_taps.c.j2` needs."""
    count = layer.params.kernel_h * layer.params.kernel_w
    return {
        **window_context(layer),
        "tap_count": count,
        "at_once": max(n for n in range(1, MOST_AT_ONCE + 1) if count % n == 0),
        "has_shift": bool(np.any(layer.prepared.shift)),
    }


class DepthwiseTaps(Kernel):
    """One channel of a pixel at a time, by a table of the window's taps; any core and numerics."""

    name: ClassVar[str] = "depthwise_taps"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/depthwise_taps.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """No channel multiplier, few taps."""
        return no_table_of_taps(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """A pixel of padding."""
        return taps_scratch(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, channel."""
        own = list(range(layer.output.shape[-1]))
        return in_order(window_reads(layer, own, own))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights by channel, in the order of the taps."""
        return linear_constants(layer, layer.inputs[1].value, "CHW")

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes and window."""
        return taps_context(layer)
