"""What each pass does and, as important, what it leaves alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.ir import Clamp, Graph, Node, QParams, Tensor
from edgecomp.ops.expression import X, call
from edgecomp.ops.movement import ReshapeParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes import run_passes
from edgecomp.passes.constants import fold_constants
from edgecomp.passes.fold_affine import fold_affine
from edgecomp.passes.fuse_clamp import fuse_clamp
from edgecomp.passes.fuse_unary import fuse_unary
from edgecomp.passes.identities import drop_dead, drop_identities
from tests.frontend.onnx_cases import check_model, make_model, node, ops, save

RNG = np.random.default_rng(5)
IMAGE = {"x": [1, 3, 8, 8]}


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def norm_constants(prefix: str, channels: int) -> dict[str, np.ndarray]:
    values = {name: weights(channels) for name in ("g", "b", "m")}
    values["v"] = RNG.uniform(0.5, 2, channels).astype(np.float32)
    return {prefix + name: value for name, value in values.items()}


def norm(x: str, y: str, prefix: str) -> object:
    return node("BatchNormalization", f"{x} {prefix}g {prefix}b {prefix}m {prefix}v", y)


def with_qparams(graph: Graph, **scales: float) -> Graph:
    tensors = {
        name: replace(tensor, qparams=QParams.per_tensor(scales[name], -128))
        if name in scales
        else tensor
        for name, tensor in graph.tensors.items()
    }
    return graph.replace(tensors=tensors)


# fold_affine


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("group", [1, 3])
def test_batch_norm_folds_into_the_convolution_before(
    bias: bool, group: int, tmp_path: Path
) -> None:
    nodes = [
        node("Conv", "x w b" if bias else "x w", "a", group=group, pads=[1, 1, 1, 1]),
        norm("a", "n", "n_"),
        node("Relu", "n", "y"),
    ]
    constants = {"w": weights(6, 3 // group, 3, 3), "b": weights(6), **norm_constants("n_", 6)}
    if not bias:
        del constants["b"]
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]
    assert graph.nodes[0].params.clamp == Clamp(0.0)


def test_batch_norm_folds_into_dense(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w b", "a", transB=1, alpha=0.5, beta=2.0), norm("a", "y", "n_")]
    constants = {"w": weights(6, 5), "b": weights(6), **norm_constants("n_", 6)}
    graph = check_model(make_model(nodes, {"x": [1, 5]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["dense"]


@pytest.mark.parametrize("group", [1, 3])
def test_batch_norm_folds_into_the_convolution_after(group: int, tmp_path: Path) -> None:
    nodes = [norm("x", "n", "n_"), node("Conv", "n w b", "y", group=group)]
    constants = {"w": weights(6, 3 // group, 3, 3), "b": weights(6), **norm_constants("n_", 3)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]


def test_batch_norm_before_padding_stays(tmp_path: Path) -> None:
    nodes = [norm("x", "n", "n_"), node("Conv", "n w", "y", pads=[1, 1, 1, 1])]
    constants = {"w": weights(6, 3, 3, 3), **norm_constants("n_", 3)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "conv2d"]


def test_factor_before_padding_folds(tmp_path: Path) -> None:
    nodes = [node("Mul", "x k", "n"), node("Conv", "n w", "y", pads=[1, 1, 1, 1])]
    constants = {"w": weights(6, 3, 3, 3), "k": weights(3, 1, 1)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]


@pytest.mark.parametrize("op", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("shape", [(6, 1, 1), ()])
@pytest.mark.parametrize("constant_first", [True, False])
def test_constant_operands_fold(
    op: str, shape: tuple[int, ...], constant_first: bool, tmp_path: Path
) -> None:
    if op == "Div" and constant_first:
        pytest.skip("a reciprocal is not affine")
    operands = "k a" if constant_first else "a k"
    nodes = [node("Conv", "x w", "a"), node(op, operands, "y")]
    constants = {"w": weights(6, 3, 3, 3), "k": np.asarray(weights(*shape) + 3, np.float32)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]


def test_factor_and_addend_alone_become_one_layer(tmp_path: Path) -> None:
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2]),
        node("Mul", "p k", "a"),
        node("Add", "a k", "b"),
        node("Relu", "b", "y"),
    ]
    graph = check_model(make_model(nodes, IMAGE, ["y"], {"k": weights(3, 1, 1)}), tmp_path)
    assert ops(graph) == ["max_pool", "conv2d"]
    assert graph.nodes[1].params.groups == 3


def test_nothing_folds_past_a_second_reader_or_an_output(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), norm("a", "n", "n_"), node("Add", "a n", "y")]
    constants = {"w": weights(6, 3, 3, 3), **norm_constants("n_", 6)}
    model = make_model(nodes, IMAGE, ["y"], constants)
    assert ops(check_model(model, tmp_path)) == ["conv2d", "conv2d", "add"]
    model = make_model(nodes[:2], IMAGE, ["a", "n"], constants)
    assert ops(check_model(model, tmp_path)) == ["conv2d", "conv2d"]


def test_nothing_folds_past_an_activation(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "r"), norm("r", "y", "n_")]
    constants = {"w": weights(6, 3, 3, 3), **norm_constants("n_", 6)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "conv2d"]


def test_nothing_folds_across_qparams(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w b", "a"), norm("a", "n", "n_"), node("Gemm", "n w b", "y")]
    constants = {"w": weights(5, 5), "b": weights(5), **norm_constants("n_", 5)}
    graph = read_model(save(make_model(nodes, {"x": [1, 5]}, ["y"], constants), tmp_path))
    assert ops(fold_affine(graph)) == ["dense", "dense"]
    assert ops(fold_affine(with_qparams(graph, a=0.1))) == ["dense", "dense"]
    assert ops(fold_affine(with_qparams(graph, n=0.1))) == ["dense", "dense"]
    assert ops(fold_affine(with_qparams(graph, a=0.1, n=0.1))) == ["dense", "conv2d", "dense"]


# fuse_pad


def pads_of(made: Node) -> tuple[int, int, int, int]:
    p = made.params
    return p.pad_top, p.pad_bottom, p.pad_left, p.pad_right


def test_pad_fuses_into_the_window(tmp_path: Path) -> None:
    nodes = [node("Pad", "x p", "a"), node("Conv", "a w", "y", pads=[1, 0, 0, 0])]
    constants = {"w": weights(6, 3, 3, 3), "p": ints(0, 0, 0, 1, 0, 0, 2, 3)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]
    assert pads_of(graph.nodes[0]) == (1, 2, 1, 3)


def test_pad_fuses_in_one_dimension(tmp_path: Path) -> None:
    nodes = [node("Pad", "x p", "a"), node("Conv", "a w", "y")]
    constants = {"w": weights(6, 3, 3), "p": ints(0, 0, 2, 0, 0, 1)}
    graph = check_model(make_model(nodes, {"x": [1, 3, 8]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]
    assert pads_of(graph.nodes[0]) == (0, 0, 2, 1)


@pytest.mark.parametrize(
    ("pads", "value"), [((0, 1, 0, 0, 0, 0, 0, 0), 0.0), ((0, 0, 1, 1, 0, 0, 1, 1), 0.5)]
)
def test_pad_of_channels_or_of_another_value_stays(
    pads: tuple[int, ...], value: float, tmp_path: Path
) -> None:
    nodes = [node("Pad", "x p v", "a"), node("Conv", "a w", "y")]
    constants = {
        "w": weights(6, 3 + pads[1], 3, 3),
        "p": ints(*pads),
        "v": np.asarray(value, np.float32),
    }
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["pad", "conv2d"]


def test_pad_fuses_into_an_average_that_then_counts_it(tmp_path: Path) -> None:
    nodes = [node("Pad", "x p", "a"), node("AveragePool", "a", "y", kernel_shape=[3, 3])]
    constants = {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["average_pool"]
    assert graph.nodes[0].params.count_include_pad


def test_pad_stays_before_an_average_with_other_padding(tmp_path: Path) -> None:
    pool = node("AveragePool", "a", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    constants = {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    graph = check_model(
        make_model([node("Pad", "x p", "a"), pool], IMAGE, ["y"], constants), tmp_path
    )
    assert ops(graph) == ["pad", "average_pool"]


@pytest.mark.parametrize(("value", "fused"), [(0.0, False), (-3.4e38, True), (-np.inf, True)])
def test_pad_before_a_max_pool(value: float, fused: bool, tmp_path: Path) -> None:
    nodes = [node("Pad", "x p v", "a"), node("MaxPool", "a", "y", kernel_shape=[3, 3])]
    constants = {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": np.asarray(value, np.float32)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == (["max_pool"] if fused else ["pad", "max_pool"])


def test_pad_with_two_readers_fuses_into_both(tmp_path: Path) -> None:
    nodes = [
        node("Pad", "x p", "a"),
        node("Conv", "a w", "b"),
        node("Conv", "a w", "c"),
        node("Sub", "b c", "y"),
    ]
    constants = {"w": weights(6, 3, 3, 3), "p": ints(0, 0, 1, 1, 0, 0, 1, 1)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert "pad" not in ops(graph)


# fuse_clamp


@pytest.mark.parametrize(
    "layer",
    [
        node("Conv", "x w", "a"),
        node("Add", "x x2", "a"),
        node("Sub", "x x2", "a"),
        node("Mul", "x x2", "a"),
        node("AveragePool", "x", "a", kernel_shape=[2, 2]),
        node("GlobalAveragePool", "x", "a"),
        node("ReduceMean", "x", "a", axes=[2]),
    ],
    ids=lambda layer: layer.op_type,
)
def test_clamp_fuses_into(layer: object, tmp_path: Path) -> None:
    bounds = {"lo": np.asarray(-0.25, np.float32), "hi": np.asarray(0.5, np.float32)}
    nodes = [layer, node("Relu", "a", "r"), node("Clip", "r lo hi", "y")]
    constants = bounds | ({"w": weights(6, 3, 3, 3)} if layer.op_type == "Conv" else {})
    inputs = IMAGE | ({"x2": [1, 3, 8, 8]} if "x2" in layer.input else {})
    graph = check_model(make_model(nodes, inputs, ["y"], constants), tmp_path)
    assert len(graph.nodes) == 1
    assert graph.nodes[0].params.clamp == Clamp(0.0, 0.5)


def test_clamp_moves_in_front_of_a_max_pool(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("MaxPool", "a", "b", kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
        node("Flatten", "b", "c"),
        node("Relu", "c", "d"),
        node("MatMul", "d m", "y"),
    ]
    constants = {"w": weights(6, 3, 3, 3), "m": weights(6 * 36, 4)}
    graph = check_model(make_model(nodes, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "max_pool", "reshape", "dense"]
    assert graph.nodes[0].params.clamp == Clamp(0.0)


def test_clamp_with_another_reader_of_its_input_stays(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "r"), node("Sub", "a r", "y")]
    graph = check_model(make_model(nodes, IMAGE, ["y"], {"w": weights(6, 3, 3, 3)}), tmp_path)
    assert ops(graph)[:2] == ["conv2d", "unary"]
    graph = check_model(
        make_model(nodes[:2], IMAGE, ["a", "r"], {"w": weights(6, 3, 3, 3)}), tmp_path
    )
    assert ops(graph) == ["conv2d", "unary"]


def test_clamp_fuses_only_with_its_own_scale(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w", "a"), node("Relu", "a", "y")]
    model = make_model(nodes, {"x": [1, 5]}, ["y"], {"w": weights(5, 5)})
    graph = read_model(save(model, tmp_path))
    for scales, fused in (
        ({}, True),
        ({"y": 0.1}, True),
        ({"a": 0.1, "y": 0.1}, True),
        ({"a": 0.1}, False),
        ({"a": 0.1, "y": 0.2}, False),
    ):
        after = fuse_clamp(with_qparams(graph, **scales))
        assert ops(after) == (["dense"] if fused else ["dense", "unary"]), scales
        if "y" in scales:
            assert after.tensor("y").qparams == QParams.per_tensor(scales["y"], -128)


# fuse_unary


def test_silu_and_gelu_in_pieces_are_one_function(tmp_path: Path) -> None:
    silu = [node("Conv", "x w", "a"), node("Sigmoid", "a", "s"), node("Mul", "s a", "y")]
    constants = {"w": weights(6, 3, 3, 3)}
    graph = check_model(make_model(silu, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d", "unary"]
    assert graph.nodes[1].params.text == "mul(sigmoid(x), x)"
    gelu = [
        node("MaxPool", "x", "a", kernel_shape=[2, 2]),
        node("Div", "a root", "b"),
        node("Erf", "b", "c"),
        node("Add", "c one", "d"),
        node("Mul", "a d", "e"),
        node("Mul", "e half", "y"),
    ]
    numbers = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    constants = {name: np.asarray(value, np.float32) for name, value in numbers.items()}
    graph = check_model(make_model(gelu, IMAGE, ["y"], constants), tmp_path)
    assert ops(graph) == ["max_pool", "unary"]


def test_functions_of_one_input_meet(tmp_path: Path) -> None:
    nodes = [
        node("Tanh", "x", "a"),
        node("Softplus", "x", "b"),
        node("Mul", "a b", "c"),
        node("Mul", "c c", "y"),
    ]
    graph = check_model(make_model(nodes, IMAGE, ["y"]), tmp_path)
    assert ops(graph) == ["unary"]


def test_functions_do_not_merge_across_qparams() -> None:
    tensors = {name: Tensor(name, (1, 4)) for name in "xay"}
    nodes = (
        Node("f", "unary", ("x",), "a", UnaryParams(call("tanh", X))),
        Node("g", "unary", ("a",), "y", UnaryParams(call("abs", X))),
    )
    graph = Graph("g", ("x",), ("y",), nodes, tensors)
    assert ops(fuse_unary(graph)) == ["unary"]
    assert ops(fuse_unary(with_qparams(graph, a=0.1))) == ["unary", "unary"]
    assert ops(fuse_unary(graph.replace(outputs=("a", "y")))) == ["unary", "unary"]


# identities, constants, dead nodes


def test_identities_go_but_changes_of_scale_stay() -> None:
    tensors = {name: Tensor(name, (1, 4)) for name in "xaby"}
    nodes = (
        Node("i", "unary", ("x",), "a", UnaryParams(X)),
        Node("r", "reshape", ("a",), "b", ReshapeParams((1, 4))),
        Node("g", "unary", ("b",), "y", UnaryParams(call("abs", X))),
    )
    graph = Graph("g", ("x",), ("y",), nodes, tensors)
    assert [made.name for made in drop_identities(graph).nodes] == ["g"]
    rescaling = with_qparams(graph, x=0.1, a=0.2)
    assert [made.name for made in drop_identities(rescaling).nodes] == ["i", "g"]
    moved = drop_identities(with_qparams(graph, a=0.2))
    assert moved.tensor("x").qparams == QParams.per_tensor(0.2, -128), "qparams are not lost"


def test_constants_fold_and_dead_nodes_go() -> None:
    data = {name: weights(1, 4) for name in "cd"}
    tensors = {name: Tensor(name, (1, 4)) for name in "xsyz"}
    tensors |= {name: Tensor(name, (1, 4), data=value) for name, value in data.items()}
    from edgecomp.ops.add import AddParams

    nodes = (
        Node("sum", "add", ("c", "d"), "s", AddParams()),
        Node("dead", "add", ("x", "s"), "z", AddParams()),
        Node("live", "add", ("x", "s"), "y", AddParams()),
    )
    graph = drop_dead(fold_constants(Graph("g", ("x",), ("y",), nodes, tensors)))
    assert [made.name for made in graph.nodes] == ["live"]
    np.testing.assert_allclose(graph.tensor("s").value, data["c"] + data["d"])
    x = weights(1, 1, 4)
    y = run_float(graph, {"x": x})["y"]
    np.testing.assert_allclose(y, x + data["c"] + data["d"], rtol=1e-6)


def test_limits_are_checked_after_the_passes(tmp_path: Path) -> None:
    layer = node("MaxPool", "x", "y", "far", kernel_shape=[2, 2], pads=[2, 2, 2, 2])
    model = make_model([layer], {"x": [1, 3, 8, 8]}, ["y"])
    with pytest.raises(UnsupportedError, match=r"'far'.*Every window"):
        run_passes(read_model(save(model, tmp_path)))
