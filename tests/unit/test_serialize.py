"""Graphs survive a file, whatever they are called and hold."""

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.errors import UserError
from edgecomp.interp import run_int
from edgecomp.ir import Clamp, DType, Graph, Node, QParams, Tensor, View
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ops import PARAMS
from edgecomp.ops.dense import DenseParams
from tests.ops.tables import ALL_CASES
from tests.support.cases import case_graph
from tests.support.random_graphs import float_graph, quantized_model, random_model

NAMES = st.text(min_size=1, max_size=12)
SCALES = st.floats(2.0**-60, 2.0**60, width=32)


def assert_equal(found: Graph, graph: Graph) -> None:
    """Compare with what dataclass equality leaves out, too."""
    assert found == graph
    for name, tensor in graph.tensors.items():
        assert found.tensors[name].layout == tensor.layout
        if tensor.data is None:
            assert found.tensors[name].data is None
        else:
            np.testing.assert_array_equal(found.tensors[name].value, tensor.value, strict=True)


@pytest.mark.parametrize("seed", range(10))
def test_networks_survive(seed, tmp_path):
    random = random_model(seed)
    graph = float_graph(random, tmp_path)
    model = quantized_model(random, graph)
    for number, saved in enumerate((graph, model.graph)):
        save_graph(saved, tmp_path / f"{number}.npz")
        assert_equal(load_graph(tmp_path / f"{number}.npz", PARAMS), saved)
    outputs = run_int(load_graph(tmp_path / "1.npz", PARAMS), model.codes)
    for name, array in run_int(model.graph, model.codes).items():
        np.testing.assert_array_equal(outputs[name], array)


def test_every_operators_parameters_survive(tmp_path):
    for number, case in enumerate(ALL_CASES):
        graph = case_graph(case)
        save_graph(graph, tmp_path / f"{number}.npz")
        assert_equal(load_graph(tmp_path / f"{number}.npz", PARAMS), graph)


@settings(max_examples=30, deadline=None)
@given(
    names=st.lists(NAMES, min_size=4, max_size=4, unique=True),
    scale=SCALES,
    zero_point=st.integers(-128, 127),
    bounds=st.tuples(st.floats(-1e30, 0), st.floats(0, float("inf"))),
    weights=st.lists(st.integers(-127, 127), min_size=6, max_size=6),
)
def test_odd_names_and_numbers_survive(tmp_path_factory, names, scale, zero_point, bounds, weights):
    x, w, y, layer = names
    q = QParams.per_tensor(scale, zero_point)
    data = np.array(weights, np.int8).reshape(2, 3)
    graph = Graph(
        "model",
        (x,),
        (y,),
        (Node(layer, "dense", (x, w), y, DenseParams(Clamp(*bounds)), "tflite"),),
        {
            x: Tensor(x, (1, 3), DType.INT8, q),
            w: Tensor(w, (2, 3), DType.INT8, QParams.per_channel([scale, 1.0], 0), data, "OI"),
            y: Tensor(y, (1, 2), DType.INT8, q),
        },
        {x: View((1, 0), (3,))},
        {x: "the input", y: layer},
    )
    path = tmp_path_factory.mktemp("graph") / "g.npz"
    save_graph(graph, path)
    assert_equal(load_graph(path, PARAMS), graph)


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    graph = case_graph(ALL_CASES[0])
    save_graph(graph, tmp_path / "a.npz")
    save_graph(load_graph(tmp_path / "a.npz", PARAMS), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_is_no_graph_is_refused(tmp_path):
    good = tmp_path / "good.npz"
    save_graph(case_graph(ALL_CASES[0]), good)
    (tmp_path / "short.npz").write_bytes(good.read_bytes()[:100])
    (tmp_path / "text.npz").write_text("not a graph")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(UserError, match=r"missing\.npz does not exist$"):
        load_graph(tmp_path / "missing.npz", PARAMS)
    for name in ("short", "text", "other", "empty"):
        with pytest.raises(UserError, match=f"{name}.npz cannot be read"):
            load_graph(tmp_path / f"{name}.npz", PARAMS)


def test_a_file_of_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "g.npz"
    monkeypatch.setattr("edgecomp.ir.serialize.FORMAT", 999)
    save_graph(case_graph(ALL_CASES[0]), path)
    monkeypatch.undo()
    with pytest.raises(UserError, match="another version"):
        load_graph(path, PARAMS)
