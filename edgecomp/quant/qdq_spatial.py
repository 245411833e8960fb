"""How spatial layers are written in ONNX: channels first, at least one spatial axis.

Emitters get a node and return the name of its real output and whether that has its channels first.
"""

import math
from typing import Any

import numpy as np

from edgecomp.ir import Clamp, Node, Tensor
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.pool import AveragePoolParams
from edgecomp.ops.spatial import Window
from edgecomp.quant.qdq_builder import QdqBuilder
from edgecomp.quant.qdq_unary import emit_clip

Emitted = tuple[str, bool]


def operands(build: QdqBuilder, node: Node) -> tuple[Tensor, ...]:
    """Tensors that a node reads."""
    return build.graph.node_inputs(node)


def real_name(node: Node) -> str:
    """Name of a node's output before it is quantized."""
    return f"{node.output}.real"


def clamped(build: QdqBuilder, node: Node, name: str) -> str:
    """Add the fused activation, without the bounds that saturation keeps anyway."""
    clamp: Clamp = node.params.clamp  # type: ignore[attr-defined]
    q = build.graph.tensors[node.output].qparams
    assert q is not None
    least, largest = clamp.codes(q)
    low = clamp.low if clamp.low == 0 or least > -128 else -math.inf
    high = clamp.high if largest < 127 else math.inf
    return emit_clip(build, name, low, high, f"{node.output}.clamped")


def _spatial_input(build: QdqBuilder, node: Node) -> str:
    """The input with channels first and at least one spatial axis."""
    x = operands(build, node)[0]
    name = build.take(x.name, first=True)
    if len(x.shape) > 2:
        return name
    shape = build.constant(np.array([*x.shape, 1], np.int64), f"{node.name}.shape")
    return build.emit("Reshape", [name, shape], f"{x.name}.spatial")


def _spatial_output(build: QdqBuilder, node: Node, name: str) -> Emitted:
    """Take the spatial axis away again that `_spatial_input` added."""
    output = build.graph.tensors[node.output]
    if len(output.shape) > 2:
        return name, True
    shape = build.constant(np.array(output.shape, np.int64), f"{node.name}.shape")
    return build.emit("Reshape", [name, shape], f"{node.output}.flat"), False


def _axes(window: Window, rank: int, quantity: str) -> list[int]:
    """One number per spatial axis."""
    pair = [getattr(window, f"{quantity}_h"), getattr(window, f"{quantity}_w")]
    return pair if rank == 4 else pair[1:]


def _window(window: Window, rank: int) -> dict[str, Any]:
    """Strides, dilations and pads as attributes; dilations only where there are some."""
    begin, end = [window.pad_top, window.pad_left], [window.pad_bottom, window.pad_right]
    if rank != 4:
        begin, end = begin[1:], end[1:]
    dilations = _axes(window, rank, "dilation")
    return {
        "strides": _axes(window, rank, "stride"),
        "pads": begin + end,
        "dilations": dilations if set(dilations) != {1} else None,
    }


def emit_conv2d(build: QdqBuilder, node: Node) -> Emitted:
    """Add a convolution, its weights as OIHW."""
    params = node.params
    assert isinstance(params, Conv2dParams)
    x, weights, *bias = operands(build, node)
    rank = len(x.shape)
    oihw = np.moveaxis(weights.value, 3, 1)
    inputs = [
        _spatial_input(build, node),
        build.dequantized(weights, oihw if rank == 4 else oihw[:, :, 0, :]),
        *(build.dequantized(tensor, tensor.value) for tensor in bias),
    ]
    y = build.emit(
        "Conv",
        inputs,
        real_name(node),
        group=params.groups,
        kernel_shape=_axes(params, rank, "kernel"),
        **_window(params, rank),
    )
    name, first = _spatial_output(build, node, y)
    return clamped(build, node, name), first


def emit_max_pool(build: QdqBuilder, node: Node) -> Emitted:
    """Add a max pool."""
    assert isinstance(node.params, Window)
    rank = len(operands(build, node)[0].shape)
    y = build.emit(
        "MaxPool",
        [_spatial_input(build, node)],
        real_name(node),
        kernel_shape=_axes(node.params, rank, "kernel"),
        **_window(node.params, rank),
    )
    return _spatial_output(build, node, y)


def emit_average_pool(build: QdqBuilder, node: Node) -> Emitted:
    """Add an average pool, a global one where the window covers all."""
    params = node.params
    assert isinstance(params, AveragePoolParams)
    x = operands(build, node)[0]
    rank = len(x.shape)
    kernel = _axes(params, rank, "kernel")
    if kernel == list(x.shape[1:-1]) and not params.has_padding:
        y = build.emit("GlobalAveragePool", [_spatial_input(build, node)], real_name(node))
    else:
        window = _window(params, rank)
        if window["dilations"] is not None:
            build.needs_opset(19)
        include = int(params.count_include_pad)
        y = build.emit(
            "AveragePool",
            [_spatial_input(build, node)],
            real_name(node),
            kernel_shape=kernel,
            count_include_pad=include or None,
            **window,
        )
    name, first = _spatial_output(build, node, y)
    return clamped(build, node, name), first
