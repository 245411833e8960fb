"""How convolutions and pools are written in TFLite."""

from typing import Any

import numpy as np

from edgecomp.export.tflite_builder import VALID, TfliteBuilder, tflite_padding
from edgecomp.export.tflite_layers import Emitter, add_bias, in_reals
from edgecomp.ir import Node
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.spatial import Window


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
    inputs += [add_bias(build, one, weights, f"{label}.bias") for one in bias]
    build.fused(op, inputs, out, kind, params.clamp, **options)


def _pool(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, Window)
    if (params.dilation_h, params.dilation_w) != (1, 1):
        raise build.refusal(node, "a pool with dilation", "pool without dilation")
    options: dict[str, Any] = {
        **_strides(params),
        "FilterWidth": params.kernel_w,
        "FilterHeight": params.kernel_h,
    }
    if isinstance(params, MaxPoolParams):
        source, padding, out = _source(build, node, build.qparams(node.output).limits[0])
        build.file.operator(
            "MAX_POOL_2D", [source], out, "Pool2DOptions", Padding=padding, **options
        )
        return
    assert isinstance(params, AveragePoolParams)
    q, x_q = build.qparams(node.output), build.qparams(node.inputs[0])
    border = x_q.zero_point if params.count_include_pad else None
    source, padding, out = _source(build, node, border)
    options["Padding"] = padding
    clamp = params.clamp
    if q == x_q:
        build.fused("AVERAGE_POOL_2D", [source], out, "Pool2DOptions", clamp, **options)
        return
    # TFLite's average keeps the scale; its mean does not.
    if padding == VALID and build.file.shape_of(source)[1:3] == (params.kernel_h, params.kernel_w):
        inputs = [source, build.numbers(out, ".axes", (1, 2))]
        build.bounded("MEAN", inputs, out, "ReducerOptions", clamp, KeepDims=True)
        return
    in_reals(build, "AVERAGE_POOL_2D", [source], out, "Pool2DOptions", clamp, **options)


WINDOWS: dict[str, Emitter] = {"conv2d": _conv2d, "max_pool": _pool, "average_pool": _pool}
"""By operator: what adds it to the file."""
