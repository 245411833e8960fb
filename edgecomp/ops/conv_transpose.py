"""How transposed convolutions arrive: as a convolution that makes a block of pixels at once.

Along an axis with stride s, output `s * i + r` of a transposed convolution with window w is
`Σ_j w[s * j + r] * x[i - j]`: a convolution of the input with every s-th tap, for each residue r.
All residues together are one convolution with s times as many channels, over windows of `⌈k / s⌉`
taps; its channels are then dealt out to the pixels of a block, and the padding is cut off.  Nothing
is multiplied by the zeros between pixels, and every kernel of convolutions serves.
Source of the semantics: ONNX ConvTranspose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.spatial import SpatialAxis, channels_first, channels_last
from edgecomp.ops.volumes import emit_convolution


@dataclass(frozen=True)
class TransposedAxis:
    """One axis of a transposed convolution.

    Attributes:
        size: of the input.
        stride: pixels of the output between those of the input.
        out: length of the output.
        pad: pixels cut off before it.
    """

    size: int
    stride: int
    out: int
    pad: int


def emit_conv_transpose(
    node: ImportedNode,
    build: Builder,
    x: str,
    weights: Array,
    bias: Array | None,
    axes: Sequence[TransposedAxis],
    groups: int = 1,
    like: tuple[str, str] = ("", ""),
) -> str:
    """Emit a transposed convolution of a channels-last input.

    Args:
        node: the layer.
        build: the graph in the making.
        x: channels last, with one to three spatial axes.
        weights: `(groups, outputs per group, kernel…, inputs per group)`.
        bias: one number per output channel, or None.
        axes: the spatial axes.
        groups: of channels.
        like: names of the file's weights and bias, whose quantization is kept.

    Returns:
        The output's name, channels last.
    """
    outputs, inputs, rank = weights.shape[1], weights.shape[-1], len(axes)
    strides = [axis.stride for axis in axes]
    taps = [
        max(-(-max(kernel, axis.pad + axis.out - (axis.size - 1) * axis.stride) // axis.stride), 1)
        for kernel, axis in zip(weights.shape[2:-1], axes, strict=True)
    ]
    whole = [count * stride for count, stride in zip(taps, strides, strict=True)]
    blocks = np.zeros((groups, outputs, *whole, inputs), weights.dtype)
    blocks[tuple(slice(n) for n in weights.shape)] = weights
    pairs = [n for pair in zip(taps, strides, strict=True) for n in pair]
    blocks = blocks.reshape(groups, outputs, *pairs, inputs)
    # Tap j reads the pixel j before: the window of a convolution runs the other way.
    tap_axes, stride_axes = range(2, 2 + 2 * rank, 2), range(3, 3 + 2 * rank, 2)
    blocks = np.flip(blocks, tuple(tap_axes)).transpose(0, *stride_axes, 1, *tap_axes, -1)
    area = math.prod(strides)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(groups, 1, outputs), (groups, area, outputs))
        bias = bias.reshape(-1)
    y = emit_convolution(
        node,
        build,
        x,
        np.ascontiguousarray(blocks).reshape(groups * area * outputs, *taps, inputs),
        bias,
        [
            SpatialAxis(axis.size, count, before=count - 1, after=count - 1)
            for axis, count in zip(axes, taps, strict=True)
        ],
        groups=groups,
        like=like if groups == 1 else ("", ""),
    )
    batch, *sizes, _ = build.shape(y)
    if area > 1:
        dealt = [n for axis in range(rank) for n in (1 + axis, 2 + rank + axis)]
        split = (batch, *sizes, groups, *strides, outputs)
        moved = (0, *dealt, 1 + rank, 2 + 2 * rank)
        y = build.transpose(build.reshape(y, split, node), moved, node)
    spread = (size * stride for size, stride in zip(sizes, strides, strict=True))
    y = build.reshape(y, (batch, *spread, groups * outputs), node)
    kept = {place: range(a.pad, a.pad + a.out) for place, a in enumerate(axes, start=1)}
    return emit_gather(build, node, y, kept, ".cut")


def _geometry(
    node: ImportedNode, build: Builder, spatial: Sequence[int], kernel: Sequence[int]
) -> list[TransposedAxis]:
    """Strides, padding and output size of each spatial axis."""
    rank = len(spatial)
    strides = list(node.attrs.get("strides") or [1] * rank)
    extra = list(node.attrs.get("output_padding") or [0] * rank)
    pads = list(node.attrs.get("pads") or [0] * (2 * rank))
    wanted = node.attrs.get("output_shape")
    auto = node.attrs.get("auto_pad", "NOTSET")
    axes = []
    for index, (size, span, stride) in enumerate(zip(spatial, kernel, strides, strict=True)):
        before, after = pads[index], pads[index + rank]
        full = (size - 1) * stride + span + extra[index]
        if wanted or auto in {"SAME_UPPER", "SAME_LOWER"}:
            out = int(list(wanted)[-rank:][index]) if wanted else size * stride
            total = full - out
            if total < 0 and not wanted:
                raise build.unsupported(
                    node, "windows smaller than their stride", "say pads instead", "auto_pad"
                )
            total = max(total, 0)
            before = total // 2 if auto != "SAME_LOWER" else total - total // 2
        else:
            out = full - (0 if auto == "VALID" else before + after)
            before = 0 if auto == "VALID" else before
        if out < 1 or before < 0:
            raise build.unsupported(node, f"an output of {out} elements", attribute="pads")
        axes.append(TransposedAxis(int(size), int(stride), int(out), int(before)))
    return axes


def _import(node: ImportedNode, build: Builder) -> str:
    """Import ONNX ConvTranspose: a convolution that makes blocks of pixels."""
    x = node.inputs[0]
    shape = build.shape(x)
    weights = build.value(node.inputs[1])
    if weights is None:
        raise build.unsupported(node, "the weights must be a constant")
    rank = len(shape) - 2
    groups = int(node.attrs.get("group", 1))
    dilations = [int(d) for d in node.attrs.get("dilations") or [1] * rank]
    # (inputs, outputs per group, kernel...), a dilated window with zeros between its taps.
    kernel = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    dilated = np.zeros((*weights.shape[:2], *kernel), weights.dtype)
    places = np.ix_(
        *(range(n) for n in weights.shape[:2]),
        *(range(0, k, d) for k, d in zip(kernel, dilations, strict=True)),
    )
    dilated[places] = weights
    ordered = np.moveaxis(dilated.reshape(groups, -1, *dilated.shape[1:]), 1, -1)
    bias = build.value(node.inputs[2]) if node.has_input(2) else None
    if bias is None and node.has_input(2):
        raise build.unsupported(node, "the bias must be a constant")
    axes = _geometry(node, build, shape[2:], kernel)
    last = channels_last(node, build, x)
    y = emit_conv_transpose(node, build, last, ordered, bias, axes, groups)
    return channels_first(node, build, y)


ONNX: dict[str, Importer] = {"ConvTranspose": _import}
