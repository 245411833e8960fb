"""Depthwise convolution of any window on cores with Helium (MVE), sixteen channels at a time."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.finish import vector_words
from edgecomp.kernels.gemm_mve import LANES, as_words, blocks_of, refusal
from edgecomp.kernels.rows_mve import WIDENED
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.window_taps import no_table_of_taps, taps_context, taps_scratch
from edgecomp.targets.cores import Core


class DepthwiseAnyMve(Kernel):
    """16 channels of a pixel at once, two taps together; any window."""

    name: ClassVar[str] = "depthwise_any_mve"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/mve_depthwise_any.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """No channel multiplier; products of two taps must fit 16 bits."""
        if reason := refusal(layer, core) or no_table_of_taps(layer):
            return reason
        return "a weight of -128" if np.any(layer.inputs[1].value == -128) else None

    def scratch_bytes(self, layer: Layer) -> int:
        """A pixel of padding."""
        return taps_scratch(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, sixteen channels."""
        channels = layer.output.shape[-1]
        first = np.arange(channels) // LANES * LANES
        last = np.minimum(first + LANES, channels) - 1
        return in_order(window_reads(layer, first.tolist(), last.tolist()))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """One stream in the order of use."""
        k = layer.prepared
        weights = layer.inputs[1].value.reshape(layer.output.shape[-1], -1)
        taps = np.ascontiguousarray(blocks_of(weights, LANES).swapaxes(1, 2).astype(np.int8))
        words = (k.bias, *vector_words(k))
        bias, *ends = (blocks_of(word.astype(np.int32), LANES)[:, WIDENED] for word in words)
        comment = "by 16 channels: biases as sums are widened, weights of each tap, multipliers"
        return [Constant("stream", "uint32_t", as_words(bias, taps, *ends), True, comment)]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and blocks of channels."""
        shapes = taps_context(layer)
        words = LANES * (1 + len(vector_words(layer.prepared)))
        return {**shapes, "block_words": words + LANES // 4 * shapes["tap_count"]}
