"""How layers with windows, products and sums are written in TFLite."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgecomp.export.tflite_builder import VALID, TfliteBuilder, fused_activation, tflite_padding
from edgecomp.ir import NO_CLAMP, Node, QParams, Tensor
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.spatial import Window

Emitter = Callable[[TfliteBuilder, Node], None]

SOFTMAX_QPARAMS = QParams.per_tensor(1 / 256, -128)
LOG_SOFTMAX_QPARAMS = QParams.per_tensor(16 / 256, 127)
MAX_RANK = 5
"""Most axes with which runtimes add and multiply with broadcasting."""


def _strides(window: Window) -> dict[str, int]:
    return {"StrideW": window.stride_w, "StrideH": window.stride_h}


def _source(build: TfliteBuilder, node: Node, border: int | None) -> tuple[int, int, int]:
    """The input of a window as NHWC, its padding by TFLite's name, and the output.

    Padding that TFLite has no name for becomes a layer of its own with the code `border`; None
    refuses it.
    """
    x, out = build.graph.tensors[node.inputs[0]], build.graph.tensors[node.output]
    window = node.params
    assert isinstance(window, Window)
    shape = as_nhwc(x.shape)
    source = build.take(x.name, shape)
    target = build.activation(out.name, as_nhwc(out.shape))
    padding = tflite_padding(window, shape[1], shape[2])
    counted = isinstance(window, AveragePoolParams) and window.count_include_pad
    if padding is None or (counted and window.has_padding):
        if border is None:
            raise build.refusal(
                node,
                "an average that leaves out a border other than SAME",
                "pad so that windows divide the input, or count the padding",
            )
        before = (0, window.pad_top, window.pad_left, 0)
        after = (0, window.pad_bottom, window.pad_right, 0)
        wide = tuple(n + a + b for n, a, b in zip(shape, before, after, strict=True))
        q = build.qparams(x.name)
        padded = build.inner(target, ".padded", wide, q)
        source, padding = build.padded(source, padded, before, after, border, q), VALID
    return source, padding, target


def _conv2d(build: TfliteBuilder, node: Node) -> None:
    x, weights, *bias = build.graph.node_inputs(node)
    params = node.params
    assert isinstance(params, Conv2dParams)
    source, padding, out = _source(build, node, build.qparams(x.name).zero_point)
    options: dict[str, Any] = {
        "Padding": padding,
        **_strides(params),
        "DilationWFactor": params.dilation_w,
        "DilationHFactor": params.dilation_h,
    }
    label = build.file.name_of(out)
    name = f"{label}.weights"
    if params.groups > 1 and params.groups == x.shape[-1]:
        op, kind = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        moved = np.ascontiguousarray(weights.value.transpose(3, 1, 2, 0))
        inputs = [source, build.codes(weights, name, moved, axis=3)]
        options["DepthMultiplier"] = weights.shape[0] // params.groups
    else:
        op, kind = "CONV_2D", "Conv2DOptions"
        inputs = [source, build.codes(weights, name, weights.value)]
    inputs += [_bias(build, one, weights, f"{label}.bias") for one in bias]
    build.fused(op, inputs, out, kind, params.clamp, **options)


def _bias(build: TfliteBuilder, bias: Tensor, weights: Tensor, name: str) -> int:
    """Add a bias with as many scales as the weights have."""
    assert bias.qparams is not None
    assert weights.qparams is not None
    q = bias.qparams
    if weights.qparams.axis is None:
        q = QParams(q.scale[:1], 0)
    return build.file.tensor(name, bias.shape, "int32", q, bias.value)


def _dense(build: TfliteBuilder, node: Node) -> None:
    x, weights, *bias = build.graph.node_inputs(node)
    source = build.take(x.name)
    out = build.activation(node.output)
    label = build.file.name_of(out)
    inputs = [source, build.codes(weights, f"{label}.weights", weights.value)]
    inputs += [_bias(build, one, weights, f"{label}.bias") for one in bias]
    params: Any = node.params
    build.fused(
        "FULLY_CONNECTED",
        inputs,
        out,
        "FullyConnectedOptions",
        params.clamp,
        KeepNumDims=len(x.shape) > 2,
    )


def _pool(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, Window)
    options: dict[str, Any] = {
        **_strides(params),
        "FilterWidth": params.kernel_w,
        "FilterHeight": params.kernel_h,
    }
    if isinstance(params, MaxPoolParams):
        source, padding, out = _source(build, node, -128)
        build.file.operator(
            "MAX_POOL_2D", [source], out, "Pool2DOptions", Padding=padding, **options
        )
        return
    assert isinstance(params, AveragePoolParams)
    q, x_q = build.qparams(node.output), build.qparams(node.inputs[0])
    border = x_q.zero_point if params.count_include_pad else None
    source, padding, out = _source(build, node, border)
    options["Padding"] = padding
    if q == x_q:
        build.fused("AVERAGE_POOL_2D", [source], out, "Pool2DOptions", params.clamp, **options)
        return
    # TFLite's average keeps the scale.
    mean = build.inner(out, ".mean", build.file.shape_of(out), x_q)
    options["FusedActivationFunction"] = fused_activation((-128, 127), x_q)
    build.file.operator("AVERAGE_POOL_2D", [source], mean, "Pool2DOptions", **options)
    rescaled(build, mean, out, params.clamp.codes(q), q)


def rescaled(build: TfliteBuilder, x: int, out: int, bounds: tuple[int, int], q: QParams) -> None:
    """Add a change of scale, and bounds where codes have any."""
    if bounds == (-128, 127):
        build.requantized(x, out)
        return
    free = build.inner(out, ".rescaled", build.file.shape_of(out), q)
    build.limited(build.requantized(x, free), out, bounds, q)


def _sum(op: str, kind: str) -> Emitter:
    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        if len(build.graph.tensors[node.output].shape) > MAX_RANK:
            raise build.refusal(node, f"more than {MAX_RANK} axes", "reshape before")
        inputs = [build.take(name) for name in node.inputs]
        build.fused(op, inputs, build.activation(node.output), kind, params.clamp)

    return emitter


def _choice(op: str) -> Emitter:
    """Emitter of MAXIMUM or MINIMUM, whose operands must have the output's scale."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        q = build.qparams(node.output)
        out = build.activation(node.output)
        inputs: list[int] = []
        for name in node.inputs:
            index = build.take(name)
            if build.qparams(name) != q:
                shape = build.file.shape_of(index)
                index = build.requantized(index, build.inner(out, f".{len(inputs)}", shape, q))
            inputs.append(index)
        build.bounded(op, inputs, out, "MaximumMinimumOptions", params.clamp)

    return emitter


