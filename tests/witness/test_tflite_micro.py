"""int8 TFLite files against TensorFlow Lite for Microcontrollers (PyPI `tflite-micro`)."""

from pathlib import Path

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.frontend.tflite_file import load_tflite
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import quantize_model
from tests.support.tflite_net import Subgraph, content

runtime = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's arithmetic",
)

FILES = {
    "kws": "kws_dscnn/kws_ref_model_int8.tflite",
    "ic": "ic_resnet8/pretrainedResnet_int8.tflite",
    "ic_large": "ic_resnet8_large/pretrainedResnet_large_int8.tflite",
    "vww": "vww_mobilenetv1_025/vww_96_int8.tflite",
    "ad": "ad_autoencoder/ad01_int8.tflite",
}
FEW = 12
MANY = 200


def quantized(path):
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    return graph


def real_codes(name, graph, data_dir, count):
    """Codes of real samples where there are some, of random ones otherwise."""
    (x,) = (graph.tensors[n] for n in graph.inputs)
    if name == "kws":
        with np.load(data_dir / "datasets" / "kws_gsc_v2_test_mfcc.npz") as file:
            real = file["x"][:count].astype(np.float64)
        return x.qparams.quantize(real.reshape(-1, *x.shape)).astype(np.int8)
    if name.startswith("ic"):
        with np.load(data_dir / "datasets" / "cifar10_test.npz") as file:
            real = file["x"][:count].astype(np.float64)
        scale = 1.0 if x.qparams.scalar > 0.1 else 1 / 255
        return x.qparams.quantize(real * scale).reshape(-1, *x.shape).astype(np.int8)
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, (count, *x.shape)).astype(np.int8)


def answers(path, codes):
    """What TFLM computes."""
    interpreter = runtime.Interpreter.from_file(str(path))
    found = []
    for sample in codes:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).copy())
    return np.stack(found)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("random_count", "real_count"), [(FEW, FEW), pytest.param(MANY, MANY, marks=pytest.mark.slow)]
)
def test_outputs_are_equal(name, random_count, real_count, data_dir: Path):
    path = data_dir / "models" / FILES[name]
    graph = quantized(path)
    rng = np.random.default_rng(1)
    (key,) = graph.inputs
    shape = graph.tensors[key].shape
    codes = np.concatenate(
        [
            rng.integers(-128, 128, (random_count, *shape)).astype(np.int8),
            real_codes(name, graph, data_dir, real_count),
        ]
    )
    wanted = answers(path, codes)
    got = run_int(graph, {key: codes})[graph.outputs[0]]
    assert len(np.unique(wanted)) >= 10
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", FILES)
def test_the_integers_of_the_file_are_kept(name, data_dir: Path):
    path = data_dir / "models" / FILES[name]
    file, graph = load_tflite(path), quantized(path)
    linear = [node for node in graph.nodes if node.op in {"conv2d", "dense"}]
    layers = [op for op in file.operators if len(op.inputs) == 3]
    for node, operator in zip(linear, layers, strict=True):
        weights, bias = (file.tensors[index].data for index in operator.inputs[1:])
        if operator.op_type == "DEPTHWISE_CONV_2D":
            weights = weights.transpose(3, 1, 2, 0)
        np.testing.assert_array_equal(graph.tensors[node.inputs[1]].value, weights)
        np.testing.assert_array_equal(graph.tensors[node.inputs[2]].value, bias)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.05, 0.7])
@pytest.mark.parametrize("ratio", [1.25, 2.5, 0.625, 10.0])
def test_leaky_relu_where_codes_lie_half_way(alpha, ratio, tmp_path):
    """A multiplier that is rounded to float32 on the way decides such codes otherwise."""
    g, scale = Subgraph(), 0.05
    x, y = g.tensor((1, 256), "int8", scale), g.tensor((1, 256), "int8", scale / ratio)
    options = {"Alpha": alpha}
    g.inputs, g.outputs = [x], [g.operator("LEAKY_RELU", [x], y, "LeakyReluOptions", **options)]
    path = tmp_path / "leaky.tflite"
    path.write_bytes(content(g))
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 1, 256)
    graph = quantized(path)
    got = run_int(graph, {graph.inputs[0]: every})[graph.outputs[0]]
    np.testing.assert_array_equal(got.reshape(every.shape), answers(path, every))


def test_dead_channels_go_without_changing_a_bit(data_dir: Path):
    graph = quantized(data_dir / "models" / FILES["vww"])
    smaller, _ = remove_dead_channels(graph)
    (key,) = graph.inputs
    codes = np.random.default_rng(2).integers(-128, 128, (4, *graph.tensors[key].shape))
    results = [run_int(g, {key: codes.astype(np.int8)})[g.outputs[0]] for g in (graph, smaller)]
    np.testing.assert_array_equal(*results)
    assert sum(t.size for t in smaller.tensors.values() if t.is_const) * 3 < sum(
        t.size for t in graph.tensors.values() if t.is_const
    )
