"""Convolution without scratch on Armv7-M without the DSP extension: 2 pixels x 4 channels."""

from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Layer
from edgecomp.kernels.gemm_m3 import clamp_suffix, core_refusal, requantize_refusal
from edgecomp.kernels.lean import LeanConv, Place
from edgecomp.targets.cores import Core

CHANNELS = 4
PIXELS = 2
MAX_OFFSET = 4095
"""Largest number that a load of a signed byte adds."""
MAX_UNROLL = 8
"""Inputs that the loop over a run takes at once, at most."""


class Conv2dLeanM3(LeanConv):
    """A word of four weights meets two codes: eight MLA and four SXTB; single pixels at borders."""

    name: ClassVar[str] = "conv2d_lean_m3"
    template: ClassVar[str] = "conv2d/m3_lean.c.j2"
    channels_at_once: ClassVar[int] = CHANNELS
    pixels_at_once: ClassVar[int] = PIXELS
    start_bytes: ClassVar[int] = 4 * CHANNELS
    tap_bytes: ClassVar[int] = CHANNELS

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Plain convolutions, channels by fours."""
        reason = core_refusal(core) or self.shape_refusal(layer, core)
        if reason is None:
            reason = requantize_refusal(layer)
        if reason is None and layer.params.stride_w * layer.inputs[0].shape[-1] > MAX_OFFSET:
            reason = "pixels further apart than a load reaches"
        return reason

    def stream(self, layer: Layer) -> Array:
        """Per block: biases of every path, a word of weights per input, twice the multipliers."""
        lean = self.lean(layer)
        weights = layer.inputs[1].value
        blocks = len(weights) // CHANNELS
        codes = np.ascontiguousarray(
            np.moveaxis(weights.reshape(blocks, CHANNELS, -1), 1, 2)
        ).astype(np.int8)
        words = codes.view("<u4").reshape(blocks, -1).astype(np.int64)
        starts = [bias.reshape(blocks, CHANNELS) for bias in lean.biases()]
        twice = 2 * layer.prepared.multiplier.astype(np.int64).reshape(blocks, CHANNELS)
        parts = np.concatenate([*starts, words, twice], axis=1)
        return np.asarray((parts & 0xFFFFFFFF).astype(np.uint32).reshape(-1))

    def context(self, layer: Layer) -> dict[str, Any]:
        """The paths, and the functions for two pixels and for one."""
        lean, k = self.lean(layer), layer.prepared
        step = layer.params.stride_w * lean.channels
        unroll, suffix = lean.unroll(MAX_UNROLL), clamp_suffix(k)
        zero_point = str(k.zero_point).replace("-", "m")

        def name(pixels: int) -> str:
            shape = f"{step}_to_{lean.out_channels}" if pixels == PIXELS else "one"
            return f"lean_{shape}_by_{unroll}_{zero_point}{suffix}"

        def calls(place: Place) -> list[tuple[int, int, int]]:
            """Pixels of a call, first output, calls."""
            count, start = place.columns.count, place.columns.start
            pairs = [(PIXELS, start, count // PIXELS)] if count >= PIXELS else []
            rest = [(1, start + count - 1, 1)] if count % PIXELS else []
            return pairs + rest

        sizes = sorted({pixels for place in lean.places for pixels, _, _ in calls(place)})
        return {
            "l": lean,
            "k": k,
            "step": step,
            "names": {pixels: name(pixels) for pixels in sizes},
            "calls": [(place, calls(place)) for place in lean.places],
            "unroll": unroll,
            "stream_words": len(self.stream(layer)),
        }
