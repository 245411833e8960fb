"""What each operator means in PyTorch: the twin of `float_ref`, with gradients.

Activations are `(samples, *tensor.shape)`, as in the interpreter; constants come as they lie in
the graph.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.train.torch_more import MORE
from edgecomp.ir import Clamp, Graph, Node
from edgecomp.ops.base import as_nhwc, like_rank
from edgecomp.ops.spatial import Window

if TYPE_CHECKING:
    from torch import Tensor

Compute = Callable[[Graph, Node, "Sequence[Tensor]"], "Tensor"]


def clamped(clamp: Clamp, y: "Tensor") -> "Tensor":
    """Keep values within an activation's bounds."""
    if clamp.is_none:
        return y
    # The same as a clamp to [0, inf], with a gradient that costs a third.
    return y.relu() if (clamp.low, clamp.high) == (0, math.inf) else y.clamp(clamp.low, clamp.high)


def _clamped(params: Any, y: "Tensor") -> "Tensor":
    return clamped(params.clamp, y)


def _channels_first(graph: Graph, node: Node, x: "Tensor") -> "Tensor":
    """Bring an activation of any rank to NCHW."""
    _, h, w, c = as_nhwc(graph.tensors[node.inputs[0]].shape)
    return x.reshape(-1, h, w, c).permute(0, 3, 1, 2)


def _shaped(graph: Graph, node: Node, y: "Tensor") -> "Tensor":
    """Bring NCHW back to the rank of the node's input, a batch of 1 in each sample."""
    rank = len(graph.tensors[node.inputs[0]].shape)
    n, c, h, w = y.shape
    return y.permute(0, 2, 3, 1).reshape(n, *like_rank(rank, 1, h, w, c))


def _padded(window: Window, x: "Tensor", value: float) -> "Tensor":
    from torch.nn import functional

    if not window.has_padding:
        return x
    widths = (window.pad_left, window.pad_right, window.pad_top, window.pad_bottom)
    return functional.pad(x, widths, value=value)


def _conv2d(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from torch.nn import functional

    params: Any = node.params
    y = functional.conv2d(
        _padded(params, _channels_first(graph, node, arrays[0]), 0.0),
        arrays[1].permute(0, 3, 1, 2),
        arrays[2] if len(arrays) > 2 else None,
        stride=(params.stride_h, params.stride_w),
        dilation=(params.dilation_h, params.dilation_w),
        groups=params.groups,
    )
    return _clamped(params, _shaped(graph, node, y))


def _dense(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from torch.nn import functional

    bias = arrays[2] if len(arrays) > 2 else None
    return _clamped(node.params, functional.linear(arrays[0], arrays[1], bias))


def _max_pool(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from torch.nn import functional

    params: Any = node.params
    x = _padded(params, _channels_first(graph, node, arrays[0]), -float("inf"))
    y = functional.max_pool2d(
        x,
        (params.kernel_h, params.kernel_w),
        (params.stride_h, params.stride_w),
        dilation=(params.dilation_h, params.dilation_w),
    )
    return _shaped(graph, node, y)


def _average_pool(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    import torch
    from torch.nn import functional

    params: Any = node.params
    tensor = graph.tensors[node.inputs[0]]
    _, h, w, c = as_nhwc(tensor.shape)
    if params.count_include_pad:
        divisors = np.full(params.output_hw(h, w), float(params.kernel_h * params.kernel_w))
    else:
        divisors = params.counts(h, w)
    x = _padded(params, _channels_first(graph, node, arrays[0]), 0.0)
    # A depthwise convolution by ones: torch's own average pool knows no dilation.
    total = functional.conv2d(
        x,
        torch.ones((c, 1, params.kernel_h, params.kernel_w), dtype=x.dtype),
        stride=(params.stride_h, params.stride_w),
        dilation=(params.dilation_h, params.dilation_w),
        groups=c,
    )
    return _clamped(params, _shaped(graph, node, total / torch.as_tensor(divisors).to(x.dtype)))


def _reduce_mean(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    params: Any = node.params
    axes = tuple(axis + 1 for axis in params.axes)
    return _clamped(params, arrays[0].mean(dim=axes, keepdim=params.keepdims))


def _pad(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from torch.nn import functional

    params: Any = node.params
    pairs = list(zip(params.before, params.after, strict=True))
    widths = [width for pair in reversed(pairs) for width in pair]
    return functional.pad(arrays[0], widths, value=params.value)


def _concat(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    import torch

    params: Any = node.params
    return torch.cat(list(arrays), dim=params.axis + 1)


def _prelu(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    return arrays[0].clamp(min=0) + arrays[1] * arrays[0].clamp(max=0)


def _transpose(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    params: Any = node.params
    return arrays[0].permute(0, *(axis + 1 for axis in params.perm))


def _unary(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from edgecomp.compress.train.torch_functions import evaluate

    params: Any = node.params
    return evaluate(params.expr, arrays[0]).expand(arrays[0].shape)


TORCH_OPS: dict[str, Compute] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "add": lambda graph, node, arrays: _clamped(node.params, arrays[0] + arrays[1]),
    "sub": lambda graph, node, arrays: _clamped(node.params, arrays[0] - arrays[1]),
    "mul": lambda graph, node, arrays: _clamped(node.params, arrays[0] * arrays[1]),
    "div": lambda graph, node, arrays: _clamped(node.params, arrays[0] / arrays[1]),
    "maximum": lambda graph, node, arrays: _clamped(node.params, arrays[0].maximum(arrays[1])),
    "minimum": lambda graph, node, arrays: _clamped(node.params, arrays[0].minimum(arrays[1])),
    "unary": _unary,
    "prelu": _prelu,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "reduce_mean": _reduce_mean,
    "softmax": lambda graph, node, arrays: arrays[0].softmax(dim=-1),
    "pad": _pad,
    "concat": _concat,
    **MORE,
    "reshape": lambda graph, node, arrays: arrays[0].reshape(
        len(arrays[0]), *graph.tensors[node.output].shape
    ),
    "transpose": _transpose,
}
"""Every operator that can be trained through."""
