"""Which tensors must share their quantization parameters because their codes are only moved.

Reshape, transpose, pad, max pool and concat copy codes, so their inputs and their output have one
scale and one zero point.  Where parameters that came with the model forbid that, an identity layer
between two scales is inserted: it rescales the codes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgecomp.ir import Graph, Node, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.expression import X
from edgecomp.ops.movement import PadParams
from edgecomp.ops.unary import UnaryParams


@dataclass(frozen=True)
class Group:
    """Tensors with one set of quantization parameters.

    Attributes:
        members: names, in the order of the graph.
        sources: the members whose values are computed, not copied: what calibration looks at.
        paddings: real values that pads add.
        preset: parameters that the model file gave to one of the members, or None.
    """

    members: tuple[str, ...]
    sources: tuple[str, ...]
    paddings: tuple[float, ...]
    preset: QParams | None


_SAME_SCALES_IN_TFLITE = frozenset({"average_pool", "maximum", "minimum"})


def shares_qparams(node: Node) -> bool:
    """Whether inputs and output of a layer have one scale: codes are moved, or numerics ask it."""
    by_numerics = node.numerics == "tflite" and node.op in _SAME_SCALES_IN_TFLITE
    return OPS[node.op].same_qparams or by_numerics


class _Sets:
    """Disjoint sets of tensor names, each with at most one preset."""

    def __init__(self, graph: Graph) -> None:
        self._parent = {name: name for name in graph.tensors}
        self._preset = {name: tensor.qparams for name, tensor in graph.tensors.items()}

    def add(self, tensor: Tensor) -> None:
        self._parent[tensor.name] = tensor.name
        self._preset[tensor.name] = tensor.qparams

    def root(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def preset(self, name: str) -> QParams | None:
        return self._preset[self.root(name)]

    def join(self, first: str, second: str) -> None:
        a, b = self.root(first), self.root(second)
        if a != b:
            self._parent[b] = a
            self._preset[a] = self._preset[a] or self._preset[b]


def insert_rescales(graph: Graph) -> Graph:
    """Insert identity layers where preset parameters keep codes from simply being moved.

    Args:
        graph: a float graph; tensors may carry parameters from a quantized model file.

    Returns:
        A graph in which no group of tensors (`share_groups`) has two different presets.
    """
    sets = _Sets(graph)
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        if not OPS[node.op].same_qparams:
            nodes.append(node)
            continue
        wanted = sets.preset(node.output) or _common(sets, node.inputs)
        inputs = []
        for name in node.inputs:
            given = sets.preset(name)
            if given is None or given == wanted:
                inputs.append(name)
                continue
            rescale = _rescale(tensors, node, name, wanted)
            nodes.append(rescale)
            sets.add(tensors[rescale.output])
            inputs.append(rescale.output)
        for name in inputs:
            sets.join(node.output, name)
        nodes.append(replace(node, inputs=tuple(inputs)))
    return graph.with_nodes(nodes, tensors)


def _common(sets: _Sets, names: Iterable[str]) -> QParams | None:
    """Parameters for an output that has none: the coarsest of its inputs', if all have some."""
    presets = [sets.preset(name) for name in names]
    known = [preset for preset in presets if preset is not None]
    return max(known, key=lambda q: q.scalar) if len(known) == len(presets) else None


def _rescale(tensors: dict[str, Tensor], node: Node, name: str, wanted: QParams | None) -> Node:
    """Add the output tensor of an identity layer from `name` to `node`, and return the layer."""
    output = f"{name}.for.{node.name}"
    while output in tensors:
        output += "_"
    tensors[output] = replace(tensors[name], name=output, qparams=wanted)
    return Node(output, "unary", (name,), output, UnaryParams(X), node.numerics)


def share_groups(graph: Graph) -> tuple[Group, ...]:
    """Return the groups of all activations, each tensor in exactly one.

    Args:
        graph: a graph that `insert_rescales` has made free of conflicts.
    """
    sets = _Sets(graph)
    moved: set[str] = set()
    paddings: dict[str, float] = {}
    for node in graph.nodes:
        if OPS[node.op].same_qparams:
            moved.add(node.output)
            for name in node.inputs:
                sets.join(node.output, name)
            if isinstance(node.params, PadParams):
                paddings[node.output] = node.params.value
    for node in graph.nodes:
        if shares_qparams(node):
            for name in node.inputs:
                # Where a file gave both a scale, they keep them.
                ends = {sets.preset(node.output), sets.preset(name)} - {None}
                if len(ends) < 2 and not graph.tensors[name].is_const:
                    sets.join(node.output, name)
    groups: dict[str, list[str]] = {}
    for name, tensor in graph.tensors.items():
        if not tensor.is_const:
            groups.setdefault(sets.root(name), []).append(name)
    return tuple(
        Group(
            members=tuple(names),
            sources=tuple(name for name in names if name not in moved),
            paddings=tuple(paddings[name] for name in names if name in paddings),
            preset=sets.preset(root),
        )
        for root, names in groups.items()
    )


def by_member(groups: Iterable[Group]) -> Mapping[str, Group]:
    """Map each tensor to its group."""
    return {name: group for group in groups for name in group.members}
