"""Real networks of the data collection: results, sizes, and the shapes one network comes in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import Graph
from edgecomp.ir.text import graph_summary
from edgecomp.ops import OPS
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from edgecomp.quant.sharing import insert_rescales
from tests.frontend.onnx_cases import (
    data_path,
    difference,
    model_shape,
    ops,
    random_inputs,
    run_graph,
    run_onnxruntime,
    to_device,
)

FLOAT_MODELS = {
    "ad_autoencoder/ad_fc_autoencoder.onnx": None,
    "ad_autoencoder/ad_fc_autoencoder_bn.onnx": None,
    "har_cnn1d/har_cnn1d.onnx": "har_hapt_test.npz",
    "ic_resnet8/ic_resnet8.onnx": "cifar10_ic01_lossless200.npz",
    "ic_resnet8/ic_resnet8_bn.onnx": "cifar10_ic01_lossless200.npz",
    "ic_resnet8_jpegft/ic_resnet8_jpegft.onnx": "cifar10_test.npz",
    "ic_resnet8_large/ic_resnet8_large.onnx": "cifar10_test.npz",
    "kws_dscnn/kws_dscnn.onnx": "kws_gsc_v2_test_mfcc.npz",
    "kws_dscnn/kws_dscnn_bn.onnx": "kws_gsc_v2_test_mfcc.npz",
    "mnist_cnn/mnist_cnn.onnx": "mnist_eval5k.npz",
    "vww_mobilenetv1_025/vww_mobilenetv1_025.onnx": None,
}
QDQ_MODELS = (
    "har_cnn1d/har_cnn1d_ort_qdq.onnx",
    "ic_resnet8/ic_resnet8_ort_qdq.onnx",
    "ic_resnet8_jpegft/ic_resnet8_jpegft_ort_qdq.onnx",
    "kws_dscnn/kws_dscnn_ort_qdq.onnx",
    "mnist_cnn/mnist_cnn_ort_qdq.onnx",
)
RELATIVE = 1e-4
SAMPLES = 6


def card_macs(path: Path) -> int | None:
    card: dict[str, Any] = json.loads((path.parent / "card.json").read_text())
    return card.get("macs")


def real_inputs(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The first samples of a data set in the model's own order."""
    with np.load(data_path("datasets", name)) as file:
        key = next(k for k in file.files if k.startswith("x") or k in {"images", "mfcc"})
        x = file[key][:SAMPLES]
    squeezed = tuple(n for n in shape[1:] if n != 1)
    if x.ndim > 1 and x.shape[1:] != squeezed and x.size == SAMPLES * int(np.prod(shape)):
        moved = np.moveaxis(x, -1, 1)
        x = moved if moved.shape[1:] == squeezed else x
    return x.reshape(SAMPLES, *shape).astype(np.float32)


@pytest.mark.parametrize("model", FLOAT_MODELS)
def test_float_model_equals_onnxruntime(model: str) -> None:
    path = data_path("models", model)
    graph = read_model(path)
    after = run_passes(graph)
    assert "transpose" not in ops(after)
    assert not {"pad", "unary"} & set(ops(after))
    macs = card_macs(path)
    assert macs is None or graph_summary(after, OPS)["macs"] == macs
    (name,) = graph.inputs
    file_name = graph.io_names[name]
    samples = random_inputs(graph, samples=SAMPLES)[file_name] * 50
    batches = [samples]
    if FLOAT_MODELS[model] is not None:
        batches.append(real_inputs(FLOAT_MODELS[model] or "", model_shape(graph, name)))
    for x in batches:
        (y,) = run_graph(after, {file_name: x}).values()
        outputs = list(graph.io_names.values())[1:]
        expected = [run_onnxruntime(path, {file_name: s}, outputs)[0] for s in x]
        assert difference(y, np.stack(expected)) < RELATIVE


def parameters(graph: Graph) -> list[list[np.ndarray]]:
    return [[t.value for t in graph.node_inputs(n) if t.is_const] for n in graph.nodes]


