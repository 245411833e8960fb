"""Remove channels that cannot matter, without changing a single output code.

A channel whose code is the same for every possible input is folded exactly into the biases of the
layers that read it, `bias += (code - zero_point) * sum(weights)`; a channel that nobody reads is
dropped.  Weight decay leaves many such channels behind: in MobileNet-style networks their weights
have shrunk to nothing under a ReLU that never fires.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.ir import Array, DType, Graph, Node, QParams, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import ReshapeParams
from edgecomp.passes.certain_channels import CertainChannels
from edgecomp.passes.channel_classes import ChannelClasses, is_depthwise, is_mixing
from edgecomp.passes.code_intervals import Interval, code_intervals


@dataclass(frozen=True)
class DeadChannels:
    """What was removed.

    Attributes:
        channels: number of removed channels by tensor, for tensors that lost some.
        weights_bytes_before: bytes of weights and biases before.
        weights_bytes_after: and after.
        macs_before: multiply-accumulates of one inference before.
        macs_after: and after.
    """

    channels: Mapping[str, int]
    weights_bytes_before: int
    weights_bytes_after: int
    macs_before: int
    macs_after: int


def remove_dead_channels(
    graph: Graph, certain: CertainChannels | None = None
) -> tuple[Graph, DeadChannels]:
    """Remove constant and unread channels from a quantized graph.

    Args:
        graph: a quantized graph.
        certain: where the scales of `graph` are not the last word, what is dead with any others;
            nothing else is removed then.

    Returns:
        A graph with the same inputs and outputs, whose output codes are the same for every input,
        and what was removed.  Every tensor keeps at least one channel.
    """
    analysis = _Analysis(graph, certain)
    kept = analysis.kept_channels()
    lost = {name: int((~keep).sum()) for name, keep in kept.items() if not keep.all()}
    result = _rebuild(graph, kept, analysis.constants) if lost else graph
    report = DeadChannels(
        lost, _weights_bytes(graph), _weights_bytes(result), _macs(graph), _macs(result)
    )
    return result, report


class _Analysis:
    """Finds the channels that can go."""

    def __init__(self, graph: Graph, certain: CertainChannels | None) -> None:
        self.graph = graph
        self.certain = certain
        self.classes = ChannelClasses(graph)
        self.constants = {
            name: constant_codes(interval) for name, interval in code_intervals(graph).items()
        }
        if certain is not None:
            self.constants = {
                name: np.where(certain.constant[name], codes, np.nan)
                for name, codes in self.constants.items()
            }

    def kept_channels(self) -> dict[str, Array]:
        """For each activation, which channels stay (bool per channel)."""
        class_of = {
            name: np.array([self.classes.of(name, c) for c in range(len(codes))])
            for name, codes in self.constants.items()
        }
        everything = {int(c) for classes in class_of.values() for c in classes}
        removed: set[int] = set()
        while True:
            kept = {name: ~np.isin(c, list(removed)) for name, c in class_of.items()}
            needed = {self.classes.pinned}
            for node in self.graph.nodes:
                if is_mixing(self.graph, node):
                    x = node.inputs[0]
                    read = self._read(node, kept[node.output])
                    needed.update(class_of[x][read].tolist())
            for name, classes in class_of.items():
                if not needed.intersection(classes.tolist()):
                    needed.add(int(classes[kept[name]][0]))
            # Fewer kept outputs can only leave fewer inputs needed, so this ends.
            if everything - needed == removed:
                return kept
            removed = everything - needed

    def _read(self, node: Node, kept_outputs: Array) -> Array:
        """Which input channels a mixing layer cannot do without (bool per channel)."""
        x = self.graph.tensors[node.inputs[0]]
        weights = self.graph.tensors[node.inputs[1]].value
        if self.certain is not None:
            weights = ~self.certain.negligible[node.name]
        weights = weights[kept_outputs]
        nonzero = weights.reshape(-1, weights.shape[-1]).any(axis=0)
        assert x.qparams is not None
        codes = self.constants[x.name]
        foldable = ~np.isnan(codes)
        if isinstance(node.params, Conv2dParams) and node.params.has_padding:
            foldable &= codes == x.qparams.zero_point
            if self.certain is not None:
                foldable &= self.certain.zero[x.name]
        return np.asarray(nonzero & ~foldable)


def constant_codes(interval: Interval) -> Array:
    """The code of each channel that always has the same one, NaN for the others (float64)."""
    low, high = (end.reshape(-1, end.shape[-1]) for end in interval)
    least, largest = low.min(axis=0), high.max(axis=0)
    return np.where(least == largest, least.astype(np.float64), np.nan)


def _rebuild(graph: Graph, kept: Mapping[str, Array], constants: Mapping[str, Array]) -> Graph:
    """Build the graph of the kept channels; `constants` are the codes that never change."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in graph.tensors.items():
        if name in kept:
            tensors[name] = replace(tensor, shape=_kept_shape(graph, name, kept))
    nodes = [_rebuild_node(graph, node, kept, constants, tensors) for node in graph.nodes]
    return graph.with_nodes(nodes, tensors)


