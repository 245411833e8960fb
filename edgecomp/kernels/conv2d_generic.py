"""Convolution in plain C: any shape, any core."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer, linear_constants
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.base import as_nhwc
from edgecomp.targets.cores import Core


def window_context(layer: Layer) -> dict[str, Any]:
    """Shapes and window of a spatial layer."""
    _, height, width, channels = as_nhwc(layer.inputs[0].shape)
    _, out_height, out_width, out_channels = as_nhwc(layer.output.shape)
    assert layer.inputs[0].qparams is not None
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "out_height": out_height,
        "out_width": out_width,
        "out_channels": out_channels,
        "window": layer.params,
        "input_zero_point": layer.inputs[0].qparams.zero_point,
        "k": layer.prepared,
    }


def conv2d_sizes(layer: Layer) -> dict[str, Any]:
    """Shapes, window and groups of a convolution, as the templates call them."""
    return {
        **window_context(layer),
        "group_in": layer.inputs[1].shape[3],
        "group_out": layer.output.shape[-1] // layer.params.groups,
    }


class Conv2dGeneric(Kernel):
    """One output at a time, taps in the order of the weights."""

    name: ClassVar[str] = "conv2d_generic"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/generic.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OHWI."""
        return linear_constants(layer, layer.inputs[1].value, "OHWI")

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, output channel; each reads its group's channels of the whole window."""
        group_in = layer.inputs[1].shape[3]
        group = np.arange(layer.output.shape[-1]) // (layer.output.shape[-1] // layer.params.groups)
        first = group * group_in
        return in_order(window_reads(layer, first.tolist(), (first + group_in - 1).tolist()))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and groups."""
        return {
            **conv2d_sizes(layer),
            "has_shift": bool(np.any(layer.prepared.shift)),
            "weights_per_output": math.prod(layer.inputs[1].shape[1:]),
        }


class DepthwiseGeneric(Kernel):
    """Depthwise convolution: one channel at a time, weights as HWC."""

    name: ClassVar[str] = "depthwise_generic"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/depthwise.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Only several groups of one input channel each."""
        if layer.params.groups == 1 or layer.inputs[1].shape[3] != 1:
            return "not one input channel per group"
        return None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as HWC."""
        weights = layer.inputs[1].value[..., 0]
        return linear_constants(layer, np.ascontiguousarray(np.moveaxis(weights, 0, 2)), "HWC")

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, output channel; each reads its own channel of the window."""
        multiplier = layer.output.shape[-1] // layer.params.groups
        own = (np.arange(layer.output.shape[-1]) // multiplier).tolist()
        return in_order(window_reads(layer, own, own))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and channel multiplier."""
        return {
            **window_context(layer),
            "channel_multiplier": layer.output.shape[-1] // layer.params.groups,
            "has_shift": bool(np.any(layer.prepared.shift)),
        }
