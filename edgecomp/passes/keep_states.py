"""Recurrent layers that go on in every run with the state that they left in the one before."""

from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph, Node
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.ops.recurrent import RecurrentParams
from edgecomp.passes.stream import Stream
from edgecomp.passes.tick_recurrent import stepped
from edgecomp.passes.ticks import Ticks


def keeps_states(graph: Graph) -> bool:
    """Whether a layer is to go on where the run before ended."""
    return any(_keeps(node) for node in graph.nodes)


def keep_states(whole: Graph) -> Stream:
    """Give a quantized network the states that its layers keep.

    Args:
        whole: the network, each run of which begins anew.

    Returns:
        The same as a stream whose ticks are whole inputs, one behind the other.

    Raises:
        UserError: its inputs differ in their first axis.
    """
    frames = {whole.tensors[name].shape[0] for name in whole.inputs}
    if len(frames) > 1:
        raise UserError(f"{whole.name} keeps states and has inputs of several batches: {frames}")
    ticks = Ticks(whole, {})
    for name in (*whole.inputs, *(state.source for state in whole.states)):
        ticks.tensors[name] = whole.tensors[name]
        ticks.names[name] = name
    for node in whole.nodes:
        if _keeps(node):
            _keep(ticks, node)
        else:
            ticks.whole_layer(node)
    outputs = {name: ticks.add_output(name) for name in whole.outputs}
    graph = replace(
        whole,
        outputs=tuple(outputs.values()),
        views={outputs.get(name, name): view for name, view in whole.views.items()},
        io_names={outputs.get(name, name): given for name, given in whole.io_names.items()},
        states=(*whole.states, *ticks.states),
        nodes=(),
        tensors=ticks.tensors,
    ).with_nodes(ticks.nodes, ticks.tensors)
    verify(graph, OPS)
    return Stream(graph, axis=0, frames=frames.pop(), first_tick=0, delays={}, axes={})


def _keeps(node: Node) -> bool:
    return isinstance(node.params, RecurrentParams) and node.params.keeps


def _keep(ticks: Ticks, node: Node) -> None:
    """Let a layer begin with a state of the graph, and leave it there."""
    made = stepped(ticks, node, ticks.tensors[ticks.names[node.inputs[0]]])
    ticks.names[node.output] = made.rows(ticks.whole.tensors[node.output].shape, node.output)
