"""Convolutions of one, two or three spatial axes, by the one that has two.

Of a volume, the planes that a window reaches into lie behind each other as channels: each plane of
the output is a convolution in two dimensions of that, all with the same weights, and so they are a
batch.  The sums are those of the three-dimensional convolution, rounded once.
"""

from collections.abc import Sequence

import numpy as np

from edgecomp.ir import NO_CLAMP, Array, Clamp
from edgecomp.ops.base import Builder, ImportedNode
from edgecomp.ops.batches import emit_conv2d
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import PadParams
from edgecomp.ops.spatial import SpatialAxis, window_of

MOST_AXES = 3


def emit_convolution(
    node: ImportedNode,
    build: Builder,
    x: str,
    weights: Array,
    bias: Array | None,
    axes: Sequence[SpatialAxis],
    *,
    groups: int = 1,
    clamp: Clamp = NO_CLAMP,
    like: tuple[str, str] = ("", ""),
) -> str:
    """Emit a convolution of a batch.

    Args:
        node: the layer.
        build: the graph in the making.
        x: channels last.
        weights: `(outputs, kernel…, inputs per group)`.
        bias: one number per output channel, or None.
        axes: the spatial axes.
        groups: of channels.
        clamp: fused activation.
        like: names of the file's weights and bias, whose quantization is kept.

    Returns:
        The output's name, channels last.
    """
    check_axes(node, build, axes)
    count, window = build.shape(x)[0], window_of(axes[-2:])
    is_volume = len(axes) > 2
    if is_volume:
        x = _planes_as_channels(node, build, x, axes[0], groups)
        weights = np.moveaxis(weights, 1, 3)
    weights = weights.reshape(len(weights), window.kernel_h, window.kernel_w, -1)
    inputs = [x, build.constant(weights, f"{node.name}.weights", "OHWI", like[0])]
    if bias is not None:
        inputs.append(build.constant(bias, f"{node.name}.bias", "O", like[1]))
    params = Conv2dParams(**vars(window), groups=groups, clamp=clamp)
    y = emit_conv2d(node, build, inputs, params)
    if not is_volume:
        return y
    return build.reshape(y, (count, axes[0].length, *build.shape(y)[1:]), node)


def check_axes(node: ImportedNode, build: Builder, axes: Sequence[object]) -> None:
    """Refuse more axes than there are rewritings for.

    Raises:
        UnsupportedError: naming the layer.
    """
    if not 1 <= len(axes) <= MOST_AXES:
        raise build.unsupported(node, f"{len(axes)} spatial axes", "use 1-D, 2-D or 3-D layers")


def _planes_as_channels(
    node: ImportedNode, build: Builder, x: str, depth: SpatialAxis, groups: int
) -> str:
    """Bring the planes of each window behind each other, in every group of channels."""
    if depth.before or depth.after:
        none = (0, 0, 0)
        border = PadParams((0, depth.before, *none), (0, depth.after, *none))
        x = build.emit("pad", [x], border, node, ".planes_around")
    begins = range(0, depth.length * depth.stride, depth.stride)
    places = [i + tap * depth.dilation for i in begins for tap in range(depth.kernel)]
    x = emit_gather(build, node, x, {1: places}, ".planes")
    count, _, height, width, channels = build.shape(x)
    windows = (count * depth.length, depth.kernel, height, width, groups, channels // groups)
    x = build.transpose(build.reshape(x, windows, node), (0, 2, 3, 4, 1, 5), node)
    return build.reshape(x, (count * depth.length, height, width, depth.kernel * channels), node)