def _bounded(op: str, kind: str) -> Emitter:
    """Emitter of an operator of two operands, with bounds behind it."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        inputs = [build.take(name) for name in node.inputs]
        build.bounded(op, inputs, build.activation(node.output), kind, params.clamp)

    return emitter


def _reduction(op: str) -> Emitter:
    def emitter(build: TfliteBuilder, node: Node) -> None:
        params = node.params
        assert isinstance(params, ReduceMeanParams | ReduceMaxParams)
        clamp = params.clamp if isinstance(params, ReduceMeanParams) else NO_CLAMP
        x = build.take(node.inputs[0])
        out = build.activation(node.output)
        inputs = [x, build.numbers(out, ".axes", params.axes)]
        build.bounded(op, inputs, out, "ReducerOptions", clamp, KeepDims=params.keepdims)

    return emitter


def _fixed(op: str, kind: str, fixed: QParams, **options: Any) -> Emitter:
    """Emitter of an operator whose output has one scale only; others are changed behind it."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        fixed_output(build, node, op, kind, fixed, **options)

    return emitter


def fixed_output(
    build: TfliteBuilder, node: Node, op: str, kind: str, fixed: QParams, **options: Any
) -> None:
    """Add an operator of one input whose output's scale is prescribed."""
    x = build.take(node.inputs[0])
    out = build.activation(node.output)
    if build.qparams(node.output) == fixed:
        build.file.operator(op, [x], out, kind, **options)
        return
    inner = build.inner(out, ".fixed", build.file.shape_of(out), fixed)
    build.file.operator(op, [x], inner, kind, **options)
    build.requantized(inner, out)


def _argmax(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, ArgMaxParams)
    readers = build.graph.consumers()[node.output]
    if params.last or any(reader.op != "reshape" for reader in readers):
        raise build.refusal(
            node,
            "indices are int32 there, which no layer reads, and of equal elements the first wins",
            "let it be the last layer, and take the first of equal ones",
        )
    x = build.take(node.inputs[0])
    shape = build.file.shape_of(x)
    # TFLite's loses the axis that ours keeps as 1.
    out = build.activation(node.output, shape[:-1], dtype="int32")
    axis = build.numbers(out, ".axis", len(shape) - 1)
    op = "ARG_MAX" if params.largest else "ARG_MIN"
    kind = "ArgMaxOptions" if params.largest else "ArgMinOptions"
    build.file.operator(op, [x, axis], out, kind, OutputType=2)


LAYERS: dict[str, Emitter] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "max_pool": _pool,
    "average_pool": _pool,
    "add": _sum("ADD", "AddOptions"),
    "sub": _sum("SUB", "SubOptions"),
    "mul": _sum("MUL", "MulOptions"),
    "div": _bounded("DIV", "DivOptions"),
    "maximum": _choice("MAXIMUM"),
    "minimum": _choice("MINIMUM"),
    "matmul": _bounded("BATCH_MATMUL", "BatchMatMulOptions"),
    "reduce_mean": _reduction("MEAN"),
    "reduce_sum": _reduction("SUM"),
    "reduce_max": _reduction("REDUCE_MAX"),
    "reduce_min": _reduction("REDUCE_MIN"),
    "softmax": _fixed("SOFTMAX", "SoftmaxOptions", SOFTMAX_QPARAMS, Beta=1.0),
    "log_softmax": _fixed("LOG_SOFTMAX", "LogSoftmaxOptions", LOG_SOFTMAX_QPARAMS),
    "argmax": _argmax,
}
"""By operator: what adds it to the file."""
