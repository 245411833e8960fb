"""Sparse constants of TFLite and ONNX, and what becomes of zeros and clusters in a plain build."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgecomp.errors import EdgecompError, UserError
from edgecomp.frontend import read_model
from edgecomp.frontend.tflite_sparse import dense_elements
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.plan.planner import plan_graph
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.storage import allow_found, allow_storage, look_at
from edgecomp.targets.cores import get_core
from tests.cli.support import FAST, call
from tests.support.tflite_files import SparseLevels, read_sparsity, sparse_layer
from tests.witness.networks import Network, random_codes, samples_of

M4 = get_core("cortex-m4f")
LEVELS = {
    "csr": SparseLevels((0, 1), (False, True)),
    "csc": SparseLevels((1, 0), (False, True), width=np.uint16),
    "both-sparse": SparseLevels((0, 1), (True, True), width=np.uint8),
    "dense": SparseLevels((0, 1), (False, False)),
    "blocks-1x4": SparseLevels((0, 1, 2), (False, True, False), ((1, 4),)),
    "blocks-4x4": SparseLevels((0, 1, 2, 3), (False, True, False, False), ((0, 4), (1, 4))),
    "blocks-of-rows": SparseLevels((1, 0, 2), (False, True, False), ((0, 2),)),
}


def pruned(shape, share, seed=0, dtype=np.int8):
    rng = np.random.default_rng(seed)
    kept = rng.random(shape) >= share
    return (rng.integers(1, 100, shape) * kept).astype(dtype)


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_levels_give_the_constant_back(levels, dtype):
    for share in (0.0, 0.6, 0.95, 1.0):
        dense = pruned((8, 12), share, dtype=dtype)
        values, table = read_sparsity(dense, levels)
        np.testing.assert_array_equal(dense_elements(table, values, dense.shape), dense)


def test_convolutions_lie_in_four_axes():
    dense = pruned((4, 3, 3, 8), 0.7)
    levels = SparseLevels((0, 1, 2, 3, 4), (False, False, False, True, False), ((3, 4),))
    values, table = read_sparsity(dense, levels)
    np.testing.assert_array_equal(dense_elements(table, values, dense.shape), dense)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_levels_give_the_constant_back(data):
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 4, 6]), min_size=1, max_size=3)))
    axes = [axis for axis, n in enumerate(shape) if n % 2 == 0]
    chosen = data.draw(st.lists(st.sampled_from(axes), unique=True)) if axes else []
    count = len(shape) + len(chosen)
    order = data.draw(st.permutations(range(count)))
    sparse = tuple(data.draw(st.booleans()) for _ in range(count))
    levels = SparseLevels(tuple(order), sparse, tuple((axis, 2) for axis in chosen))
    if any(is_sparse and axis >= len(shape) for axis, is_sparse in zip(order, sparse, strict=True)):
        return  # blocks are dense by definition
    dense = pruned(shape, 0.5, data.draw(st.integers(0, 99)))
    values, table = read_sparsity(dense, levels)
    np.testing.assert_array_equal(dense_elements(table, values, shape), dense)


def test_levels_that_do_not_fit_are_refused():
    dense = pruned((8, 12), 0.5)
    values, table = read_sparsity(dense, LEVELS["csr"])
    for shape in ((8, 6), (4, 12), (8, 12, 1), (96,)):
        with pytest.raises(ValueError, match="sparse"):
            dense_elements(table, values, shape)
    with pytest.raises(ValueError, match="values"):
        dense_elements(table, values[:-1], dense.shape)


@pytest.mark.parametrize("densify", [False, True])
@pytest.mark.parametrize("levels", ["csr", "blocks-1x4"])
def test_tflite_files_with_sparse_weights_are_read(levels, densify, tmp_path):
    weights = pruned((8, 12), 0.7, dtype=np.float32)
    path = tmp_path / "sparse.tflite"
    path.write_bytes(sparse_layer(weights, LEVELS[levels], densify=densify))
    graph = run_passes(read_model(path))
    (node,) = graph.nodes
    np.testing.assert_array_equal(graph.tensors[node.inputs[1]].value, weights)


def test_damaged_sparse_files_are_refused(tmp_path):
    weights = pruned((8, 12), 0.7, dtype=np.float32)
    content = sparse_layer(weights, LEVELS["blocks-1x4"], densify=False)
    path = tmp_path / "sparse.tflite"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(8, len(damaged), 4):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            run_passes(read_model(path))
        except EdgecompError:
            refused += 1
    assert refused > 50


def dense_layer(weights, **initializers):
    """ONNX: one Gemm, its weights given somehow."""
    graph = helper.make_graph(
        [*initializers.pop("nodes", []), helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "sparse",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weights.shape[1]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weights.shape[0]])],
        **initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def sparse_tensor(weights, *, flat):
    where = np.nonzero(weights)
    indices = np.ravel_multi_index(where, weights.shape) if flat else np.stack(where, axis=1)
    return helper.make_sparse_tensor(
        numpy_helper.from_array(weights[where], "w"),
        numpy_helper.from_array(indices.astype(np.int64), "w.indices"),
        weights.shape,
    )


def read(model, tmp_path):
    path = tmp_path / "sparse.onnx"
    path.write_bytes(model.SerializeToString())
    return run_passes(read_model(path))


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("as_node", [True, False])
def test_onnx_constants_become_dense(flat, as_node, tmp_path):
    weights = pruned((10, 20), 0.8, dtype=np.float32)
    tensor = sparse_tensor(weights, flat=flat)
    if as_node:
        node = helper.make_node("Constant", [], ["w"], sparse_value=tensor)
        model = dense_layer(weights, nodes=[node])
    else:
        model = dense_layer(weights, sparse_initializer=[tensor])
    graph = read(model, tmp_path)
    np.testing.assert_array_equal(graph.tensors[graph.nodes[0].inputs[1]].value, weights)


def test_onnx_indices_that_do_not_fit_are_refused(tmp_path):
    weights = pruned((10, 20), 0.8, dtype=np.float32)
    tensor = sparse_tensor(weights, flat=True)
    indices = np.array(numpy_helper.to_array(tensor.indices))
    indices[-1] = 5000
    tensor.indices.CopyFrom(numpy_helper.from_array(indices, "w.indices"))
    with pytest.raises(UserError):
        read(dense_layer(weights, sparse_initializer=[tensor]), tmp_path)


def layers(zeros, values, seed=0):
    """A network whose dense layer has so many zeros, and weights of so many values."""
    net = Network(seed)
    x = net.input(256)
    graph = net.graph(net.dense(x, 64))
    weights = graph.tensors[graph.nodes[0].inputs[1]]
    rng = np.random.default_rng(seed)
    if values:
        book = np.linspace(0.4, -0.4, values)
        # The first in every row, so that all rows have one scale.
        weights.value[...] = book[rng.integers(0, values, weights.shape)]
        weights.value[:, 0] = book[0]
    weights.value[:, 1:] *= rng.random((64, 255)) >= zeros
    return graph


def planned(graph, goal="balanced"):
    integers, _ = quantize_model(graph, samples_of(graph), QuantizeOptions(calibration="minmax"))
    return integers, plan_graph(allow_found(integers), M4, goal=goal)


def test_zeros_are_left_out():
    integers, plan = planned(layers(0.93, 0))
    assert [stage.storage for stage in plan.stages] == ["sparse"]
    (choice,) = plan.storage_choices
    assert choice.found.startswith("93 % zeros")
    assert choice.flash_bytes < choice.plain_flash_bytes / 2
    codes = random_codes(integers, 8)
    (name,) = integers.outputs
    np.testing.assert_array_equal(run_int(integers, codes)[name], run_int(plan.graph, codes)[name])


def test_clusters_become_a_codebook():
    _, plan = planned(layers(0.0, 16), "size")
    assert [stage.storage for stage in plan.stages] == ["codebook"]
    (choice,) = plan.storage_choices
    assert choice.found.endswith("16 values")
    assert choice.flash_bytes < choice.plain_flash_bytes * 0.7


def test_ordinary_weights_stay_as_they_are():
    integers, plan = planned(layers(0.0, 0))
    assert allow_found(integers).tensors == integers.tensors
    assert plan.storage_choices == ()


def test_what_a_recipe_said_stays_said():
    graph = layers(0.93, 0)
    integers, _ = quantize_model(graph, samples_of(graph))
    name = integers.nodes[0].inputs[1]
    marked = allow_storage(integers, name, ("huffman",))
    assert allow_found(marked).tensors[name].storages == ("huffman",)


def test_what_is_found():
    weights = np.array([[0, 0, 5, 5, 5, 5, 7, 7], [0, 0, 0, 0, 1, 1, 1, 1]], np.int8)
    found = look_at(weights)
    assert (found.zeros, found.values, found.reuse) == (6 / 16, 3, 8 / 3)
    assert found.text == "38 % zeros, 3 values"
    assert found.storages == ("sparse",)


@pytest.mark.device
def test_a_plain_build_uses_what_it_finds(tmp_path):
    weights = pruned((64, 256), 0.93, dtype=np.float32) / 500
    model = dense_layer(weights, sparse_initializer=[sparse_tensor(weights, flat=True)])
    path = tmp_path / "sparse.onnx"
    onnx.save(model, path)
    data = tmp_path / "data.npz"
    np.savez(data, x=np.random.default_rng(0).normal(0, 1, (20, 256)).astype(np.float32))
    out = tmp_path / "out"
    answer = call("build", path, "--board", "mps2-an386", "--data", data, "-o", out, *FAST)
    assert answer.code == 0, answer.err
    report = json.loads((out / "report.json").read_text())
    (choice,) = report["storage"]["choices"]
    assert choice["storage"] == "sparse"
    assert choice["found"].startswith("93 % zeros")
    assert "93 % zeros" in answer.out + answer.err
    assert report["bit_exact"]