def _kept_shape(graph: Graph, name: str, kept: Mapping[str, Array]) -> tuple[int, ...]:
    shape = graph.tensors[name].shape
    return (*shape[:-1], int(kept[name].sum())) if shape else shape


def _rebuild_node(
    graph: Graph,
    node: Node,
    kept: Mapping[str, Array],
    constants: Mapping[str, Array],
    tensors: dict[str, Tensor],
) -> Node:
    """Rebuild one node, adding its constants to `tensors`."""
    keep_out = kept[node.output]
    if node.is_float32:
        constants_of_node = [t for t in graph.node_inputs(node) if t.is_const]
        tensors.update({tensor.name: tensor for tensor in constants_of_node})
        return node
    if node.op in LINEAR:
        x = node.inputs[0]
        inputs = _rebuild_linear(graph, node, kept[x], keep_out, constants[x], tensors)
        params = node.params
        if is_depthwise(graph, node):
            assert isinstance(params, Conv2dParams)
            params = replace(params, groups=int(kept[x].sum()))
        return replace(node, inputs=inputs, params=params)
    inputs = tuple(_slice_operand(graph, name, node, keep_out, tensors) for name in node.inputs)
    if isinstance(node.params, ReshapeParams):
        shape = _kept_shape(graph, node.output, kept)
        return replace(node, params=ReshapeParams(shape))
    return replace(node, inputs=inputs)


def _rebuild_linear(
    graph: Graph,
    node: Node,
    keep_in: Array,
    keep_out: Array,
    codes: Array,
    tensors: dict[str, Tensor],
) -> tuple[str, ...]:
    """Slice the weights and fold constant input channels into the bias."""
    x, weights, *rest = graph.node_inputs(node)
    assert x.qparams is not None
    assert weights.qparams is not None
    full = weights.value
    bias = rest[0].value.astype(np.int64) if rest else np.zeros(len(full), np.int64)
    sliced = full[keep_out]
    if is_mixing(graph, node):
        gone = ~keep_in
        sums = full[..., gone].astype(np.int64).sum(axis=tuple(range(1, full.ndim - 1)))
        # An unread channel that is not constant has weights 0 here: any code folds to nothing.
        offsets = np.nan_to_num(codes[gone], nan=x.qparams.zero_point) - x.qparams.zero_point
        bias = bias + (sums * offsets.astype(np.int64)).sum(axis=1)
        sliced = sliced[..., keep_in]
    assert bias.min() >= INT32_MIN
    assert bias.max() <= INT32_MAX
    w = weights.with_data(sliced, name=_unique(tensors, weights.name))
    w = replace(w, qparams=_slice_qparams(weights.qparams, keep_out))
    tensors[w.name] = w
    names = [x.name, w.name]
    if rest or bias.any():
        scales = x.qparams.scalar * np.asarray(weights.qparams.scale, np.float64)
        q = rest[0].qparams if rest else QParams.per_channel(np.broadcast_to(scales, len(full)), 0)
        name = _unique(tensors, rest[0].name if rest else f"{node.name}.bias")
        data = bias[keep_out].astype(np.int32)
        assert q is not None
        tensors[name] = Tensor(
            name, data.shape, DType.INT32, _slice_qparams(q, keep_out), data, "O"
        )
        names.append(name)
    return tuple(names)


def _slice_qparams(qparams: QParams, keep: Array) -> QParams:
    if qparams.axis is None:
        return qparams
    scales = tuple(s for s, stays in zip(qparams.scale, keep, strict=True) if stays)
    return replace(qparams, scale=scales)


def _slice_operand(
    graph: Graph, name: str, node: Node, keep: Array, tensors: dict[str, Tensor]
) -> str:
    """Slice a constant operand to the kept channels; activations keep their names."""
    tensor = graph.tensors[name]
    if not tensor.is_const:
        return name
    if tensor.shape[-1:] != (len(keep),):
        tensors.setdefault(name, tensor)
        return name
    sliced = tensor.with_data(tensor.value[..., keep], name=_unique(tensors, name))
    tensors[sliced.name] = sliced
    return sliced.name


def _unique(tensors: Mapping[str, Tensor], name: str) -> str:
    """Return `name`, or a numbered variant: a shared constant may be sliced in two ways."""
    candidate, count = name, 1
    while candidate in tensors:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def _weights_bytes(graph: Graph) -> int:
    return sum(tensor.size_bytes for tensor in graph.tensors.values() if tensor.is_const)


def _macs(graph: Graph) -> int:
    return sum(
        OPS[node.op].macs(node.params, graph.node_inputs(node), graph.node_output(node))
        for node in graph.nodes
    )
