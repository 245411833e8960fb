"""Remove whole channels, with all that is coupled to them, so that tensors become smaller.

Channels that a residual sum, a depthwise layer, a join or a flattening tie together go together:
the graph tells which (`edgecomp.passes.channel_classes`).  A channel matters as much as the filters
that make it (`edgecomp.compress.importance`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.compress.importance import filter_importance
from edgecomp.compress.retrain import train_step
from edgecomp.compress.sensitivity import balanced_shares, harm_of, probing_samples
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import linear_weights
from edgecomp.config import Prune
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph, Node, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import ReshapeParams
from edgecomp.passes.channel_classes import ChannelClasses, is_depthwise, is_mixing

MOST = 0.97
"""No more of the channels go, whatever share of MACs is asked for."""
ROUNDS = 16
NOTEWORTHY = 0.005
"""A share of channels that differs from what was asked for by so much is told."""


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
    return _Channels(graph, filter_importance(graph, "l2")).groups()


def prune_channels(graph: Graph, step: Prune, workshop: Workshop) -> Outcome:
    """Remove a share of the channels of each chosen group, or of all together; fine-tune."""
    chosen = set(chosen_weights(graph, step, linear_weights(graph)))
    makers = {
        node.name for node in graph.nodes if len(node.inputs) > 1 and node.inputs[1] in chosen
    }
    criterion, _ = _of_channels(step)
    importance = filter_importance(graph, criterion, workshop.split.train)
    channels = _Channels(graph, importance)
    groups = [group for group in channels.groups() if makers.issuperset(group.layers)]
    if not groups:
        raise UserError(
            f"prune: no channels of the chosen layers ({', '.join(step.layers)}) can be removed: "
            "they make outputs, or are coupled to layers that were not chosen"
        )
    removed = _removed(channels, groups, step, workshop)
    smaller = channels.without(removed)
    outcome = train_step(smaller, step, workshop)
    before = sum(len(group.classes) for group in groups)
    share = total_macs(smaller) / total_macs(graph)
    note = (
        f"{len(removed):,} of {before:,} channels removed in {len(groups)} groups"
        f"{_otherwise(len(removed) / before, step)}, {100 * share:.1f} % of the MACs left"
    )
    return replace(outcome, note=note)


def _otherwise(gone: float, step: Prune) -> str:
    """Say where another share of the channels went than was asked for, and why."""
    if step.amount is None or abs(gone - step.amount) < NOTEWORTHY:
        return ""
    round_to = _of_channels(step)[1]
    return (
        f" ({100 * gone:.1f} % instead of {100 * step.amount:g} %: each group keeps a multiple of "
        f"round_to, {round_to}, and at least so many)"
    )


def _of_channels(step: Prune) -> tuple[str, int]:
    """The criterion and `round_to`, which a step that prunes channels has."""
    assert step.criterion is not None
    assert step.round_to is not None
    return step.criterion, step.round_to


def _removed(
    channels: "_Channels", groups: Sequence[ChannelGroup], step: Prune, workshop: Workshop
) -> set[int]:
    """Which classes go: by the share of channels, or by the share of MACs that is to be left."""
    if step.macs is None:
        return _choose(channels, groups, step, step.share, workshop)
    whole = total_macs(channels.graph)
    best: set[int] = set()
    least = 1.0
    low, high = 0.0, MOST
    for _ in range(ROUNDS):
        amount = (low + high) / 2
        removed = _choose(channels, groups, step, amount, workshop)
        share = total_macs(channels.without(removed)) / whole
        least = min(least, share)
        if share <= step.macs:
            best, high = removed, amount
        else:
            low = amount
    if not best:
        raise UserError(
            f"prune: {step.macs:g} of the MACs cannot be reached by removing channels; the nearest "
            f"was {least:.3f}, with {MOST:g} of the channels gone; choose more layers, a smaller "
            "round_to or a larger share"
        )
    return best


def _choose(
    channels: "_Channels",
    groups: Sequence[ChannelGroup],
    step: Prune,
    amount: float,
    workshop: Workshop,
) -> set[int]:
    """Which classes go.  Each group keeps at least `round_to` channels, or all that it has."""
    everything = np.concatenate([group.importance for group in groups])
    limit = np.quantile(everything, amount)
    kept = [len(group.classes) * (1 - amount) for group in groups]
    if step.budget == "global":
        kept = [float((group.importance > limit).sum()) for group in groups]
    elif step.budget == "sensitivity":
        examples = probing_samples(workshop.split.train)

        def harm(index: int, share: float) -> float:
            group = groups[index]
            return harm_of(
                channels.without(_least(group, len(group.classes) * (1 - share), 1)), examples
            )

        shares = channels.shares(amount, [len(group.classes) for group in groups], harm)
        kept = [len(g.classes) * (1 - share) for g, share in zip(groups, shares, strict=True)]
    removed: set[int] = set()
    for group, count in zip(groups, kept, strict=True):
        removed |= _least(group, count, _of_channels(step)[1])
    return removed


def _least(group: ChannelGroup, kept: float, round_to: int) -> set[int]:
    """The least important classes of a group, of which about `kept` stay."""
    whole = round_to * max(1, round(kept / round_to))
    order = np.argsort(-group.importance, kind="stable")
    return set(group.classes[order[whole:]].tolist())


def total_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return sum(
        OPS[node.op].macs(node.params, graph.node_inputs(node), graph.node_output(node))
        for node in graph.nodes
    )


class _Channels:
    """The channels of one graph."""

    def __init__(self, graph: Graph, importance: Mapping[str, Array] | None = None) -> None:
        self.graph = graph
        self.of_filters = importance
        self._curves: dict[tuple[int, float], float] = {}
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
        """Mean importance of the filters that make each class, and their layers."""
        values: dict[int, list[float]] = defaultdict(list)
        layers: dict[int, list[str]] = defaultdict(list)
        for node in self.graph.nodes:
            if not (is_mixing(self.graph, node) or is_depthwise(self.graph, node)):
                continue
            numbers = self.class_of[node.output]
            found = np.ones(len(numbers)) if self.of_filters is None else self.of_filters[node.name]
            for number, value in zip(numbers, found, strict=True):
                values[int(number)].append(float(value))
                layers[int(number)].append(node.name)
        return {number: float(np.mean(found)) for number, found in values.items()}, layers

    def shares(
        self, amount: float, sizes: Sequence[int], harm: Callable[[int, float], float]
    ) -> list[float]:
        """`balanced_shares`, each harm measured once."""

        def once(index: int, share: float) -> float:
            if (index, share) not in self._curves:
                self._curves[index, share] = harm(index, share)
            return self._curves[index, share]

        return balanced_shares(sizes, amount, once)

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
    if node.op in LINEAR:
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
