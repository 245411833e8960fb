"""Batches as one image: how convolutions, which have one input each, compute several.

The images stand below one another, each with its own padding, so that no window that counts reaches
into two of them; outputs of the windows that do are left out.
"""

from collections.abc import Sequence
from dataclasses import replace

from edgecomp.ops.base import Builder, ImportedNode
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import PadParams


def emit_conv2d(
    node: ImportedNode, build: Builder, inputs: Sequence[str], params: Conv2dParams
) -> str:
    """Emit a convolution of an NHWC or NWC input of any batch; its output lies likewise."""
    x, *weights = inputs
    count, length, *inner = build.shape(x)
    if count == 1:
        return build.emit("conv2d", inputs, params, node)
    if inner[1:]:
        span = params.dilation_h * (params.kernel_h - 1) + 1
        stride, before, after = params.stride_h, params.pad_top, params.pad_bottom
        bare = replace(params, pad_top=0, pad_bottom=0)
    else:
        span = params.dilation_w * (params.kernel_w - 1) + 1
        stride, before, after = params.stride_w, params.pad_left, params.pad_right
        bare = replace(params, pad_left=0, pad_right=0)
    padded = before + length + after
    # Every image begins where a window does.
    tall = -(-padded // stride) * stride
    if tall > length:
        others = (0,) * len(inner)
        border = PadParams((0, before, *others), (0, tall - length - before, *others))
        x = build.emit("pad", [x], border, node, ".border")
    stacked = build.reshape(x, (1, count * tall, *inner), node)
    y = build.emit("conv2d", [stacked, *weights], bare, node)
    rows = (padded - span) // stride + 1
    places = [image * tall // stride + row for image in range(count) for row in range(rows)]
    y = emit_gather(build, node, y, {1: places}, ".images")
    return build.reshape(y, (count, rows, *build.shape(y)[2:]), node)