def assert_same_network(first: Graph, second: Graph) -> None:
    """Equal operators, parameters of the operators and shapes, close weights."""
    topologies = [
        [(n.op, n.params, g.node_output(n).shape) for n in g.nodes] for g in (first, second)
    ]
    assert topologies[0] == topologies[1]
    wires = []
    for graph in (first, second):
        made = {name: index for index, name in enumerate(graph.inputs)}
        made |= {n.output: len(graph.inputs) + index for index, n in enumerate(graph.nodes)}
        # The operands of a sum have no order.
        wires.append([sorted(made[name] for name in n.inputs if name in made) for n in graph.nodes])
    assert wires[0] == wires[1]
    for ours, theirs in zip(parameters(first), parameters(second), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(np.abs(b).max()))


FACTORIES = """
import sys
sys.path.insert(0, {folder!r})
import models_torch
import torch


def load(net, weights):
    net.load_state_dict(torch.load(weights))
    return net


def ic():
    return load(models_torch.ResNet8(), {ic!r}), torch.zeros(1, 3, 32, 32)


def ic_softmax():
    return load(models_torch.ResNet8(softmax=True), {ic_lossless!r}), torch.zeros(1, 3, 32, 32)


def kws():
    return load(models_torch.DSCNN(softmax=True), {kws!r}), torch.zeros(1, 1, 49, 10)
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    path = tmp_path / "nets.py"
    path.write_text(
        FACTORIES.format(
            folder=str(data_path("models")),
            ic=str(data_path("models", "ic_resnet8_jpegft", "ic_resnet8_jpegft_bn.pt")),
            ic_lossless=str(data_path("models", "ic_resnet8", "ic_resnet8_bn.pt")),
            kws=str(data_path("models", "kws_dscnn", "kws_dscnn_bn.pt")),
        )
    )
    return path


@pytest.mark.parametrize(
    ("factory", "files"),
    [
        ("ic", ("ic_resnet8_jpegft/ic_resnet8_jpegft.onnx",)),
        ("ic_softmax", ("ic_resnet8/ic_resnet8.onnx", "ic_resnet8/ic_resnet8_bn.onnx")),
        ("kws", ("kws_dscnn/kws_dscnn.onnx", "kws_dscnn/kws_dscnn_bn.onnx")),
    ],
)
def test_one_network_in_all_its_shapes(
    factory: str, files: tuple[str, ...], factories: Path
) -> None:
    module = run_passes(read_model(f"{factories}:{factory}"))
    for file in files:
        assert_same_network(module, run_passes(read_model(data_path("models", file))))


@pytest.mark.parametrize(
    ("model", "data", "factor", "distance"),
    [
        (QDQ_MODELS[0], "har_hapt_test.npz", 1 / 4096, 0),
        (QDQ_MODELS[3], "kws_gsc_v2_test_mfcc.npz", 1 / 256, 0),
        (QDQ_MODELS[4], "mnist_eval5k.npz", 1 / 255, 0),
        # Roundings that differ by one code once in a thousand meet in its residual sums.
        (QDQ_MODELS[2], "cifar10_test.npz", 1, 3),
    ],
)
def test_quantized_model_computes_the_codes_of_the_file(
    model: str, data: str, factor: float, distance: int
) -> None:
    path = data_path("models", model)
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    (name,), (output,) = graph.inputs, graph.outputs
    x = real_inputs(data, model_shape(graph, name)) * np.float32(factor)
    q_in, q_out = graph.tensor(name).qparams, graph.tensor(output).qparams
    assert q_in is not None
    assert q_out is not None
    y = run_int(graph, {name: q_in.quantize(to_device(graph, name, x)).astype(np.int8)})[output]
    io_name, out_name = graph.io_names[name], graph.io_names[output]
    expected = np.stack([run_onnxruntime(path, {io_name: s}, [out_name])[0] for s in x])
    assert np.ptp(y.astype(int)) >= 10
    assert np.abs(y - q_out.quantize(expected)).max() <= distance


@pytest.mark.parametrize("model", QDQ_MODELS)
def test_quantized_model_needs_no_calibration(model: str) -> None:
    """Codes of the file's own arithmetic: float operators between rounded tensors."""
    path = data_path("models", model)
    graph = run_passes(read_model(path))
    assert "transpose" not in ops(graph)
    assert all(t.is_const or t.qparams is not None for t in graph.tensors.values())
    assert ops(insert_rescales(graph)) == ops(graph), "no tensor's scale was lost or moved"
    quantized, _ = quantize_model(graph, None)
    for name, tensor in graph.tensors.items():
        if tensor.is_const and tensor.qparams is not None:
            assert quantized.tensor(name).qparams == tensor.qparams
