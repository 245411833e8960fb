"""What every core's kernel of a mean over the whole input shares."""

import numpy as np

from edgecomp.kernels.base import Layer
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.base import as_nhwc


def global_refusal(layer: Layer, most_pixels: int) -> str | None:
    """Say why a pool is no mean of one window, the whole input of at most so many pixels."""
    _, height, width, _ = as_nhwc(layer.inputs[0].shape)
    window = layer.params
    if layer.node.numerics != "edgecomp":
        return f"its numerics are {layer.node.numerics}"
    if (window.kernel_h, window.kernel_w) != (height, width) or window.has_padding:
        return "not one window without padding"
    if height * width > most_pixels:
        return f"more than {most_pixels} pixels"
    return None


def by_fours_refusal(layer: Layer) -> str | None:
    """Say why four channels at a time do not make up all of them."""
    return "channels not a multiple of 4" if layer.output.shape[-1] % 4 else None


def channels_at_a_time(layer: Layer, lanes: int) -> Schedule:
    """Some channels at a time: all their pixels are read, then the outputs are written."""
    channels = layer.output.shape[-1]
    first = np.arange(channels, dtype=np.int64)
    begins = first % lanes == 0
    last = np.minimum(first + lanes, channels) - 1 + layer.inputs[0].size - channels
    return Schedule(first, {0: Reads(np.where(begins, first, NOTHING), np.where(begins, last, -1))})
