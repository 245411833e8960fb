"""Floating point of eight bits and four: weights, and inputs that choose rows of a table."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from edgecomp.feasibility import check_model as check_feasible
from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import make_model, node, run_graph, save
from tests.frontend.test_composed import right_in_codes

D = "DequantizeLinear"
KINDS = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1")
SHAPE = (2, 6, 4)


def of_kind(name: str, shape: tuple[int, ...], seed: int = 2) -> tuple[int, np.ndarray]:
    """The element type, and random elements of it, which are finite."""
    kind = TensorProto.DataType.Value(name)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    reals = np.random.default_rng(seed).uniform(-5, 5, shape)
    return kind, reals.astype(dtype)


@pytest.mark.parametrize("scales", [(), (6,)])
@pytest.mark.parametrize("name", KINDS)
def test_inputs_are_those_of_the_reference(
    name: str, scales: tuple[int, ...], tmp_path: Path
) -> None:
    kind, x = of_kind(name, SHAPE)
    constants = {"s": np.random.default_rng(1).uniform(0.1, 1, scales).astype(np.float32)}
    nodes = [node(D, "x s", "d", axis=1), node("Relu", "d", "y")]
    model = make_model(nodes, {"x": SHAPE}, ["y"], constants, opset=23, types={"x": kind})
    graph = run_passes(read_model(save(model, tmp_path)))
    assert "embedding" in {layer.op for layer in graph.nodes}
    codes = x.view(np.uint8)
    found = run_graph(graph, {"x": codes[None].astype(np.float32)})["y"][0]
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert right_in_codes(graph)


def test_a_network_with_such_an_input_can_be_built(tmp_path: Path) -> None:
    kind, _ = of_kind("FLOAT4E2M1", SHAPE)
    nodes = [node(D, "x s", "d"), node("Sigmoid", "d", "y")]
    constants = {"s": np.asarray(0.5, np.float32)}
    model = make_model(nodes, {"x": SHAPE}, ["y"], constants, opset=23, types={"x": kind})
    report = check_feasible(str(save(model, tmp_path)), "mps2-an386")
    assert report["verdict"] == "ok", report["refused"]


def test_what_is_no_finite_number_is_near_one(tmp_path: Path) -> None:
    kind, _ = of_kind("FLOAT8E5M2", (1,))
    constants = {"s": np.asarray(1, np.float32)}
    model = make_model([node(D, "x s", "y")], {"x": [4]}, ["y"], constants, opset=23,
                       types={"x": kind})  # fmt: skip
    graph = read_model(save(model, tmp_path))
    infinity, nan = 0x7C, 0x7E
    codes = np.float32([[infinity, infinity + 0x80, nan, 0x3C]])
    assert run_graph(graph, {"x": codes})["y"].tolist() == [[57344.0, -57344.0, 0.0, 1.0]]


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("name", KINDS)
def test_weights_are_real_weights(name: str, axis: int | None, tmp_path: Path) -> None:
    _, weights = of_kind(name, (5, 3, 3, 3))
    scales = () if axis is None else (5,)
    constants = {"w": weights, "s": np.random.default_rng(3).uniform(0.1, 1, scales)}
    constants["s"] = constants["s"].astype(np.float32)
    nodes = [node(D, "w s", "v", **({} if axis is None else {"axis": axis})),
             node("Conv", "x v", "y")]  # fmt: skip
    model = make_model(nodes, {"x": [1, 3, 6, 6]}, ["y"], constants, opset=23)
    x = np.random.default_rng(4).standard_normal((1, 3, 6, 6)).astype(np.float32)
    found = run_graph(read_model(save(model, tmp_path)), {"x": x[None]})["y"][0]
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
