"""A recurrent layer of which only the last step is read keeps no others."""

from dataclasses import replace
from typing import Any

from edgecomp.ir import Graph, Node
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.recurrent import RecurrentParams
from edgecomp.passes.edit import sole_reader, with_changes


def fuse_last(graph: Graph) -> Graph:
    """Fuse the choice of a sequence's last row into the layer that makes the sequence."""
    consumers = graph.consumers()
    changes: dict[str, Node | None] = {}
    for node in graph.nodes:
        if not isinstance(node.params, RecurrentParams) or node.params.emits != "sequence":
            continue
        reader = sole_reader(graph, consumers, node.output)
        if reader is not None and _takes_last(reader, graph.tensors[node.output].shape[1]):
            params: Any = replace(node.params, emits="last")
            changes[node.output] = replace(node, output=reader.output, params=params)
            changes[reader.output] = None
    return with_changes(graph, changes) if changes else graph


def _takes_last(node: Node, steps: int) -> bool:
    """Whether a node takes the last of `steps` rows, and nothing else."""
    return isinstance(node.params, GatherParams) and node.params.indices == (
        None,
        (steps - 1,),
        None,
    )
