"""Casts to integers and truth values and back: as onnxruntime, and on an emulated core."""

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.errors import EdgecompError
from edgecomp.frontend import read_model
from edgecomp.frontend.onnx_casts import type_name
from edgecomp.interp import run_float
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import check_model, make_model, node, ops, save
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
INT8, INT32, INT64 = TensorProto.INT8, TensorProto.INT32, TensorProto.INT64
UINT8, UINT32 = TensorProto.UINT8, TensorProto.UINT32
IMAGE = {"x": [1, 4, 6, 5]}
K = {"k": np.array(9, np.float32), "h": np.array(0.3, np.float32), "n": np.array(-4, np.float32)}
THREE, FIFTY = {"d": np.array(3, np.int32)}, {"d": np.array(50, np.int32)}


def to(kind, inputs, output):
    return node("Cast", inputs, output, to=kind)


SCALED = (node("Mul", "x k", "s"), to(INT32, "s", "i"))
MODELS = {
    "index": ([node("ArgMax", "x", "a", axis=1), to(INT32, "a", "i"), to(FLOAT, "i", "y")],
              ["argmax"], {}),
    "index-in-a-byte": ([node("ArgMax", "x", "a", axis=3), to(INT8, "a", "i"), to(UINT32, "i", "j"),
                         to(FLOAT, "j", "y")], ["argmax"], {}),
    "truth-to-integer": ([node("Less", "x h", "t"), to(UINT8, "t", "i"), to(INT64, "i", "j"),
                          to(FLOAT, "j", "y")], ["unary"], {}),
    "towards-zero": ([*SCALED, to(FLOAT, "i", "y")], ["unary"], {}),
    "integer-output": ([*SCALED, to(INT64, "i", "y")], ["unary"], {}),
    "to-truth": ([*SCALED, to(BOOL, "i", "t"), to(FLOAT, "t", "y")], ["unary"], {}),
    "masked-fill": ([node("Relu", "x", "r"), to(BOOL, "r", "t"), node("Where", "t x n", "y")],
                    ["unary", "where"], {}),
    "wraps": ([*SCALED, node("Mul", "i d", "j"), to(UINT8, "j", "b"), to(FLOAT, "b", "y")],
              ["unary"], FIFTY),
    "wraps-to-signed": ([*SCALED, node("Mul", "i d", "j"), to(INT8, "j", "b"), to(FLOAT, "b", "y")],
                        ["unary"], FIFTY),
    "division": ([*SCALED, node("Div", "i d", "q"), to(FLOAT, "q", "y")], ["unary"], THREE),
    "exact": ([*SCALED, node("Equal", "i d", "t"), to(FLOAT, "t", "y")], ["unary"], THREE),
    "two-of-them": ([*SCALED, node("ArgMax", "x", "a", axis=1), to(INT32, "a", "b"),
                     node("Equal", "i b", "t"), node("Where", "t x s", "y")],
                    ["unary", "argmax", "compare", "where"], {}),
    "like": ([node("ArgMax", "x", "a", axis=1), node("CastLike", "a x", "f"),
              node("Add", "f x", "y")], ["argmax", "add"], {}),
}  # fmt: skip
MOVES = {"transpose", "reshape"}


def model(name):
    nodes, _, constants = MODELS[name]
    types = {"y": INT64} if name == "integer-output" else {}
    read = {word for made in nodes for word in made.input}
    given = {name: value for name, value in {**K, **constants}.items() if name in read}
    return make_model(nodes, IMAGE, ["y"], given, opset=19, types=types)


@pytest.mark.parametrize("name", MODELS)
def test_cast_is_onnxruntimes(name, tmp_path):
    graph = check_model(model(name), tmp_path)
    made = [op for op in ops(graph) if op not in MOVES]
    # `x * 9` belongs to the table of the cast that follows.
    assert made == MODELS[name][1] or made == ["unary", *MODELS[name][1]]


@pytest.mark.parametrize(("kind", "low", "high"), [(INT8, -128, 127), (UINT8, 0, 255)])
def test_what_a_type_cannot_hold_becomes_its_end(kind, low, high, tmp_path):
    layers = [node("Mul", "x k", "s"), to(kind, "s", "i"), to(FLOAT, "i", "y")]
    constants = {"k": np.array(1e4, np.float32)}
    graph = run_passes(read_model(save(make_model(layers, IMAGE, ["y"], constants), tmp_path)))
    x = np.random.default_rng(0).normal(0, 1, (4, 4, 6, 5)).astype(np.float32)
    (y,) = run_float(graph, {"x": x.reshape(4, *graph.tensor("x").shape)}).values()
    assert (y.min(), y.max()) == (low, high)


def quantized(name, folder):
    graph = run_passes(read_model(save(model(name), folder)))
    shape = graph.tensor("x").shape
    x = np.random.default_rng(1).normal(0, 1, (20, *shape)).astype(np.float32)
    result, _ = quantize_model(graph, {"x": x})
    codes = result.tensor("x").qparams.quantize(x).astype(np.int8)
    return Model(name.replace("-", "_"), result, {"x": codes})


def test_integers_are_exact_codes(tmp_path):
    graph = quantized("integer-output", tmp_path).graph
    qparams = graph.tensor(graph.outputs[0]).qparams
    assert qparams.scalar == 1.0


def test_host_c_computes_the_same(tmp_path):
    found = host_differences([quantized(name, tmp_path) for name in MODELS], tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    models = [quantized(name, tmp_path) for name in MODELS]
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)


def test_an_element_type_that_does_not_exist_is_refused(tmp_path):
    model = make_model([node("Relu", "x", "y")], {"x": [1, 4]}, ["y"])
    model.graph.input[0].type.tensor_type.elem_type = -1
    with pytest.raises(EdgecompError):
        read_model(save(model, tmp_path))
    assert type_name(-1) == "-1"
    assert type_name(1) == "FLOAT"
