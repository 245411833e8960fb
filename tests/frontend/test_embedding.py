"""Rows of tables by indices of every kind: as onnxruntime and TFLM; samples that are none."""

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.data.dataset import from_arrays
from edgecomp.data.preprocessing import Preprocessing
from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import DType, Graph, QParams
from edgecomp.ops.embedding import INDEX_QPARAMS
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.frontend.onnx_cases import (
    difference,
    make_model,
    model_shape,
    node,
    run_graph,
    run_onnxruntime,
    save,
)
from tests.support.tflite_net import Subgraph, content
from tests.witness.runtime import Runtime

RNG = np.random.default_rng(4)
TABLE = RNG.normal(0, 0.4, (30, 6)).astype(np.float32)
WIDE = RNG.normal(0, 0.4, (3, 30, 2)).astype(np.float32)
IDS = {"x": [1, 5]}
AXES = {"a": np.array([1], np.int64)}
FLAT = {"s": np.array([5], np.int64)}
GATHER = node("Gather", "t x", "y")
INT64, INT32, UINT8 = TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8
WIDER = node("Cast", "x", "i", to=INT64)
MODELS = {
    "int64": ([GATHER], IDS, {}, {"x": INT64}),
    "int32": ([GATHER], IDS, {}, {"x": INT32}),
    "cast": ([WIDER, node("Gather", "t i", "y")], IDS, {}, {"x": INT32}),
    "bytes": ([WIDER, node("Gather", "t i", "y")], IDS, {}, {"x": UINT8}),
    "moved": ([node("Unsqueeze", "x a", "u"), node("Transpose", "u", "v", perm=[2, 0, 1]),
               node("Gather", "t v", "y")], IDS, AXES, {"x": INT64}),
    "flat": ([node("Reshape", "x s", "u"), node("Gather", "t u", "y")], IDS, FLAT, {"x": INT64}),
    "columns": ([node("Gather", "w x", "y", axis=1)], IDS, {}, {"x": INT64}),
    "last-axis": ([node("Transpose", "t", "c", perm=[1, 0]), node("Gather", "c x", "y", axis=-1)],
                  IDS, {}, {"x": INT64}),
    "two-tables": ([node("Gather", "t x", "p"), node("Mul", "t h", "q"), node("Gather", "q x", "r"),
                    node("Concat", "p r", "y", axis=2)], IDS, {"h": np.float32(3)}, {"x": INT64}),
    "pieces": ([node("Split", "x", "b c", axis=1), node("Gather", "t c", "y")], {"x": [1, 6]}, {},
               {"x": INT32}),
    "as-numbers-too": ([node("Gather", "t x", "p"), node("Cast", "x", "f", to=1),
                        node("Unsqueeze", "f u", "g"), node("Add", "p g", "y")], IDS,
                       {"u": np.array([2], np.int64)}, {"x": INT64}),
    "winner": ([node("ArgMax", "x", "i", axis=2, keepdims=0), node("Cast", "i", "j", to=INT32),
                node("Gather", "t j", "y")], {"x": [1, 4, 9]}, {}, {}),
}  # fmt: skip


def read(name, folder):
    nodes, inputs, constants, types = MODELS[name]
    path = save(
        make_model(nodes, inputs, ["y"], {"t": TABLE, "w": WIDE, **constants}, types=types), folder
    )
    return path, run_passes(read_model(path))


def samples_of(graph: Graph, name: str, count: int = 12) -> dict[str, np.ndarray]:
    shape = (count, *model_shape(graph, "x"))
    if name == "winner":
        return {"x": RNG.normal(size=shape).astype(np.float32)}
    return {"x": RNG.integers(0, len(TABLE), shape)}


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_onnxruntimes(name, tmp_path):
    path, graph = read(name, tmp_path)
    assert "embedding" in {made.op for made in graph.nodes}
    inputs = samples_of(graph, name)
    kinds = {INT64: np.int64, INT32: np.int32, UINT8: np.uint8}
    kind = kinds.get(MODELS[name][3].get("x"), np.float32)
    found = run_graph(graph, inputs)["y"]
    for sample, y in zip(inputs["x"], found, strict=True):
        (wanted,) = run_onnxruntime(path, {"x": sample.astype(kind)}, ["y"])
        assert difference(y, wanted) < 1e-6


