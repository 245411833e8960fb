"""Plans: stages, memory in place, what survives, what is refused."""

from dataclasses import replace

import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.ir import DType, Graph, Node, OpParams, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.add import AddParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.movement import ReshapeParams, TransposeParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.plan.planner import macs_of, plan_graph
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import get_core
from tests.support.cases import Act, Bias, OpCase, Weights, case_graph

M4 = get_core("cortex-m4f")
Q = QParams.per_tensor(0.05, -3)
TABLE = UnaryParams(call("tanh", X))


def graph_of(*nodes: Node, outputs: tuple[str, ...]) -> Graph:
    """Build a graph on one input x of (1, 4, 4, 2), everything at one scale."""
    tensors = {"x": Tensor("x", (1, 4, 4, 2), DType.INT8, Q)}
    for node in nodes:
        shape = OPS[node.op].infer(node.params, [tensors[name] for name in node.inputs])
        tensors[node.output] = Tensor(node.output, shape, DType.INT8, Q)
    return Graph("g", ("x",), outputs, nodes, tensors)


def node(op: str, output: str, *inputs: str, params: OpParams = TABLE) -> Node:
    return Node(output, op, inputs, output, params)


def test_element_wise_results_take_their_inputs_place():
    graph = graph_of(node("unary", "a", "x"), node("unary", "b", "a"), outputs=("b",))
    plan = plan_graph(graph, M4)
    assert plan.arena_bytes == 32
    assert {plan.buffer(name).arena_offset for name in ("x", "a", "b")} == {0}


def test_nothing_is_overwritten_that_is_still_read():
    graph = graph_of(
        node("unary", "a", "x"),
        node("add", "b", "x", "a", params=AddParams()),
        outputs=("b",),
    )
    plan = plan_graph(graph, M4)
    assert plan.arena_bytes == 64
    assert plan.buffer("a").arena_offset != plan.buffer("x").arena_offset


def test_a_kept_input_survives():
    graph = graph_of(node("unary", "a", "x"), outputs=("a",))
    plan = plan_graph(graph, M4, keep_input=True)
    assert plan.arena_bytes == 64
    assert plan.keep_input


def test_outputs_survive_each_other():
    graph = graph_of(node("unary", "a", "x"), node("unary", "b", "a"), outputs=("a", "b"))
    plan = plan_graph(graph, M4)
    assert plan.buffer("a").arena_offset != plan.buffer("b").arena_offset


def test_reshape_is_no_stage():
    graph = graph_of(
        node("reshape", "flat", "x", params=ReshapeParams((1, 32))),
        node("unary", "y", "flat"),
        outputs=("y",),
    )
    plan = plan_graph(graph, M4)
    assert [stage.ops for stage in plan.stages] == [("unary",)]
    assert plan.buffer("flat") == plan.buffer("x")


def test_a_model_of_reshapes_alone_has_no_stages():
    graph = graph_of(node("reshape", "flat", "x", params=ReshapeParams((1, 32))), outputs=("flat",))
    plan = plan_graph(graph, M4)
    assert plan.stages == ()
    assert plan.arena_bytes == 32


def test_a_transpose_overlaps_as_far_as_its_order_allows():
    graph = graph_of(
        node("transpose", "y", "x", params=TransposeParams((0, 3, 1, 2))), outputs=("y",)
    )
    # The first 16 outputs skip every second input, so they must lie before the input's begin.
    assert plan_graph(graph, M4).arena_bytes == 32 + 16


def test_a_smaller_operand_is_not_overwritten():
    case = OpCase("c", "add", AddParams(), (Act((1, 1, 1, 2)), Act((1, 4, 4, 2))))
    plan = plan_graph(case_graph(case), M4)
    assert plan.buffer("y").arena_offset == plan.buffer("t1").arena_offset
    assert plan.buffer("t0").arena_offset != plan.buffer("t1").arena_offset


def test_the_plan_counts_weights_and_macs():
    from edgecomp.ops.dense import DenseParams

    case = OpCase("c", "dense", DenseParams(), (Act((1, 10)), Weights((6, 10)), Bias()))
    graph = case_graph(case)
    plan = plan_graph(graph, get_core("cortex-m0"))
    (stage,) = plan.stages
    assert plan.weights_bytes(stage) == 6 * 10 + 4 * 6 + 4 * 6
    assert macs_of(graph) == 60
    assert stage.storage == "dense8"


def test_an_operator_without_kernel_is_refused_by_name():
    graph = graph_of(node("unary", "y", "x"), outputs=("y",))
    odd = replace(graph.nodes[0], op="fft", name="spectrum")
    with pytest.raises(UnsupportedError, match=r"fft.*'spectrum'"):
        plan_graph(graph.replace(nodes=(odd,)), M4)


def test_a_plan_is_the_same_twice():
    graph = graph_of(
        node("unary", "a", "x"),
        node("unary", "b", "x"),
        node("add", "c", "a", "b", params=AddParams()),
        outputs=("c", "b"),
    )
    first, second = plan_graph(graph, M4), plan_graph(graph, M4)
    assert first == second
    verify_plan(first)
