"""How ONNX's convolutions arrive, and factors and addends per channel."""

import math

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.batches import emit_conv2d
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.spatial import channels_first, channels_last, import_window

MAP_RANK = 4
"""Most axes of what a convolution takes as it is."""


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Conv: NCHW or NCW input, OIHW or OIW weights."""
    x, weights_name = node.inputs[:2]
    weights = build.value(weights_name)
    if weights is None:
        raise build.unsupported(
            node, "the weights must be a constant", "export with folded weights"
        )
    kernel = tuple(int(k) for k in weights.shape[2:])
    window, _ = import_window(node, build, kernel, tuple(build.shape(x)[2:]))
    ohwi = np.moveaxis(
        weights.reshape(weights.shape[0], weights.shape[1], window.kernel_h, window.kernel_w), 1, 3
    )
    inputs = [
        channels_last(node, build, x),
        build.constant(ohwi, f"{node.name}.weights", "OHWI", weights_name),
    ]
    if node.has_input(2):
        bias = build.value(node.inputs[2])
        if bias is None:
            raise build.unsupported(node, "the bias must be a constant")
        inputs.append(build.constant(bias, f"{node.name}.bias", "O"))
    params = Conv2dParams(**vars(window), groups=int(node.attrs.get("group", 1)))
    return channels_first(node, build, emit_conv2d(node, build, inputs, params))


def emit_per_channel(
    node: ImportedNode, build: Builder, x: str, factor: Array, addend: Array
) -> str:
    """Emit `factor[c] * x + addend[c]` over axis 1 as a depthwise 1x1 convolution."""
    shape = build.shape(x)
    channels = shape[1]
    weights = np.broadcast_to(factor, (channels,)).astype(np.float32).reshape(channels, 1, 1, 1)
    bias = np.broadcast_to(addend, (channels,)).astype(np.float32)
    last = channels_last(node, build, x)
    lies = build.shape(last)
    # Places are all alike: those of a batch, or of more than two axes, are one long row.
    is_map = shape[0] == 1 and len(shape) <= MAP_RANK
    row = lies if is_map else (1, math.prod(lies[:-1]), channels)
    inputs = [
        build.reshape(last, row, node),
        build.constant(weights, f"{node.name}.weights", "OHWI"),
        build.constant(bias, f"{node.name}.bias", "O"),
    ]
    params = Conv2dParams(kernel_h=1, kernel_w=1, groups=channels)
    y = build.reshape(build.emit("conv2d", inputs, params, node), lies, node)
    return channels_first(node, build, y)


ONNX: dict[str, Importer] = {"Conv": from_onnx}
