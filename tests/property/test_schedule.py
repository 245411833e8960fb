"""The order of execution is the best there is, by brute force on small graphs."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.ir import DType, Graph, Node, OpParams, Tensor
from edgecomp.plan.schedule import live_bytes_of_order, order_nodes


@st.composite
def graphs(draw):
    """Graphs of up to six nodes; what the nodes compute does not matter here."""
    tensors = {"x": Tensor("x", (draw(st.integers(1, 60)),), DType.INT8)}
    nodes = []
    for index in range(draw(st.integers(1, 6))):
        is_reshape = draw(st.booleans()) and draw(st.booleans())
        names = sorted(tensors)
        inputs = tuple(
            draw(st.lists(st.sampled_from(names), min_size=1, max_size=1 if is_reshape else 3))
        )
        shape = tensors[inputs[0]].shape if is_reshape else (draw(st.integers(1, 60)),)
        name = f"t{index}"
        tensors[name] = Tensor(name, shape, DType.INT8)
        nodes.append(Node(name, "reshape" if is_reshape else "dense", inputs, name, OpParams()))
    read = {name for node in nodes for name in node.inputs}
    outputs = [node.output for node in nodes if node.output not in read]
    more = draw(st.lists(st.sampled_from([node.output for node in nodes]), max_size=2))
    return Graph("g", ("x",), tuple(dict.fromkeys(outputs + more)), tuple(nodes), tensors)


def peak_bytes(graph: Graph, order: tuple[Node, ...], keep_input: bool) -> int:
    """Play an order: memory is there from the writing until the last reading, or the end."""
    memory = {"x": "x"}
    for node in graph.nodes:
        memory[node.output] = memory[node.inputs[0]] if node.op == "reshape" else node.output
    needed_at = {
        block: [
            step
            for step, node in enumerate(order)
            for name in (*node.inputs, node.output)
            if memory[name] == block
        ]
        for block in memory.values()
    }
    for name in (*graph.outputs, *(("x",) if keep_input else ())):
        needed_at[memory[name]].append(len(order))
    peak = 0
    for step in range(len(order)):
        live = 0
        for block, steps in needed_at.items():
            begin = -1 if block == "x" else min(steps)
            if steps and begin <= step <= max(steps):
                live += graph.tensors[block].size
        peak = max(peak, live)
    return peak


def is_possible(order: tuple[Node, ...]) -> bool:
    done = {"x"}
    for node in order:
        if not done.issuperset(node.inputs):
            return False
        done.add(node.output)
    return True


@settings(max_examples=80, deadline=None)
@given(graphs(), st.booleans())
def test_no_order_needs_less(graph, keep_input):
    found = order_nodes(graph, keep_input=keep_input)
    assert sorted(n.name for n in found) == sorted(n.name for n in graph.nodes)
    assert is_possible(found)
    best = min(
        peak_bytes(graph, order, keep_input)
        for order in permutations(graph.nodes)
        if is_possible(order)
    )
    assert peak_bytes(graph, found, keep_input) == best


@settings(max_examples=80, deadline=None)
@given(graphs(), st.booleans())
def test_live_bytes_are_those_of_the_order(graph, keep_input):
    assert live_bytes_of_order(graph, graph.nodes, keep_input=keep_input) == peak_bytes(
        graph, graph.nodes, keep_input
    )


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_the_models_own_order_wins_among_equals(graph):
    found = order_nodes(graph)
    if peak_bytes(graph, graph.nodes, False) == peak_bytes(graph, found, False):
        assert found == graph.nodes
