"""What decides how much a layer costs: its operator, shapes, window, and little of its weights."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecomp.ir import Clamp, OpParams
from edgecomp.kernels.base import Layer

PLAIN = "dense8"
"""The storage of weights that need no decoder."""
BANDS = (2, 4)
"""Rows that stages may compute at a time, beside one."""
Kind = tuple[int, bool, bool]
"""Rows of a layer that was cut to one or to a band, 0 for whole layers; whether it has groups;
whether windows reach outside the input."""
_ZERO_POINT = re.compile(r"_0(?=(_[a-z]+)?($| for ))")


def signature(layer: Layer) -> str:
    """What decides a layer's cost, beside its weights: operator, shapes, window."""
    parameters = ",".join(
        f"{name}={value}"
        for name, value in sorted(_plain(layer.params).items())
        if value not in {0, 1}
    )
    shapes = [tensor.shape for tensor in (*layer.inputs[:2], layer.output)]
    text = " ".join("x".join(str(n) for n in shape) for shape in shapes)
    numerics = "" if layer.node.numerics == "edgecomp" else f" {layer.node.numerics}"
    narrows = layer.inputs[0].dtype is not layer.output.dtype
    of = f" of {layer.inputs[0].dtype.value}" if narrows else ""
    coded = ""
    if is_coded(layer):
        share = round(100 * _nonzero(layer) / layer.inputs[1].size)
        coded = f" {' or '.join(layer.storages)} {share}% not 0"
        if "sparse" in layer.storages:
            coded += f", {round(100 * _live_blocks(layer))}% of blocks"
    return f"{layer.node.op} {text} {parameters}".strip() + numerics + of + coded


def is_coded(layer: Layer) -> bool:
    """Whether the layer's weights are to be decoded."""
    return PLAIN not in layer.storages


def _nonzero(layer: Layer) -> int:
    return int(np.count_nonzero(layer.inputs[1].value))


def _live_blocks(layer: Layer) -> float:
    """The share of blocks of four neighbouring weights of a channel that are not all 0."""
    rows = layer.inputs[1].value.reshape(layer.inputs[1].shape[0], -1)
    blocks = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).reshape(-1, 4)
    return float(blocks.any(axis=1).mean())


def kind_of(text: str) -> Kind:
    """Tell layers apart that the same kernel computes in other ways, by their signatures.

    What a kernel needs for whole layers says little of rows: strips and blocks are cut off.  All
    bands are alike.

    >>> kind_of("conv2d 1x3x32x16 16x3x3x16 1x1x32x16"), kind_of("dense 1x8 4x8 1x4")
    ((1, False, True), (0, False, False))
    >>> kind_of("conv2d 1x5x33x16 16x3x3x1 1x2x16x16 groups=16,stride_h=2,stride_w=2")
    (2, True, False)
    """
    op, *words = text.split()
    if op != "conv2d":
        return 0, False, False
    grouped = "groups=" in text
    size, (_, kernel_h, kernel_w, _), out = (
        [int(n) for n in shape.split("x")] for shape in words[:3]
    )
    if len(out) != 4:
        return 0, grouped, "pad_" in text
    numbers = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}
    below, beside = (
        (out[axis] - 1) * numbers.get(f"stride_{name}", 1)
        + (kernel - 1) * numbers.get(f"dilation_{name}", 1)
        + 1
        - size[axis]
        for axis, name, kernel in ((1, "h", kernel_h), (2, "w", kernel_w))
    )
    one_dimensional = kernel_h == 1 and kernel_w > 1
    whole = out[1] not in {1, *BANDS} or one_dimensional or below != 0 or out[1] == out[2] > 1
    return (0 if whole else min(out[1], *BANDS)), grouped, below > 0 or beside > 0


def own_functions(functions: Mapping[str, int], layer: Layer) -> dict[str, int]:
    """The functions as they are called for a layer: the names of some end with its zero point.

    Those that were measured have 0 there, as all layers that are measured, and the whole range of a
    code: a layer with other numbers has functions of its own.
    """
    qparams, clamp = layer.output.qparams, getattr(layer.params, "clamp", None)
    if qparams is None or clamp is None:
        return dict(functions)
    numbers = [qparams.zero_point]
    if (codes := clamp.codes(qparams)) != qparams.limits:
        numbers += codes
    own = "".join(f"_{number}" for number in numbers)
    return {_ZERO_POINT.sub(own, name): size for name, size in functions.items()}


def weights_shape(layer: Layer) -> str:
    """What code that is made for a layer's shape depends on."""
    return "x".join(str(n) for n in layer.inputs[min(1, len(layer.inputs) - 1)].shape)


def _plain(params: OpParams) -> dict[str, Any]:
    """The numbers among the parameters; a fused clamp costs nothing."""
    return {
        name: value
        for name, value in vars(params).items()
        if not isinstance(value, Clamp) and isinstance(value, int)
    }


def sizes(layer: Layer) -> tuple[int, ...]:
    """The numbers that a layer's cost is taken to be a sum of, what is the more work the earlier.

    They are multiply-accumulates, outputs, inputs, taps of all outputs, products and outputs of a
    channel, channels, and one layer.  Where weights are decoded, there are instead of taps,
    products and outputs how many weights there are, how many are not 0, and the
    multiply-accumulates of the blocks of four that are not all 0; of a table those count that the
    output takes.
    """
    channels = max((1, *layer.output.shape)[-1], 1)
    if is_coded(layer):
        live = round(layer.macs * _live_blocks(layer))
        table = layer.inputs[1].size
        taken = layer.output.size / table if layer.node.op == "embedding" else 1.0
        more = round(taken * table), round(taken * _nonzero(layer)), live
    else:
        depth = max(layer.inputs[1].shape[-1], 1) if layer.node.op == "conv2d" else 1
        more = layer.macs // depth, layer.macs // channels, layer.output.size // channels
    return (
        layer.macs,
        layer.output.size,
        sum(tensor.size for tensor in layer.inputs if not tensor.is_const),
        *more,
        channels,
        1,
    )
