"""What is constant in a network: outputs, parts of a joint, comparisons with infinity."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.feasibility import check_model as check_feasible
from edgecomp.frontend import read_model
from edgecomp.frontend.survey import survey
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ir.text import constant_outputs, format_graph
from edgecomp.ops import OPS, PARAMS
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import check_model, make_model, node, ops, save


def test_a_constant_output_is_left_out_and_told(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "y"), node("Shape", "x", "s")]
    model = make_model(nodes, {"x": [1, 4]}, ["s", "y"], types={"s": TensorProto.INT64})
    path = save(model, tmp_path)
    graph = run_passes(read_model(path))
    assert [graph.io_names[name] for name in graph.outputs] == ["y"]
    assert constant_outputs(graph) == ["output s is always [1, 4] (2): left out"]
    assert "  output s is always [1, 4]" in format_graph(graph, OPS)
    told: list[str] = []
    assert check_feasible(str(path), "mps2-an386", say=told.append)["verdict"] == "ok"
    assert constant_outputs(graph)[0] in told
    save_graph(graph, tmp_path / "net.npz")
    again = load_graph(tmp_path / "net.npz", PARAMS)
    assert again.constant_outputs["s"].tolist() == [1, 4]


def test_a_network_of_constant_outputs_alone_is_refused(tmp_path: Path) -> None:
    model = make_model([node("Shape", "x", "s")], {"x": [1, 4]}, ["s"], types={"s": 7})
    path = save(model, tmp_path)
    graph = read_model(path)
    assert "  output s is always [1, 4]" in format_graph(graph, OPS)
    with pytest.raises(UserError, match="no output depends on the inputs: 's'"):
        run_passes(graph)
    report = check_feasible(str(path), "mps2-an386")
    assert report["verdict"] == "refused"
    assert "no output depends" in report["refused"][0]["reason"]


@pytest.mark.parametrize("inputs", ["k x", "x k", "k x e k z", "x x k m", "u x u", "x e"])
@pytest.mark.parametrize("axis", [1, -1])
def test_constants_are_joined_with_what_is_computed(inputs: str, axis: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shape = (1, 3, 3, 3)
    empty = (1, 0, 3, 3) if axis == 1 else (1, 3, 3, 0)
    constants = {
        "k": rng.standard_normal(shape).astype(np.float32),
        "m": rng.standard_normal(shape).astype(np.float32),
        "u": np.full(shape, 0.5, np.float32),
        "e": np.zeros(empty, np.float32),
    }
    nodes = [node("Concat", inputs, "a", axis=axis), node("Abs", "a", "y")]
    given = {name: shape for name in "xz" if name in inputs}
    graph = check_model(make_model(nodes, given, ["y"], constants), tmp_path)
    assert ("add" in ops(graph)) is ("k" in inputs)


@pytest.mark.parametrize("op", ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("number", [np.inf, -np.inf])
@pytest.mark.parametrize("inputs", ["x k", "k x"])
def test_a_comparison_with_infinity_is_constant(
    op: str, number: float, inputs: str, tmp_path: Path
) -> None:
    constants = {"k": np.full((3, 1), number, np.float32)}
    nodes = [node(op, inputs, "c"), node("Abs", "x", "a"), node("Where", "c a x", "y")]
    graph = check_model(make_model(nodes, {"x": [3, 4]}, ["y"], constants, opset=19), tmp_path)
    assert set(ops(graph)) == {"unary"}
    assert len(ops(graph)) == 1


def test_a_piece_without_elements(tmp_path: Path) -> None:
    constants = {"s": np.array([4, 0])}
    nodes = [node("Split", "x s", "a b", axis=1), node("Concat", "a b", "c", axis=1),
             node("Relu", "c", "y")]  # fmt: skip
    graph = check_model(make_model(nodes, {"x": [1, 4]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["unary"]


def branch(name: str, nodes: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [value])


@pytest.mark.parametrize("rank", [2, 3])
def test_a_choice_between_constants_is_a_constant(rank: int, tmp_path: Path) -> None:
    """Legacy exports choose by shapes."""
    yes = branch("yes", [node("Neg", "k", "n1"), node("Add", "n1 k2", "a1")], "a1")
    no = branch("no", [node("Identity", "k2", "n2")], "n2")
    nodes = [
        node("Shape", "x", "s"), node("Size", "s", "r"), node("Equal", "r two", "c"),
        node("If", "c", "m", then_branch=yes, else_branch=no), node("Mul", "x m", "y"),
    ]  # fmt: skip
    constants = {
        "two": np.array(2), "k": np.float32([1, 2, 3]), "k2": np.float32([5, 7, 9]),
    }  # fmt: skip
    shape = (1, 1, 3)[-rank:]
    graph = check_model(make_model(nodes, {"x": shape}, ["y"], constants), tmp_path)
    assert ops(graph) == ["mul"]


def test_a_node_that_reads_one_constant_twice(tmp_path: Path) -> None:
    nodes = [node("CastLike", "k k", "a"), node("Mul", "a a", "b"), node("Add", "x b", "y")]
    constants = {"k": np.float32([1, 2, 3])}
    check_model(make_model(nodes, {"x": (2, 3)}, ["y"], constants), tmp_path)


@pytest.mark.parametrize("sizes", [[1, 3], [2, 2]])
def test_pieces_of_a_constant(sizes: list[int], tmp_path: Path) -> None:
    """torch.export splits the weights of an attention of two inputs so."""
    nodes = [
        node("SplitToSequence", "k sizes", "pieces"), node("SequenceAt", "pieces zero", "a"),
        node("SequenceAt", "pieces one", "b"), node("ConcatFromSequence", "pieces", "c", axis=0),
        node("Gemm", "x a", "xa", transB=1), node("Gemm", "x b", "xb", transB=1),
        node("Concat", "xa xb", "ab", axis=1), node("Gemm", "x c", "xc", transB=1),
        node("Add", "ab xc", "y"),
    ]  # fmt: skip
    constants = {
        "k": np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32),
        "sizes": np.array(sizes), "zero": np.array(0), "one": np.array(-1),
    }  # fmt: skip
    graph = check_model(make_model(nodes, {"x": (1, 5)}, ["y"], constants), tmp_path)
    assert ops(graph) == ["dense", "dense", "concat", "dense", "add"]


def chosen(condition: list[onnx.NodeProto], **constants: np.ndarray) -> onnx.ModelProto:
    """A choice between two branches that compute, one of which chooses once more."""
    inner = [branch("a", [node("Exp", "t", "e")], "e"), branch("b", [node("Neg", "t", "e")], "e")]
    yes = branch("yes", [
        node("Tanh", "x", "t"), node("ArgMax", "x", "i", axis=1), node("Div", "i two", "h"),
        node("Cast", "h", "f", to=TensorProto.FLOAT), node("Greater", "k one", "g"),
        helper.make_node("If", ["g"], ["w"], "again", then_branch=inner[0], else_branch=inner[1]),
        node("Add", "w f", "t1"),
    ], "t1")  # fmt: skip
    no = branch("no", [node("Split", "x s", "p q", axis=1), node("Mul", "p m", "t")], "t")
    no.initializer.append(numpy_helper.from_array(np.float32([2, 3]), "m"))
    choice = helper.make_node("If", ["c"], ["r"], "choice", then_branch=yes, else_branch=no)
    nodes = [*condition, choice, node("Abs", "r", "y")]
    given = {"two": np.array([2]), "one": np.array(1), "s": np.array([2, 2]), **constants}
    return make_model(nodes, {"x": (3, 4)}, ["y"], given)


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("k", [0, 2])
def test_the_branch_that_is_always_taken(holds: bool, k: int, tmp_path: Path) -> None:
    graph = check_model(chosen([], c=np.array(holds), k=np.array(k)), tmp_path)
    names = [made.name for made in graph.nodes]
    assert any(name.startswith("choice/") for name in names)
    assert ("argmax" in ops(graph)) is holds


def test_a_computed_condition_is_refused(tmp_path: Path) -> None:
    condition = [node("ReduceMax", "x", "l", keepdims=0),
                 node("Cast", "l", "c", to=TensorProto.BOOL)]  # fmt: skip
    path = save(chosen(condition, k=np.array(1)), tmp_path)
    with pytest.raises(UnsupportedError, match="If in layer 'choice': its condition is computed"):
        read_model(path)
    (refusal,) = survey(str(path)).refusals
    assert (refusal.op, refusal.layer) == ("If", "choice")


def test_what_is_refused_in_a_branch_is_named(tmp_path: Path) -> None:
    model = chosen([], c=np.array(True), k=np.array(1))
    yes = next(a.g for a in model.graph.node[0].attribute if a.name == "then_branch")
    yes.node[0].op_type = "Bernoulli"
    path = save(model, tmp_path)
    with pytest.raises(UnsupportedError, match="Bernoulli in layer 'choice/t'"):
        read_model(path)
    refusals = survey(str(path)).refusals
    assert [(refusal.op, refusal.layer) for refusal in refusals] == [("Bernoulli", "choice/t")]
