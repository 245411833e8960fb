"""Channels that can only be removed together.

A channel is an index of the last axis.  Layers that work channel by channel (depthwise
convolutions, tables, pools, sums) tie a channel of their input to one of their output;
convolutions and dense layers mix channels and so separate them.
"""

from collections.abc import Iterator

import numpy as np

from edgecomp.ir import Array, Graph, Node
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.movement import ConcatParams, PadParams, TransposeParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.resize import ResizeParams

Channel = tuple[str, int]


def is_mixing(graph: Graph, node: Node) -> bool:
    """Whether every output channel may depend on every input channel."""
    if node.is_float32:
        return False
    if node.op == "dense":
        return True
    return isinstance(node.params, Conv2dParams) and node.params.groups == 1


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether the layer is a convolution with one group per input channel."""
    if not isinstance(node.params, Conv2dParams):
        return False
    channels = graph.tensors[node.inputs[0]].shape[-1]
    return node.params.groups == channels > 1


class ChannelClasses:
    """Classes of channels; a class that contains a pinned channel must stay."""

    def __init__(self, graph: Graph) -> None:
        """Tie and pin the channels of every layer."""
        self._first: dict[str, int] = {}
        count = 0
        for name, tensor in graph.tensors.items():
            if not tensor.is_const:
                self._first[name] = count
                count += tensor.shape[-1] if tensor.shape else 1
        # The last class stands for all that must stay.
        self._parent = list(range(count + 1))
        for name in {*graph.inputs, *graph.outputs}:
            self._pin(graph, name)
        for node in graph.nodes:
            self._add(graph, node)

    def of(self, name: str, channel: int) -> int:
        """Return the class of a channel."""
        return self._root(self._first[name] + channel)

    @property
    def pinned(self) -> int:
        """The class of the channels that must stay."""
        return self._root(len(self._parent) - 1)

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def _tie(self, a: Channel, b: Channel) -> None:
        self._parent[self.of(*b)] = self.of(*a)

    def _pin(self, graph: Graph, name: str) -> None:
        for channel in range(max((1, *graph.tensors[name].shape[-1:]))):
            self._parent[self.of(name, channel)] = self.pinned

    def _add(self, graph: Graph, node: Node) -> None:
        if is_mixing(graph, node):
            return
        ties = list(_ties(graph, node))
        if not ties:
            for name in (*node.inputs, node.output):
                if not graph.tensors[name].is_const:
                    self._pin(graph, name)
        for inner, outer in ties:
            self._tie(inner, outer)


def _ties(graph: Graph, node: Node) -> Iterator[tuple[Channel, Channel]]:
    """Pairs (input channel, output channel) that stay or go together; none: unknown."""
    if node.is_float32:
        return
    output = graph.tensors[node.output]
    activations = [name for name in node.inputs if not graph.tensors[name].is_const]
    if is_depthwise(graph, node):
        factor = output.shape[-1] // graph.tensors[node.inputs[0]].shape[-1]
        yield from (
            ((node.inputs[0], c // factor), (node.output, c)) for c in range(output.shape[-1])
        )
    elif node.op == "reshape":
        yield from _reshape_ties(graph, node)
    elif node.op == "concat" and _joins_channels(graph, node):
        first = 0
        for name in node.inputs:
            size = graph.tensors[name].shape[-1]
            yield from (((name, c), (node.output, first + c)) for c in range(size))
            first += size
    elif _keeps_channels(graph, node):
        channels = output.shape[-1] if output.shape else 1
        for name in activations:
            yield from (((name, c), (node.output, c)) for c in range(channels))


def _keeps_channels(graph: Graph, node: Node) -> bool:
    """Whether output channel c depends on channel c of each operand and on nothing else."""
    channels = graph.tensors[node.output].shape[-1:]
    for name in node.inputs:
        tensor = graph.tensors[name]
        if not tensor.is_const and tensor.shape[-1:] != channels:
            return False
    rank = len(graph.tensors[node.inputs[0]].shape)
    params = node.params
    if isinstance(params, PadParams):
        return params.before[-1] == 0 == params.after[-1]
    if isinstance(params, TransposeParams):
        return params.perm[-1] == rank - 1
    if isinstance(params, GatherParams):
        return params.indices[-1] is None
    if isinstance(params, ResizeParams):
        return rank - 1 not in params.axes
    if isinstance(params, (ReduceMeanParams, ReduceMaxParams)):
        return rank - 1 not in params.axes
    return node.op in {
        "add", "sub", "mul", "div", "maximum", "minimum", "compare", "where", "unary", "prelu",
        "max_pool", "average_pool", "concat",
    }  # fmt: skip


def _joins_channels(graph: Graph, node: Node) -> bool:
    params = node.params
    rank = len(graph.tensors[node.output].shape)
    return isinstance(params, ConcatParams) and params.axis == rank - 1


def _reshape_ties(graph: Graph, node: Node) -> Iterator[tuple[Channel, Channel]]:
    """Ties of a reshape, where each output channel holds elements of one input channel only."""
    origin = reshape_origin(graph, node)
    if origin is not None:
        yield from (
            ((node.inputs[0], int(channel)), (node.output, index))
            for index, channel in enumerate(origin)
        )


def reshape_origin(graph: Graph, node: Node) -> Array | None:
    """For each output channel of a reshape its one input channel, or None where they mix."""
    before, after = graph.tensors[node.inputs[0]].shape, graph.tensors[node.output].shape
    if not before or not after:
        return None
    channels = np.broadcast_to(np.arange(before[-1]), before).reshape(-1, after[-1])
    return channels[0] if (channels == channels[0]).all() else None
