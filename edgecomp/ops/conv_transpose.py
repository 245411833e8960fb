"""How transposed convolutions arrive: as a convolution that makes a block of pixels at once.

Along an axis with stride s, output `s * i + r` of a transposed convolution with window w is
`Σ_j w[s * j + r] * x[i - j]`: a convolution of the input with every s-th tap, for each residue r.
All residues together are one convolution with s times as many channels, over windows of `⌈k / s⌉`
taps; its channels are then dealt out to the pixels of a block, and the padding is cut off.  Nothing
is multiplied by the zeros between pixels, and every kernel of convolutions serves.
Source of the semantics: ONNX ConvTranspose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import NO_CLAMP, Array, Clamp
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.batches import emit_conv2d
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.spatial import channels_first, channels_last


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
    axes: tuple[TransposedAxis, TransposedAxis],
    groups: int = 1,
    clamp: Clamp = NO_CLAMP,
    like: tuple[str, str] = ("", ""),
) -> str:
    """Emit a transposed convolution of a channels-last map.

    Args:
        node: the layer.
        build: the graph in the making.
        x: NHWC, or NWC where the first axis has size 1.
        weights: `(groups, outputs per group, kernel_h, kernel_w, inputs per group)`.
        bias: one number per output channel, or None.
        axes: height and width.
        groups: of channels.
        clamp: fused activation.
        like: names of the file's weights and bias, whose quantization is kept.

    Returns:
        The output's name, channels last.
    """
    _, outputs, kernel_h, kernel_w, inputs = weights.shape
    batch, rank = build.shape(x)[0], len(build.shape(x))
    rows, columns = axes
    taps = [
        max(-(-max(kernel, axis.pad + axis.out - (axis.size - 1) * axis.stride) // axis.stride), 1)
        for kernel, axis in zip((kernel_h, kernel_w), axes, strict=True)
    ]
    blocks = np.zeros(
        (groups, outputs, taps[0] * rows.stride, taps[1] * columns.stride, inputs), weights.dtype
    )
    blocks[:, :, :kernel_h, :kernel_w] = weights
    blocks = blocks.reshape(groups, outputs, taps[0], rows.stride, taps[1], columns.stride, inputs)
    # Tap j reads the pixel j before: the window of a convolution runs the other way.
    blocks = blocks[:, :, ::-1, :, ::-1].transpose(0, 3, 5, 1, 2, 4, 6)
    area = rows.stride * columns.stride
    constants = [
        build.constant(
            np.ascontiguousarray(blocks).reshape(groups * area * outputs, *taps, inputs),
            f"{node.name}.weights",
            "OHWI",
            like[0] if groups == 1 else "",
        )
    ]
    if bias is not None:
        every = np.broadcast_to(bias.reshape(groups, 1, outputs), (groups, area, outputs))
        constants.append(
            build.constant(
                every.reshape(-1), f"{node.name}.bias", "O", like[1] if groups == 1 else ""
            )
        )
    pads = [count - 1 for count in taps]
    params = Conv2dParams(
        kernel_h=taps[0], kernel_w=taps[1], pad_top=pads[0], pad_bottom=pads[0],
        pad_left=pads[1], pad_right=pads[1], groups=groups, clamp=clamp,
    )  # fmt: skip
    y = emit_conv2d(node, build, [x, *constants], params)
    height, width = (axis.size + count - 1 for axis, count in zip(axes, taps, strict=True))
    if area > 1:
        split = (batch, height, width, groups, rows.stride, columns.stride, outputs)
        y = build.transpose(build.reshape(y, split, node), (0, 1, 4, 2, 5, 3, 6), node)
    whole = (height * rows.stride, width * columns.stride, groups * outputs)
    y = build.reshape(y, (batch, *(whole if rank == 4 else whole[1:])), node)
    return emit_gather(
        build,
        node,
        y,
        {
            place: range(axis.pad, axis.pad + axis.out)
            for place, axis in zip((1, 2) if rank == 4 else (-1, 1), axes, strict=True)
            if place > 0
        },
        ".cut",
    )


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
    if rank not in {1, 2}:
        raise build.unsupported(node, f"{rank} spatial axes", "use 1-D or 2-D layers")
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
    if rank == 1:
        dilated = dilated[:, :, None, :]
    ordered = dilated.reshape(groups, -1, *dilated.shape[1:]).transpose(0, 2, 3, 4, 1)
    bias = build.value(node.inputs[2]) if node.has_input(2) else None
    if bias is None and node.has_input(2):
        raise build.unsupported(node, "the bias must be a constant")
    axes = _geometry(node, build, shape[2:], kernel)
    height = TransposedAxis(1, 1, 1, 0) if rank == 1 else axes[0]
    y = emit_conv_transpose(
        node, build, channels_last(node, build, x), ordered, bias, (height, axes[-1]), groups
    )
    return channels_first(node, build, y)


ONNX: dict[str, Importer] = {"ConvTranspose": _import}
