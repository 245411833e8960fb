"""Max pooling on cores with the DSP extension: the larger of four codes by SSUB8 and SEL."""

from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.targets.cores import Core

CHANNELS = 4
"""Channels at once: one word of the input."""
MAX_TAPS_WRITTEN_OUT = 9
"""Taps of a window inside the input that need no loop."""


class MaxPoolDsp(Kernel):
    """The largest code of each window, four channels at a time; any window."""

    name: ClassVar[str] = "max_pool_dsp"
    op: ClassVar[str] = "max_pool"
    template: ClassVar[str] = "max_pool/dsp.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """At least four channels, on cores that have nothing wider."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        if core.mve:
            return "the core has Helium (MVE), which compares 16 codes at once"
        if layer.output.shape[-1] < CHANNELS:
            return f"fewer than {CHANNELS} channels"
        return None

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, four channels, read before they are written.

        The last four may overlap the ones before them: these are read and written again, the same.
        """
        channels = layer.output.shape[-1]
        channel = np.arange(channels, dtype=np.int64)
        first = np.minimum(channel // CHANNELS * CHANNELS, channels - CHANNELS)
        windows = window_reads(layer, first.tolist(), (first + CHANNELS - 1).tolist())
        begins = np.tile(channel % CHANNELS == 0, layer.output.size // channels)
        return in_order(
            Reads(np.where(begins, windows.low, NOTHING), np.where(begins, windows.high, -1))
        )

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window, and the places of its taps where they are written out."""
        window, shapes = layer.params, window_context(layer)
        width, channels = shapes["width"], shapes["channels"]
        places = [
            (h * window.dilation_h * width + w * window.dilation_w) * channels
            for h in range(window.kernel_h)
            for w in range(window.kernel_w)
        ]
        return {
            **shapes,
            "places": places if len(places) <= MAX_TAPS_WRITTEN_OUT else [],
            "span_h": (window.kernel_h - 1) * window.dilation_h + 1,
            "span_w": (window.kernel_w - 1) * window.dilation_w + 1,
        }
