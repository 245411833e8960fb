"""The graph: nodes in execution order over named tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgecomp.ir.types import Array, Node, Tensor


@dataclass(frozen=True)
class View:
    """How the model's own input or output lies over the device's tensor.

    `original = reshape(transpose(device, perm), shape)`: a model that wants NCHW has
    `perm = (0, 3, 1, 2)` over the NHWC tensor that the firmware uses.
    """

    perm: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class State:
    """What a network remembers from one run to the next.

    The layer that makes `update` reads `source` and writes over it, when no other layer needs the
    old codes any more.

    Attributes:
        source: the tensor that holds the old codes; no layer makes it.
        update: the tensor of the new codes, of the same shape and scale.
        codes: of `source` before the first run: one for every element, or a single one for all.
    """

    source: str
    update: str
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes:
        name: a C identifier; prefix of every external name in the generated code.
        inputs: names of the input tensors, in the model's order.
        outputs: names of the output tensors, in the model's order.
        nodes: in execution order: a node comes after the nodes that make its inputs.
        tensors: every tensor by name, constants included.
        views: for inputs and outputs whose layout differs from the model's, how to convert.
        io_names: names that the model's file gave to inputs and outputs, by tensor name.
        states: tensors that are kept between runs.
        constant_outputs: outputs of the model's file that are the same whatever the inputs, which
            the network leaves out, by their names.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    views: Mapping[str, View] = field(default_factory=dict)
    io_names: Mapping[str, str] = field(default_factory=dict)
    states: tuple[State, ...] = ()
    constant_outputs: Mapping[str, Array] = field(default_factory=dict)

    @property
    def has_int16(self) -> bool:
        """Whether activations have int16 codes: all of them then, not only indices of tables."""
        return any(node.is_int16 and not self._is_index(node.output) for node in self.nodes)

    def _is_index(self, name: str) -> bool:
        """Whether codes are whole numbers in a network of int8 codes."""
        q = self.tensors[name].qparams
        return q is not None and q.is_wide and q.scale == (1.0,)

    def tensor(self, name: str) -> Tensor:
        """Return the tensor called `name`."""
        return self.tensors[name]

    def node_inputs(self, node: Node) -> tuple[Tensor, ...]:
        """Return the input tensors of `node`, in order."""
        return tuple(self.tensors[name] for name in node.inputs)

    def node_output(self, node: Node) -> Tensor:
        """Return the tensor that `node` makes."""
        return self.tensors[node.output]

    def producers(self) -> dict[str, Node]:
        """Map each computed tensor to the node that makes it."""
        return {node.output: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """Map each tensor to the nodes that read it, in execution order, each once."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return readers

    def replace(self, **changes: Any) -> "Graph":
        """Return a copy with some attributes changed."""
        return replace(self, **changes)

    def with_nodes(self, nodes: Iterable[Node], tensors: Mapping[str, Tensor]) -> "Graph":
        """Return the graph with other nodes, keeping only the tensors that are used."""
        kept = tuple(nodes)
        used = dict.fromkeys(self.inputs + self.outputs)
        for state in self.states:
            used.update(dict.fromkeys((state.source, state.update)))
        for node in kept:
            used.update(dict.fromkeys((*node.inputs, node.output)))
        return replace(self, nodes=kept, tensors={name: tensors[name] for name in used})

    @property
    def is_quantized(self) -> bool:
        """Whether every activation is an integer tensor."""
        return all(
            tensor.dtype.value.startswith("int")
            for tensor in self.tensors.values()
            if not tensor.is_const
        )
