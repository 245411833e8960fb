"""Choices, interpolation, reductions, products of activations in PyTorch: twins of `float_ref`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.ir import NO_CLAMP, Graph, Node

if TYPE_CHECKING:
    from torch import Tensor


Compute = Callable[[Graph, Node, "Sequence[Tensor]"], "Tensor"]


def _taken(x: "Tensor", axis: int, index: Sequence[int]) -> "Tensor":
    import torch

    return x.index_select(axis + 1, torch.as_tensor(list(index), device=x.device))


def _gather(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    params: Any = node.params
    y = arrays[0]
    for axis, index in enumerate(params.indices):
        if index is not None:
            y = _taken(y, axis, index)
    return y


def _embedding(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """Rows by whole numbers; gradients flow into the table."""
    index, table = arrays
    row = (index + 0.5).floor().long().clamp(0, len(table) - 1)
    return table[row]


def _resize(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    params: Any = node.params
    y = arrays[0]
    for axis in params.axes:
        positions = np.asarray(params.positions[axis], np.float64)
        low = np.floor(positions).astype(np.int64)
        high = np.minimum(low + 1, y.shape[axis + 1] - 1)
        shape = [1] * y.ndim
        shape[axis + 1] = len(positions)
        part = y.new_tensor(positions - low).reshape(shape)
        below, above = (_taken(y, axis, index.tolist()) for index in (low, high))
        y = below * (1 - part) + above * part
    return y


def _reduced(name: str) -> Compute:
    """A reduction over several axes by the method `name` of a tensor."""

    def compute(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
        params: Any = node.params
        axes = tuple(axis + 1 for axis in params.axes)
        y: Tensor = getattr(arrays[0], name)(dim=axes, keepdim=params.keepdims)
        clamp = getattr(params, "clamp", NO_CLAMP)
        return y if clamp.is_none else y.clamp(clamp.low, clamp.high)

    return compute


def _argmax(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """The index, through which no gradient flows."""
    import torch

    params: Any = node.params
    x = arrays[0].flip(-1) if params.last else arrays[0]
    find = torch.argmax if params.largest else torch.argmin
    index = find(x, dim=-1, keepdim=True)
    index = x.shape[-1] - 1 - index if params.last else index
    if params.starts:
        index = index + index.new_tensor(params.starts).reshape(index.shape[1:])
    return index.to(x.dtype)


def _top(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """The best elements, or their indices, through which no gradient flows."""
    import torch

    params: Any = node.params
    order = torch.argsort(arrays[0], dim=-1, descending=params.largest, stable=True)
    index = order[..., : params.count]
    return index.to(arrays[0].dtype) if node.op == "top_indices" else arrays[0].gather(-1, index)


def _matmul(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    params: Any = node.params
    y = arrays[0] @ arrays[1]
    return y if params.clamp.is_none else y.clamp(params.clamp.low, params.clamp.high)


def _layer_norm(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    from edgecomp.ops.layer_norm import LayerNorm

    params: Any = node.params
    x = arrays[0]
    if params.centered:
        x = x - x.mean(dim=-1, keepdim=True)
    spread = (x.square().mean(dim=-1, keepdim=True) + params.epsilon).sqrt()
    channel = LayerNorm().channels(params, graph.node_inputs(node))
    y: Tensor = x / spread * arrays[1][channel] + arrays[2][channel]
    return y


def _compare(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """Truth values, through which no gradient flows."""
    params: Any = node.params
    a, b = arrays
    truth = {"less": a < b, "less_or_equal": a <= b, "equal": a == b}[params.kind]
    return truth.to(a.dtype)


def _recurrent(graph: Graph, node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """The layer's own steps; torch's tensors have all the methods that they need."""
    from edgecomp.compress.train.torch_recurrent import recurrent

    return recurrent(node, arrays)


MORE: dict[str, Compute] = {
    "gather": _gather,
    "embedding": _embedding,
    "resize": _resize,
    "reduce_sum": _reduced("sum"),
    "reduce_max": _reduced("amax"),
    "reduce_min": _reduced("amin"),
    "argmax": _argmax,
    "top_values": _top,
    "top_indices": _top,
    "matmul": _matmul,
    "compare": _compare,
    "where": lambda graph, node, arrays: arrays[1].where(arrays[0] != 0, arrays[2]),
    "log_softmax": lambda graph, node, arrays: arrays[0].log_softmax(dim=-1),
    "layer_norm": _layer_norm,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
}