@pytest.mark.parametrize("method", ["auto", "minmax"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "winner"])
def test_calibration_leaves_indices_alone(name, method, tmp_path):
    """Whatever the samples are: a single index, of which no range could be known."""
    _, graph = read(name, tmp_path)
    few = {"x": np.full((2, *model_shape(graph, "x")), 3.0, np.float32)}
    integers, report = quantize_model(graph, few, QuantizeOptions(calibration=method))
    assert integers.tensors["x"].qparams == INDEX_QPARAMS
    assert report.tensors["x"].method == "index"


def test_rows_are_copied_and_all_of_them_fit(tmp_path):
    _, graph = read("int64", tmp_path)
    integers, _ = quantize_model(graph, {"x": np.zeros((2, 1, 5), np.float32)})
    table = next(t for t in integers.tensors.values() if t.is_const)
    out = integers.tensors["y"].qparams
    assert table.qparams == out
    every = np.arange(30).reshape(6, 1, 5)
    codes = run_int(integers, {"x": (every - 128).astype(np.int8)})["y"]
    np.testing.assert_array_equal(codes.reshape(30, 6), table.value)
    assert np.abs(out.dequantize(codes).reshape(30, 6) - TABLE).max() <= out.scalar * 0.501


def test_an_index_outside_takes_the_nearest_row(tmp_path):
    _, graph = read("int64", tmp_path)
    integers, _ = quantize_model(graph, {"x": np.zeros((2, 1, 5), np.float32)})
    codes = run_int(integers, {"x": np.full((1, 1, 5), 127, np.int8)})["y"]
    last = run_int(integers, {"x": np.full((1, 1, 5), 29 - 128, np.int8)})["y"]
    np.testing.assert_array_equal(codes, last)


@pytest.mark.parametrize("name", ["int64", "columns", "two-tables", "winner"])
def test_written_as_onnx_it_is_the_same(name, tmp_path):
    _, graph = read(name, tmp_path)
    inputs = {k: v.astype(np.float32) for k, v in samples_of(graph, name).items()}
    integers, _ = quantize_model(graph, inputs)
    codes = {"x": integers.tensors["x"].qparams.quantize(inputs["x"]).astype(np.int8)}
    (output,) = integers.outputs
    wanted = run_int(integers, codes)[output]
    np.testing.assert_array_equal(Runtime(integers)(codes)[output], wanted)


def many_rows(folder, nodes=(GATHER,), *, outputs=("y",), rows=3000, **inputs):
    """A network with a large table, and samples of its indices."""
    table = RNG.normal(size=(rows, 4)).astype(np.float32)
    types = dict.fromkeys(["x"], INT64)
    model = make_model(nodes, {**IDS, **inputs}, list(outputs), {"t": table}, types=types)
    graph = run_passes(read_model(save(model, folder)))
    samples = {
        name: RNG.integers(0, rows, (4, *graph.tensors[name].shape)).astype(np.float32)
        for name in graph.inputs
    }
    return table, graph, samples


@pytest.mark.parametrize("numerics", [None, "tflite"])
def test_tables_of_more_rows_have_indices_of_int16(numerics, tmp_path):
    table, graph, samples = many_rows(tmp_path)
    integers, _ = quantize_model(graph, samples, QuantizeOptions(numerics=numerics))
    x, y = (integers.tensors[name] for name in ("x", "y"))
    assert (x.dtype, y.dtype) == (DType.INT16, DType.INT8)
    assert not integers.has_int16
    codes = run_int(integers, {"x": samples["x"].astype(np.int16)})["y"]
    real = y.qparams.dequantize(codes)
    assert np.abs(real - table[samples["x"].astype(int)]).max() <= y.qparams.scalar * 0.501


