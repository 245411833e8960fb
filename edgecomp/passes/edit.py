"""Small changes of a graph that the passes share."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edgecomp.ir import Clamp, Graph, Node, OpParams, Tensor


def with_changes(
    graph: Graph, changes: Mapping[str, Node | None], tensors: Iterable[Tensor] = ()
) -> Graph:
    """Replace or remove nodes.

    Args:
        graph: the old graph.
        changes: for nodes, named by their output, what stands in their place; None removes.
        tensors: new or changed tensors.
    """
    nodes = [changes.get(node.output, node) for node in graph.nodes]
    merged = {**graph.tensors, **{tensor.name: tensor for tensor in tensors}}
    return graph.with_nodes([node for node in nodes if node is not None], merged)


def sole_reader(graph: Graph, consumers: Mapping[str, list[Node]], name: str) -> Node | None:
    """The node that reads tensor `name`, if nobody else does and it is not an output."""
    readers = consumers[name]
    return readers[0] if len(readers) == 1 and name not in graph.outputs else None


def clamp_of(params: OpParams) -> Clamp | None:
    """The fused activation of a node that can have one."""
    clamp = getattr(params, "clamp", None)
    return clamp if isinstance(clamp, Clamp) else None


def with_clamp(node: Node, clamp: Clamp, **changes: Any) -> Node:
    """Return `node` with another fused activation."""
    params: Any = node.params
    return replace(node, params=replace(params, clamp=clamp), **changes)


def unused_name(graph: Graph, wanted: str) -> str:
    """Return `wanted`, or `wanted_2`, … where a tensor has that name."""
    name, count = wanted, 1
    while name in graph.tensors:
        count += 1
        name = f"{wanted}_{count}"
    return name
