"""Channels last everywhere: transposes are carried as views and disappear.

The importers put transposes around every spatial layer.  Walking through the graph, each tensor
of the old graph is known as a view of a tensor of the new one (`edgecomp.passes.views`);
movements only change the view, element-wise layers work on the base, axes and constants are
mapped, a dense layer after a flattened map gets its weights' columns reordered.  A transpose is
made only where a layer needs an order that no base has.  The graph's inputs and outputs take the
order that the device likes; `Graph.views` tells how the model's own lies over it.
"""

from collections.abc import Mapping

from edgecomp.ir import Graph, View
from edgecomp.passes.layout_rules import RULES
from edgecomp.passes.rewriter import Rewriter
from edgecomp.passes.views import Layout, as_view, inverse


def layout(graph: Graph) -> Graph:
    """Rewrite `graph` with channels last; see the module's text.

    A graph with views was laid out before (a compressed model, read again) and stays as it is.
    """
    if graph.views:
        return graph
    chosen: dict[str, Layout] = {}
    best = _rewrite(graph, chosen)
    for name, wanted in _candidates(graph, best):
        trial_layouts = {**chosen, name: wanted}
        trial = _rewrite(graph, trial_layouts)
        if trial.cost < best.cost:
            chosen, best = trial_layouts, trial
    return _finish(graph, best, chosen)


def _candidates(graph: Graph, rewriter: Rewriter) -> list[tuple[str, Layout]]:
    """Orders worth trying for the graph's inputs: what a layer needed, and channels last."""
    candidates = list(rewriter.requests.items())
    for name in graph.inputs:
        shape = graph.tensor(name).shape
        if len(shape) in {3, 4}:
            last = Layout.permuted(name, shape, (0, *range(2, len(shape)), 1))
            if rewriter.requests.get(name) != last:
                candidates.append((name, last))
    return candidates


def _rewrite(graph: Graph, inputs: Mapping[str, Layout]) -> Rewriter:
    """Walk through the nodes, the inputs in the order that the device shall have.

    Args:
        graph: the old graph.
        inputs: for some inputs, how the device's tensor lies over the model's: its `shape` is the
            device's shape.
    """
    rewriter = Rewriter(graph)
    for name in graph.inputs:
        if name in inputs:
            rewriter.add_input(name, inputs[name].shape, _model_view(graph, inputs[name]))
        else:
            shape = graph.tensor(name).shape
            rewriter.add_input(name, shape, Layout.plain(name, shape))
    for state in graph.states:
        shape = graph.tensor(state.source).shape
        rewriter.add_input(state.source, shape, Layout.plain(state.source, shape))
    for node in graph.nodes:
        RULES[node.op](rewriter, node)
    for name in graph.outputs:
        rewriter.add_output(name)
    return rewriter


def _model_view(graph: Graph, device: Layout) -> Layout:
    """The model's input as a view of the device's."""
    return inverse(device).reshaped(graph.tensor(device.base).shape)


def _finish(graph: Graph, rewriter: Rewriter, inputs: Mapping[str, Layout]) -> Graph:
    """Build the new graph with the views of its inputs and outputs."""
    views: dict[str, View] = dict(rewriter.output_views)
    for name, device in inputs.items():
        view = as_view(_model_view(graph, device), device.shape)
        assert view is not None, name
        views[name] = view
    io_names = {name: graph.io_names[name] for name in graph.inputs if name in graph.io_names}
    for old, new in zip(graph.outputs, rewriter.outputs, strict=True):
        if old in graph.io_names:
            io_names[new] = graph.io_names[old]
    result = graph.replace(outputs=tuple(rewriter.outputs), views=views, io_names=io_names)
    return result.with_nodes(rewriter.nodes, rewriter.tensors)