def test_tables_of_all_rows_that_int16_tells_apart(tmp_path):
    _, graph, samples = many_rows(tmp_path, rows=32768)
    samples["x"][0, 0, 0] = 32767
    integers, _ = quantize_model(graph, samples)
    codes = run_int(integers, {"x": samples["x"].astype(np.int16)})["y"]
    rows = next(t for t in integers.tensors.values() if t.is_const).value
    np.testing.assert_array_equal(codes[0, 0, 0], rows[32767])
    with pytest.raises(UnsupportedError, match=r"32,769 rows; int16 codes .* tell 32,768 apart"):
        quantize_model(*many_rows(tmp_path, rows=32769)[1:])


REAL = node("Mul", "z z", "w")
MIXED = {
    "another-input": ((GATHER, REAL), ("y", "w"), {"z": [1, 5]}),
    "as-numbers-too": ((GATHER, node("Cast", "x", "f", to=1), node("Mul", "f f", "w")),
                       ("y", "w"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_other_inputs_of_int8_leave_256_rows(name, tmp_path):
    nodes, outputs, inputs = MIXED[name]
    _, graph, samples = many_rows(tmp_path, nodes, outputs=outputs, **inputs)
    with pytest.raises(UnsupportedError, match=r"3,000 rows; int8 codes .* tell 256 apart"):
        quantize_model(graph, samples)


def test_int16_activations_have_indices_of_int16(tmp_path):
    table, graph, samples = many_rows(tmp_path)
    integers, _ = quantize_model(graph, samples, QuantizeOptions(numerics="int16"))
    assert integers.tensors["x"].qparams == QParams.per_tensor(1.0)
    assert integers.tensors["x"].dtype is DType.INT16
    codes = run_int(integers, {"x": samples["x"].astype(np.int16)})["y"]
    real = integers.tensors["y"].qparams.dequantize(codes)
    np.testing.assert_allclose(real, table[samples["x"].astype(int)], atol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, 1, 2, 3, 30]], "0 to 29; it has 0 to 30"),
        ([[0, -1, 2, 3, 4]], "it has -1 to 4"),
        ([[0, 1.5, 2, 3, 4]], "not all of them whole"),
    ],
)
def test_samples_that_are_no_indices_are_refused(values, message, tmp_path):
    _, graph = read("moved", tmp_path)
    with pytest.raises(UserError, match=message):
        from_arrays("ids.npz", {"x": np.array(values)}, graph, Preprocessing())


def test_indices_are_not_preprocessed(tmp_path):
    _, graph = read("int64", tmp_path)
    with pytest.raises(UserError, match="leave these out"):
        from_arrays("ids.npz", {"x": np.zeros((3, 5), int)}, graph, Preprocessing(mean=1.0))


def tflite_file(op):
    """GATHER or EMBEDDING_LOOKUP of int8 rows by an int32 input."""
    rows = RNG.integers(-128, 128, (30, 6)).astype(np.int8)
    g = Subgraph()
    x, table = g.tensor((5,), "int32"), g.constant(rows, 0.02)
    y = g.tensor((5, 6), "int8", 0.02)
    if op == "GATHER":
        g.operator(op, [table, x], y, "GatherOptions", Axis=0)
    else:
        g.operator(op, [x, table], y)
    g.inputs, g.outputs = [x], [y]
    return content(g), rows


@pytest.mark.parametrize("op", ["GATHER", "EMBEDDING_LOOKUP"])
def test_rows_are_tflites(op, tmp_path):
    made, rows = tflite_file(op)
    path = tmp_path / "net.tflite"
    path.write_bytes(made)
    integers, _ = quantize_model(run_passes(read_model(path)), None)
    ids = RNG.integers(0, 30, (8, 5)).astype(np.int32)
    (name,) = integers.inputs
    (found,) = run_int(integers, {name: (ids - 128).astype(np.int8)}).values()
    np.testing.assert_array_equal(found, rows[ids])


def test_rows_are_those_of_tflite_micro():
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    made, rows = tflite_file("GATHER")
    run = runtime.Interpreter.from_bytes(made, arena_size=1 << 16)
    ids = np.array([0, 29, 7, 7, 12], np.int32)
    run.set_input(ids, 0)
    run.invoke()
    np.testing.assert_array_equal(run.get_output(0), rows[ids])
