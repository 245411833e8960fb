"""Remove whole channels, with all that is coupled to them, so that tensors become smaller.

Channels that a residual sum, a depthwise layer, a join or a flattening tie together go together:
the graph tells which (`edgecomp.passes.channel_classes`).  Importance is the norm of the filters
that make a channel, relative to its layer's mean.  Source: H. Li et al., "Pruning filters for
efficient ConvNets" (2017).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.compress.retrain import train_step
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.config import Prune
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph, Node, Tensor
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import ReshapeParams
from edgecomp.passes.channel_classes import ChannelClasses, is_depthwise, is_mixing


@dataclass(frozen=True)
class ChannelGroup:
    """Tensors whose channels are coupled, one to one.

    Attributes:
        tensors: names of the activations.
        classes: one per removable channel: its number in `ChannelClasses`.
        importance: of each class.
        layers: names of the layers whose filters make the channels.
    """

    tensors: tuple[str, ...]
    classes: Array
    importance: Array
    layers: tuple[str, ...]


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """Find the groups of channels that may be removed, in the order of the layers.

    Channels of inputs and outputs, and those whose coupling is not understood, are in none.
    """
    return _Channels(graph).groups()


def prune_channels(graph: Graph, step: Prune, workshop: Workshop) -> Outcome:
    """Remove `step.amount` of the channels of each chosen group, or of all together; fine-tune."""
    chosen = set(chosen_weights(graph, step))
    makers = {
        node.name for node in graph.nodes if len(node.inputs) > 1 and node.inputs[1] in chosen
    }
    channels = _Channels(graph)
    groups = [group for group in channels.groups() if makers.issuperset(group.layers)]
    if not groups:
        raise UserError(
            f"prune: no channels of the chosen layers ({', '.join(step.layers)}) can be removed: "
            "they make outputs, or are coupled to layers that were not chosen"
        )
    removed = _choose(groups, step)
    smaller = channels.without(removed)
    outcome = train_step(smaller, step, workshop)
    before = sum(len(group.classes) for group in groups)
    note = f"{len(removed):,} of {before:,} channels removed in {len(groups)} groups"
    return replace(outcome, note=note)


def _choose(groups: Sequence[ChannelGroup], step: Prune) -> set[int]:
    """Which classes go.  Each group keeps at least `round_to` channels, or all that it has."""
    removed: set[int] = set()
    everything = np.concatenate([group.importance for group in groups])
    limit = np.quantile(everything, step.amount)
    for group in groups:
        count = len(group.classes)
        kept = count * (1 - step.amount)
        if step.budget == "global":
            kept = float((group.importance > limit).sum())
        whole = step.round_to * max(1, round(kept / step.round_to))
        order = np.argsort(-group.importance, kind="stable")
        removed.update(group.classes[order[whole:]].tolist())
    return removed


class _Channels:
    """The channels of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        classes = ChannelClasses(graph)
        self.pinned = classes.pinned
        self.class_of = {
            name: np.array([classes.of(name, c) for c in range(tensor.shape[-1])])
            for name, tensor in graph.tensors.items()
            if not tensor.is_const and tensor.shape
        }

    def groups(self) -> tuple[ChannelGroup, ...]:
        """See `channel_groups`."""
        members: dict[int, dict[str, None]] = defaultdict(dict)
        for name, classes in self.class_of.items():
            for number in dict.fromkeys(classes.tolist()):
                members[number][name] = None
        importance, layers = self._importance()
        gathered: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, names in members.items():
            if number != self.pinned and number in importance:
                gathered[tuple(names)].append(number)
        return tuple(
            ChannelGroup(
                names,
                np.array(numbers),
                np.array([importance[number] for number in numbers]),
                tuple(dict.fromkeys(layer for n in numbers for layer in layers[n])),
            )
            for names, numbers in gathered.items()
        )

    def _importance(self) -> tuple[dict[int, float], dict[int, list[str]]]:
        """Mean relative norm of the filters that make each class, and their layers."""
        norms: dict[int, list[float]] = defaultdict(list)
        layers: dict[int, list[str]] = defaultdict(list)
        for node in self.graph.nodes:
            if not (is_mixing(self.graph, node) or is_depthwise(self.graph, node)):
                continue
            weights = self.graph.tensors[node.inputs[1]].value.astype(np.float64)
            norm = np.sqrt(np.square(weights.reshape(len(weights), -1)).sum(axis=1))
            for number, value in zip(self.class_of[node.output], norm, strict=True):
                norms[int(number)].append(float(value / (norm.mean() or 1.0)))
                layers[int(number)].append(node.name)
        return {number: float(np.mean(values)) for number, values in norms.items()}, layers

    def without(self, removed: set[int]) -> Graph:
        """The graph without the classes `removed`; what read them reads the rest."""
        gone = np.array(sorted(removed), np.int64)
        kept = {name: ~np.isin(classes, gone) for name, classes in self.class_of.items()}
        tensors: dict[str, Tensor] = {}
        for name, tensor in self.graph.tensors.items():
            if name in kept:
                shape = (*tensor.shape[:-1], int(kept[name].sum()))
                tensors[name] = replace(tensor, shape=shape, qparams=None)
            else:
                tensors[name] = tensor
        nodes = [_slice(self.graph, node, kept, tensors) for node in self.graph.nodes]
        return self.graph.with_nodes(nodes, tensors)


def _slice(graph: Graph, node: Node, kept: Mapping[str, Array], tensors: dict[str, Tensor]) -> Node:
    """Rebuild a node, its sliced constants added to `tensors`."""
    keep_out = kept.get(node.output)
    if keep_out is None:
        return node
    names = list(node.inputs)
    if node.op in {"conv2d", "dense"}:
        keep_in = kept[node.inputs[0]]
        weights = graph.tensors[names[1]].value[keep_out]
        if is_mixing(graph, node):
            weights = weights[..., keep_in]
        names[1] = _add(tensors, graph.tensors[names[1]], weights)
        if len(names) > 2:
            names[2] = _add(
                tensors, graph.tensors[names[2]], graph.tensors[names[2]].value[keep_out]
            )
        params = node.params
        if isinstance(params, Conv2dParams) and is_depthwise(graph, node):
            params = replace(params, groups=int(keep_in.sum()))
        return replace(node, inputs=tuple(names), params=params)
    for index, name in enumerate(names):
        tensor = graph.tensors[name]
        if tensor.is_const and tensor.shape[-1:] == keep_out.shape:
            names[index] = _add(tensors, tensor, tensor.value[..., keep_out])
    if isinstance(node.params, ReshapeParams):
        return replace(node, params=ReshapeParams(tensors[node.output].shape))
    return replace(node, inputs=tuple(names))


def _add(tensors: dict[str, Tensor], old: Tensor, data: Array) -> str:
    """Add a sliced constant; one that two layers slice differently gets a second name."""
    if data.shape == old.shape:
        return old.name
    name, count = old.name, 1
    while name in tensors and tensors[name] is not old and not _equal(tensors[name], data):
        count += 1
        name = f"{old.name}_{count}"
    tensors[name] = replace(old.with_data(np.ascontiguousarray(data)), name=name, qparams=None)
    return name


def _equal(tensor: Tensor, data: Array) -> bool:
    return tensor.shape == data.shape and np.array_equal(tensor.value, data)
