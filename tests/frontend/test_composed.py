"""Operators that a few layers make up, against onnxruntime or ONNX's reference, and in codes."""

import numpy as np
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import (
    check_model,
    difference,
    make_model,
    node,
    ops,
    random_inputs,
    run_graph,
    save,
)
from tests.support.onnx_standard import _quantized
from tests.support.random_graphs import device_inputs

SHAPE = (2, 5, 4, 3)


def network(op, inputs="x", constants=None, shape=SHAPE, opset=18, **attributes):
    return make_model([node(op, inputs, "y", "layer", **attributes)], {"x": shape}, ["y"],
                      constants, opset=opset)  # fmt: skip


def checked(model, folder, relative=1e-5):
    """The passed graph: equal to onnxruntime's results, each layer right to one code."""
    graph = check_model(model, folder, relative=relative)
    assert right_in_codes(graph)
    return graph


def right_in_codes(graph):
    samples = device_inputs(graph, random_inputs(graph, 4, samples=8))
    result = _quantized(graph, samples)
    assert result.kind == "passed", result.reason
    assert not result.reason
    return True


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("opset", [11, 13])
def test_hardmax(axis, opset, tmp_path):
    model = network("Hardmax", shape=(3, 4, 5), opset=opset, axis=axis)
    assert {"argmax", "embedding"} <= set(ops(checked(model, tmp_path)))


def test_the_first_of_equal_elements_is_the_largest(tmp_path):
    graph = read_model(save(network("Hardmax", shape=(2, 4)), tmp_path))
    x = np.float32([[[1, 3, 3, 0], [2, 2, 2, 2]]])
    assert run_graph(graph, {"x": x})["y"][0].tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot_of_given_indices(axis, tmp_path):
    nodes = [node("OneHot", "i d v", "y", "layer", axis=axis)]
    constants = {"d": np.array(6), "v": np.float32([-1, 2])}
    model = make_model(nodes, {"i": [2, 3]}, ["y"], constants, types={"i": TensorProto.INT64})
    graph = run_passes(read_model(save(model, tmp_path)))
    indices = np.array([[0, 5, 3], [6, 1, 0]])
    (wanted,) = ReferenceEvaluator(model).run(None, {"i": indices})
    found = run_graph(graph, {"i": indices[None].astype(np.float32)})["y"]
    assert difference(found[0], wanted) == 0


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot_of_computed_values(axis, tmp_path):
    constants = {"d": np.array(4), "i": np.array([[0, -1, 3], [-5, 1, 4]])}
    model = make_model([node("OneHot", "i d x", "y", axis=axis)], {"x": [2]}, ["y"], constants)
    assert ops(checked(model, tmp_path)) == ["gather"]


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot_of_computed_indices_and_values(axis, tmp_path):
    nodes = [node("ArgMax", "x", "i", axis=1, keepdims=0),
             node("OneHot", "i d z", "y", "layer", axis=axis)]  # fmt: skip
    model = make_model(nodes, {"x": [3, 5], "z": [2]}, ["y"], {"d": np.array(5)})
    assert {"embedding", "where"} <= set(ops(checked(model, tmp_path)))


def test_one_hot_of_an_argmax_is_a_layer_like_others(tmp_path):
    nodes = [node("ArgMax", "x", "i", axis=1, keepdims=0), node("OneHot", "i d v", "h"),
             node("Cast", "h", "y", to=TensorProto.FLOAT)]  # fmt: skip
    constants = {"d": np.array(5), "v": np.array([0, 1])}
    checked(make_model(nodes, {"x": [3, 5]}, ["y"], constants), tmp_path)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("exclusive", "reverse"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_running_sums(axis, exclusive, reverse, tmp_path):
    model = network("CumSum", "x a", {"a": np.array(axis)}, (2, 4, 3), exclusive=exclusive,
                    reverse=reverse)  # fmt: skip
    checked(model, tmp_path)


@pytest.mark.parametrize("attributes", [{}, {"alpha": 0.3, "beta": 0.4, "bias": 2.0}])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_local_response(size, attributes, tmp_path):
    checked(network("LRN", shape=(1, 5, 3, 4), size=size, **attributes), tmp_path)


def test_local_response_of_an_even_size(tmp_path):
    """Compared with numpy: onnxruntime takes odd sizes only."""
    model = network("LRN", shape=(1, 5, 3, 4), size=4, alpha=0.5)
    graph = read_model(save(model, tmp_path))
    inputs = random_inputs(graph)
    found = run_graph(graph, inputs)["y"]
    x = inputs["x"][0].astype(np.float64)
    sums = np.stack([(x[:, max(0, c - 1) : c + 3] ** 2).sum(axis=1) for c in range(5)], axis=1)
    assert difference(found[0], x / (1 + 0.5 / 4 * sums) ** 0.75) < 1e-5


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [0, -1])
def test_division_by_a_norm(axis, p, tmp_path):
    checked(network("LpNormalization", shape=(3, 4, 5), axis=axis, p=p), tmp_path)


def test_zeros_divided_by_their_norm_stay(tmp_path):
    graph = read_model(save(network("LpNormalization", shape=(2, 3)), tmp_path))
    x = np.float32([[[0, 0, 0], [3, 0, 4]]])
    assert np.allclose(run_graph(graph, {"x": x})["y"], [[[0, 0, 0], [0.6, 0, 0.8]]])


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norms_of_channels_and_windows(p, tmp_path):
    whole = network("GlobalLpPool", shape=(1, 3, 4, 4), p=p)
    checked(whole, tmp_path)
    window = network("LpPool", shape=(1, 3, 6, 6), p=p, kernel_shape=[2, 3], strides=[2, 1],
                     pads=[0, 1, 0, 1])  # fmt: skip
    checked(window, tmp_path)


@pytest.mark.parametrize("axes", [None, [0, 2, 3], [1, 3], [-1]])
def test_mean_and_variance(axes, tmp_path):
    attributes = {} if axes is None else {"axes": axes}
    model = network("MeanVarianceNormalization", opset=13, **attributes)
    assert ops(checked(model, tmp_path)).count("layer_norm") == 1


def test_a_constant_row_has_no_variance(tmp_path):
    model = network("MeanVarianceNormalization", shape=(1, 2, 2, 2), opset=13)
    graph = run_passes(read_model(save(model, tmp_path)))
    found = run_graph(graph, {"x": np.full((1, 1, 2, 2, 2), 3, np.float32)})["y"]
    assert not found.any()


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, -1, 2])
def test_triangles(k, upper, tmp_path):
    constants = {} if k is None else {"k": np.array(k)}
    model = network("Trilu", "x" if k is None else "x k", constants, (2, 4, 5), upper=upper)
    checked(model, tmp_path)
