"""Orders of execution on examples whose answer is known."""

from edgecomp.ir import DType, Graph, Node, OpParams, Tensor
from edgecomp.plan.schedule import activation_aliases, live_bytes_of_order, order_nodes


def graph_of(
    sizes: dict[str, int], *nodes: tuple[str, str, tuple[str, ...]], outputs: str
) -> Graph:
    """Build a graph from sizes and (op, output, inputs)."""
    tensors = {name: Tensor(name, (size,), DType.INT8) for name, size in sizes.items()}
    made = tuple(Node(out, op, inputs, out, OpParams()) for op, out, inputs in nodes)
    return Graph("g", ("x",), (outputs,), made, tensors)


def test_the_branch_that_shrinks_runs_first():
    graph = graph_of(
        {"x": 10, "big": 100, "small": 1, "wide": 80, "narrow": 2, "y": 3},
        ("dense", "big", ("x",)),
        ("dense", "wide", ("x",)),
        ("dense", "small", ("big",)),
        ("dense", "narrow", ("wide",)),
        ("add", "y", ("small", "narrow")),
        outputs="y",
    )
    order = order_nodes(graph)
    assert [node.name for node in order] == ["big", "small", "wide", "narrow", "y"]
    assert live_bytes_of_order(graph, graph.nodes, keep_input=False) == 10 + 100 + 80
    assert live_bytes_of_order(graph, order, keep_input=False) == 10 + 100 + 1


def test_a_chain_keeps_its_order():
    graph = graph_of(
        {"x": 4, "a": 9, "b": 1},
        ("dense", "a", ("x",)),
        ("dense", "b", ("a",)),
        outputs="b",
    )
    assert order_nodes(graph) == graph.nodes


def test_reshapes_take_no_memory():
    graph = graph_of(
        {"x": 50, "flat": 50, "y": 2},
        ("reshape", "flat", ("x",)),
        ("dense", "y", ("flat",)),
        outputs="y",
    )
    assert activation_aliases(graph) == {"x": "x", "flat": "x", "y": "y"}
    assert live_bytes_of_order(graph, graph.nodes, keep_input=False) == 52


def test_a_kept_input_counts_to_the_end():
    graph = graph_of(
        {"x": 50, "a": 5, "b": 60},
        ("dense", "a", ("x",)),
        ("dense", "b", ("a",)),
        outputs="b",
    )
    assert live_bytes_of_order(graph, graph.nodes, keep_input=False) == 65
    assert live_bytes_of_order(graph, graph.nodes, keep_input=True) == 115


def test_a_graph_too_wide_for_the_search_keeps_its_order(monkeypatch):
    monkeypatch.setattr("edgecomp.plan.schedule.MAX_STATES", 300)
    names = [f"t{n}" for n in range(24)]
    graph = graph_of(
        {"x": 1, **{name: 5 + n % 7 for n, name in enumerate(names)}, "y": 1},
        *(("dense", name, ("x",)) for name in names),
        ("concat", "y", tuple(names)),
        outputs="y",
    )
    assert order_nodes(graph) == graph.nodes
