"""How each operator of a quantized graph is written in ONNX, in real numbers.

An emitter gets a node and returns the name of its real output and whether that has its channels
first.  Tensors stay in whatever order their neighbours want, so a convolutional network has no
transposes inside.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgecomp.ir import Array, Clamp, Node, Tensor
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import ConcatParams, PadParams, ReshapeParams, TransposeParams
from edgecomp.ops.pool import AveragePoolParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.spatial import Window
from edgecomp.ops.unary import UnaryParams
from edgecomp.quant.qdq_builder import QdqBuilder, channels_first
from edgecomp.quant.qdq_unary import emit_clip, emit_expression

Emitted = tuple[str, bool]
Emitter = Callable[[QdqBuilder, Node], Emitted]


def emit_node(build: QdqBuilder, node: Node) -> Emitted:
    """Add the ONNX nodes of one node: name of the real output, and whether channels are first."""
    return EMITTERS[node.op](build, node)


def _tensors(build: QdqBuilder, node: Node) -> tuple[Tensor, ...]:
    return build.graph.node_inputs(node)


def _real(node: Node) -> str:
    return f"{node.output}.real"


def _clamped(build: QdqBuilder, node: Node, name: str) -> str:
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
    x = _tensors(build, node)[0]
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


def _conv2d(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, Conv2dParams)
    x, weights, *bias = _tensors(build, node)
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
        _real(node),
        group=params.groups,
        kernel_shape=_axes(params, rank, "kernel"),
        **_window(params, rank),
    )
    name, first = _spatial_output(build, node, y)
    return _clamped(build, node, name), first


def _dense(build: QdqBuilder, node: Node) -> Emitted:
    x, weights, *bias = _tensors(build, node)
    name = build.take(x.name, first=False)
    # Gemm takes matrices; a MatMul and an Add would have a tensor without scale between them.
    if len(x.shape) != 2:
        rows = build.constant(np.array([-1, x.shape[-1]], np.int64), f"{node.name}.rows")
        name = build.emit("Reshape", [name, rows], f"{x.name}.rows")
    constants = [build.dequantized(tensor, tensor.value) for tensor in (weights, *bias)]
    y = _clamped(build, node, build.emit("Gemm", [name, *constants], _real(node), transB=1))
    if len(x.shape) != 2:
        shape = np.array(build.graph.tensors[node.output].shape, np.int64)
        y = build.emit(
            "Reshape", [y, build.constant(shape, f"{node.name}.shape")], f"{node.output}.shaped"
        )
    return y, False


def _elementwise(op_type: str) -> Emitter:
    def emitter(build: QdqBuilder, node: Node) -> Emitted:
        tensors = _tensors(build, node)
        first = next(build.forms[t.name].first for t in tensors if not t.is_const)
        names = [
            build.dequantized(t, _in_form(t.value, first))
            if t.is_const
            else build.take(t.name, first=first)
            for t in tensors
        ]
        return _clamped(build, node, build.emit(op_type, names, _real(node))), first

    return emitter


def _in_form(data: Array, first: bool) -> Array:
    return data.transpose(channels_first(data.ndim)) if first and data.ndim > 2 else data


def _unary(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, UnaryParams)
    form = build.forms[node.inputs[0]]
    return emit_expression(build, node.params.expr, form.name, _real(node)), form.first


def _prelu(build: QdqBuilder, node: Node) -> Emitted:
    x, slopes = _tensors(build, node)
    rank = len(x.shape)
    shape = (-1, *([1] * (rank - 2)))
    name = build.constant(slopes.value.astype(np.float32).reshape(shape), slopes.name)
    y = build.emit("PRelu", [build.take(x.name, first=True), name], _real(node))
    return y, rank > 2


def _max_pool(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, Window)
    rank = len(_tensors(build, node)[0].shape)
    y = build.emit(
        "MaxPool",
        [_spatial_input(build, node)],
        _real(node),
        kernel_shape=_axes(node.params, rank, "kernel"),
        **_window(node.params, rank),
    )
    return _spatial_output(build, node, y)


def _average_pool(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, AveragePoolParams)
    x = _tensors(build, node)[0]
    rank = len(x.shape)
    kernel = _axes(params, rank, "kernel")
    if kernel == list(x.shape[1:-1]) and not params.has_padding:
        y = build.emit("GlobalAveragePool", [_spatial_input(build, node)], _real(node))
    else:
        window = _window(params, rank)
        if window["dilations"] is not None:
            build.needs_opset(19)
        include = int(params.count_include_pad)
        y = build.emit(
            "AveragePool",
            [_spatial_input(build, node)],
            _real(node),
            kernel_shape=kernel,
            count_include_pad=include or None,
            **window,
        )
    name, first = _spatial_output(build, node, y)
    return _clamped(build, node, name), first


def _reduce_mean(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, ReduceMeanParams)
    x = _tensors(build, node)[0]
    rank = len(x.shape)
    # All spatial axes may go in either order: what is left is N C.
    either = params.keepdims or params.axes == tuple(range(1, rank - 1))
    first = build.forms[x.name].first and either
    places = channels_first(rank) if first else tuple(range(rank))
    axes = build.constant(
        np.array(sorted(places.index(axis) for axis in params.axes), np.int64), f"{node.name}.axes"
    )
    y = build.emit(
        "ReduceMean",
        [build.take(x.name, first=first), axes],
        _real(node),
        keepdims=int(params.keepdims),
    )
    return _clamped(build, node, y), first and params.keepdims


def _softmax(build: QdqBuilder, node: Node) -> Emitted:
    x = build.take(node.inputs[0], first=False)
    return build.emit("Softmax", [x], _real(node), axis=-1), False


def _pad(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, PadParams)
    form = build.forms[node.inputs[0]]
    rank = len(params.before)
    places = channels_first(rank) if form.first else tuple(range(rank))
    pads = [params.before[axis] for axis in places] + [params.after[axis] for axis in places]
    inputs = [
        form.name,
        build.constant(np.array(pads, np.int64), f"{node.name}.pads"),
        build.constant(np.array(params.value, np.float32), f"{node.name}.value"),
    ]
    return build.emit("Pad", inputs, _real(node)), form.first


def _concat(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, ConcatParams)
    first = build.forms[node.inputs[0]].first
    rank = len(build.graph.tensors[node.output].shape)
    axis = channels_first(rank).index(node.params.axis) if first else node.params.axis
    names = [build.take(name, first=first) for name in node.inputs]
    return build.emit("Concat", names, _real(node), axis=axis), first


def _reshape(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, ReshapeParams)
    x = _tensors(build, node)[0]
    # Where all but one axis is 1 the order of the axes does not matter.
    scattered = sum(n > 1 for n in x.shape) > 1
    first = build.forms[x.name].first and not scattered
    shape = build.constant(np.array(node.params.shape, np.int64), f"{node.name}.shape")
    y = build.emit("Reshape", [build.take(x.name, first=first), shape], _real(node))
    return y, False


def _transpose(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, TransposeParams)
    x = build.take(node.inputs[0], first=False)
    return build.emit("Transpose", [x], _real(node), perm=node.params.perm), False


EMITTERS: dict[str, Emitter] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "add": _elementwise("Add"),
    "sub": _elementwise("Sub"),
    "mul": _elementwise("Mul"),
    "unary": _unary,
    "prelu": _prelu,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "reduce_mean": _reduce_mean,
    "softmax": _softmax,
    "pad": _pad,
    "concat": _concat,
    "reshape": _reshape,
    "transpose": _transpose,
}
"""How each operator is written."""
