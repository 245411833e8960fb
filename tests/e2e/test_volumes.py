"""Volumes, batches of pools, indices of maxima: from file to emulated core, bit for bit."""

import json

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.feasibility import check_model
from edgecomp.frontend import read_model
from edgecomp.interp import run_float, run_int
from edgecomp.passes import run_passes
from tests.cli.support import FAST, call
from tests.frontend.onnx_cases import make_model, node, save
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.random_graphs import RandomModel, quantized_model

RNG = np.random.default_rng(21)
CUBE, ONE = [2, 2, 2], [1, 1, 1]
AROUND = {"pads": [1] * 6}
SAMPLES = 20


def real(*shape):
    return RNG.normal(0, 0.4, shape).astype(np.float32)


CLASSIFIER = [
    node("Conv", "x v c", "a", **AROUND),
    node("Relu", "a", "b"),
    node("MaxPool", "b", "d", kernel_shape=CUBE, strides=CUBE),
    node("Conv", "d w", "e"),
    node("Relu", "e", "f"),
    node("GlobalAveragePool", "f", "g"),
    node("Flatten", "g", "h"),
    node("Gemm", "h k", "y"),
]
WEIGHTS = {"v": real(4, 1, 3, 3, 3), "c": real(4), "w": real(6, 4, 2, 2, 2), "k": real(6, 3)}
VOLUME = (1, 2, 5, 4, 6)
IMAGES = (3, 4, 7, 6)
WIDE = {"kernel_shape": [3, 2, 3], "strides": [2, 1, 2], "pads": [1, 1, 1, 0, 0, 1]}
NETWORKS = {
    "classifier": (CLASSIFIER, (1, 1, 6, 8, 8), WEIGHTS),
    "groups": ([node("Conv", "x w", "y", group=2, strides=[2, 1, 1], dilations=[1, 2, 1])],
               (2, 4, 5, 5, 4), {"w": real(6, 2, 2, 2, 3)}),
    "transposed": ([node("ConvTranspose", "x w", "y", strides=[2, 1, 2])], (1, 3, 2, 3, 3),
                   {"w": real(3, 2, 3, 2, 2)}),
    "max-volume": ([node("MaxPool", "x", "y", ceil_mode=1, **WIDE)], VOLUME, {}),
    "mean-volume": ([node("AveragePool", "x", "y", ceil_mode=1, **WIDE)], VOLUME, {}),
    "mean-with-padding": ([node("AveragePool", "x", "y", ceil_mode=1, count_include_pad=1,
                                **WIDE)], VOLUME, {}),
    "mean-dilated": ([node("AveragePool", "x", "y", kernel_shape=CUBE, dilations=[2, 1, 2],
                           **AROUND)], VOLUME, {}),
    "max-of-batch": ([node("MaxPool", "x", "y", kernel_shape=[3, 3], pads=[1, 0, 1, 1],
                           strides=[2, 2])], IMAGES, {}),
    "mean-of-batch": ([node("AveragePool", "x", "y", kernel_shape=[3, 2], pads=[1, 0, 1, 1])],
                      IMAGES, {}),
    "tiles-of-batch": ([node("AveragePool", "x", "a", kernel_shape=[7, 2], strides=[7, 2]),
                        node("GlobalMaxPool", "a", "y")], IMAGES, {}),
    "indices": ([node("MaxPool", "x", "y i", kernel_shape=[3, 2], pads=[1, 0, 0, 0])],
                (1, 2, 6, 7), {}),
    "columns-first": ([node("MaxPool", "x", "y i", kernel_shape=CUBE, strides=CUBE,
                            storage_order=1)], (1, 2, 4, 4, 6), {}),
}  # fmt: skip


def network(name, folder):
    nodes, shape, weights = NETWORKS[name]
    outputs = list(nodes[-1].output)
    types = {"i": TensorProto.INT64}
    proto = make_model(nodes, {"x": shape}, outputs, weights, opset=19, types=types)
    inputs = {"x": RNG.normal(0.2, 1, (SAMPLES, *shape)).astype(np.float32)}
    graph = run_passes(read_model(save(proto, folder, f"{name}.onnx")))
    return quantized_model(RandomModel(name.replace("-", "_"), proto, inputs), graph)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    return [network(name, folder) for name in NETWORKS]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("mean")])
def test_averages_are_rounded_once(name, tmp_path):
    graph = network(name, tmp_path).graph
    (x,), (y,) = graph.inputs, graph.outputs
    codes = RNG.integers(-128, 128, (50, *graph.tensors[x].shape)).astype(np.int8)
    real_x = graph.tensors[x].qparams.dequantize(codes).astype(np.float64)
    wanted = run_float(graph, {x: real_x})[y] / graph.tensors[y].qparams.scalar
    wanted = np.clip(wanted + graph.tensors[y].qparams.zero_point, -128, 127)
    assert np.abs(run_int(graph, {x: codes})[y] - wanted).max() < 0.501


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4f", "cortex-m55"])
def test_host_c_computes_the_same(models, core, tmp_path):
    found = host_differences(models, tmp_path, core_name=core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(models, board, tmp_path):
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)


def test_check_model_says_what_build_makes(tmp_path):
    proto = make_model(CLASSIFIER, {"x": (1, 1, 6, 8, 8)}, ["y"], WEIGHTS)
    model = str(save(proto, tmp_path))
    np.savez(tmp_path / "data.npz", x=RNG.normal(0, 1, (20, 1, 6, 8, 8)).astype(np.float32))
    answer = call(
        "build", model, "--board", "mps2-an386", "--data", tmp_path / "data.npz", *FAST,
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    built = json.loads((tmp_path / "out" / "report.json").read_text())
    found = check_model(model, "mps2-an386")
    assert found["verdict"] == "ok"
    assert found["ram"]["bytes"] == built["ram"]["total_bytes"]
    assert found["macs"] == built["macs"]
    assert 1 <= found["flash"]["bytes"] / built["flash"]["total_bytes"] <= 1.02
