"""TFLite files: what arrives, and what happens to damaged ones."""

from pathlib import Path

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.tflite_file import load_tflite
from edgecomp.frontend.tflite_layers import TFLITE
from edgecomp.interp import run_float
from edgecomp.ops.base import ImportedNode
from edgecomp.passes import run_passes

FLOAT_FILES = (
    "kws_dscnn/kws_float_from_savedmodel.tflite",
    "ic_resnet8/pretrainedResnet_float.tflite",
    "vww_mobilenetv1_025/vww_96_float.tflite",
    "ad_autoencoder/ad01_fp32.tflite",
)
SMALL = "kws_dscnn/kws_ref_model_int8.tflite"


@pytest.mark.parametrize("name", FLOAT_FILES)
def test_float_files_compute_what_tflite_computes(name, data_dir: Path):
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is missing")
    path = data_dir / "models" / name
    graph = run_passes(read_model(path))
    (key,) = graph.inputs
    x = np.random.default_rng(0).normal(0, 1, (3, *graph.tensors[key].shape)).astype(np.float32)
    got = run_float(graph, {key: x})[graph.outputs[0]]
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    for sample, mine in zip(x, got, strict=True):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
        interpreter.invoke()
        wanted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(mine.reshape(wanted.shape), wanted, rtol=2e-4, atol=2e-4)


def test_names_inputs_and_outputs_are_the_files(data_dir: Path):
    path = data_dir / "models" / SMALL
    file, graph = load_tflite(path), read_model(path)
    assert [graph.io_names[n] for n in graph.inputs] == [file.tensors[i].name for i in file.inputs]
    assert {node.numerics for node in graph.nodes} == {"tflite"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin as one"),
        (b"\x1c\0\0\0TFL3", "does not begin as one"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(64), "damaged or truncated"),
        (b"\x10\0\0\0TFL3" + bytes(64), "subgraphs|damaged"),
    ],
)
def test_what_is_no_model_is_refused(content, message, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_model(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_model(tmp_path / "none.tflite")


def emitted(op_type, shape, constants=(), **attrs):
    """Import one layer by itself; return the graph's nodes."""
    build = GraphBuilder(["x", "y", *(f"c{i}" for i in range(len(constants)))])
    build.add_input("x", shape)
    for index, value in enumerate(constants):
        build.add_constant(f"c{index}", Constant(np.asarray(value)))
    names = ("x", *(f"c{i}" for i in range(len(constants))))
    node = ImportedNode(op_type, "layer", names, ("y",), attrs)
    y = TFLITE[op_type](node, build)
    return build.build("graph", ["x"], [y], {"x": "x", y: "y"})


def outputs(graph, x):
    return run_float(graph, {"x": x})[graph.outputs[0]]


def test_same_padding_puts_the_odd_row_behind():
    weights = np.ones((1, 3, 3, 2), np.float32)
    graph = emitted("CONV_2D", (1, 6, 6, 2), [weights], Padding=0, StrideH=2, StrideW=2)
    (params,) = [node.params for node in graph.nodes]
    assert (params.pad_top, params.pad_bottom, params.pad_left, params.pad_right) == (0, 1, 0, 1)
    assert graph.tensors[graph.outputs[0]].shape == (1, 3, 3, 1)


def test_depthwise_weights_become_one_filter_per_channel():
    weights = np.arange(18, dtype=np.float32).reshape(1, 3, 3, 2)
    graph = emitted("DEPTHWISE_CONV_2D", (1, 3, 3, 2), [weights], Padding=1)
    x = np.random.default_rng(0).normal(size=(1, 1, 3, 3, 2)).astype(np.float32)
    wanted = (x[0] * weights).sum((1, 2))
    np.testing.assert_allclose(outputs(graph, x).reshape(wanted.shape), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("op_type", "function"),
    [
        ("RELU", lambda x: np.maximum(x, 0)),
        ("RELU6", lambda x: np.clip(x, 0, 6)),
        ("RELU_N1_TO_1", lambda x: np.clip(x, -1, 1)),
        ("LOGISTIC", lambda x: 1 / (1 + np.exp(-x))),
        ("TANH", np.tanh),
        ("HARD_SWISH", lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ("ELU", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("ABS", np.abs),
        ("NEG", np.negative),
        ("EXP", np.exp),
        ("SQUARE", np.square),
        ("FLOOR", np.floor),
        ("SIN", np.sin),
    ],
)
def test_functions_of_one_variable(op_type, function):
    x = np.linspace(-7, 7, 24, dtype=np.float32).reshape(1, 1, 24)
    np.testing.assert_allclose(
        outputs(emitted(op_type, (1, 24)), x), function(x), rtol=1e-5, atol=1e-6
    )


def test_binary_layers_keep_their_fused_activation():
    c = np.array([[1.0, -2.0, 3.0]], np.float32)
    x = np.array([[[-5.0, 1.0, 9.0]]], np.float32)
    graph = emitted("ADD", (1, 3), [c], FusedActivationFunction=3)
    np.testing.assert_allclose(outputs(graph, x), np.clip(x + c, 0, 6))


def test_mean_pad_transpose_and_concat():
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    mean = emitted("MEAN", (1, 3, 4), [np.array([-1])], KeepDims=False)
    np.testing.assert_allclose(outputs(mean, x), x.mean(-1))
    pad = emitted("PAD", (1, 3, 4), [np.array([[0, 0], [1, 0], [0, 2]])])
    assert outputs(pad, x).shape == (1, 1, 4, 6)
    turned = emitted("TRANSPOSE", (1, 3, 4), [np.array([0, 2, 1])])
    np.testing.assert_allclose(outputs(turned, x), x.transpose(0, 1, 3, 2))


@pytest.mark.parametrize(
    ("op_type", "constants", "attrs", "message"),
    [
        ("CONV_2D", [np.ones((1, 9, 9, 2), np.float32)], {"Padding": 1}, "larger than"),
        ("CONV_2D", [np.ones((1, 3, 3, 2), np.float32)], {"FusedActivationFunction": 4}, "tanh"),
        ("FULLY_CONNECTED", [np.ones((2, 7), np.float32)], {}, "inputs for weights"),
        ("TRANSPOSE", [np.array([0, 1, 1, 2])], {}, "no permutation"),
        ("MEAN", [np.array([9])], {}, "axes"),
        ("PAD", [np.array([[0, 0], [-1, 0], [0, 0], [0, 0]])], {}, "positive"),
    ],
)
def test_what_cannot_be_compiled_says_so(op_type, constants, attrs, message):
    with pytest.raises(UnsupportedError, match=message):
        emitted(op_type, (1, 6, 6, 2), constants, **attrs)
