"""How ONNX's convolutions arrive, and factors and addends per channel."""

import math

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.spatial import channels_first, channels_last, import_axes
from edgecomp.ops.volumes import emit_convolution

MAP_RANK = 4
"""Most axes of what a convolution takes as it is."""


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Conv: one to three spatial axes, constant weights."""
    x, weights_name = node.inputs[:2]
    weights = build.value(weights_name)
    if weights is None:
        raise build.unsupported(
            node, "the weights must be a constant", "export with folded weights"
        )
    axes = import_axes(node, build, weights.shape[2:], build.shape(x)[2:])
    bias = build.value(node.inputs[2]) if node.has_input(2) else None
    if bias is None and node.has_input(2):
        raise build.unsupported(node, "the bias must be a constant")
    y = emit_convolution(
        node,
        build,
        channels_last(node, build, x),
        np.moveaxis(weights, 1, -1),
        bias,
        axes,
        groups=int(node.attrs.get("group", 1)),
        like=(weights_name, ""),
    )
    return channels_first(node, build, y)


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
