"""Forms that become several layers, or a new one: quantized, compiled, run on emulated cores."""

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import make_model, node, save
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences

RNG = np.random.default_rng(31)
SAMPLES = 8
IMAGE = [2, 3, 6, 5]
STATISTICS = {
    name: RNG.uniform(0.5, 1.5, 3).astype(np.float32) for name in ("gain", "mean", "spread")
}
FORMS = {
    "top": ([node("TopK", "x k", "y i", axis=2), node("Cast", "i", "z", to=1)],
            {"k": np.array([4])}),
    "smallest": ([node("TopK", "x k", "y i", axis=1, largest=0), node("Cast", "i", "z", to=1)],
                 {"k": np.array([2])}),
    "smooth": ([node("Resize", "x - s", "y", mode="linear", antialias=1),
                node("Resize", "x - s", "z", mode="cubic", antialias=1)],
               {"s": np.array([1, 1, 0.5, 0.8], np.float32)}),
    "region": ([node("Resize", "x r s", "y", mode="linear", extrapolation_value=2.0,
                coordinate_transformation_mode="tf_crop_and_resize"), node("Neg", "x", "z")],
               {"r": np.float32([0, 0, -0.3, 0.2, 1, 1, 0.6, 1.4]),
                "s": np.array([1, 1, 1.5, 2], np.float32)}),
    "powers": ([node("Abs", "x", "a"), node("Pow", "a e", "y"), node("Pow", "a f", "z")],
               {"e": RNG.permutation(30).reshape(6, 5).astype(np.float32) / 10,
                "f": np.float32([2, 0.5, 1])[:, None, None]}),
    "batch-norm": ([node("BatchNormalization", "x gain mean mean spread", "y z v",
                    training_mode=1)], STATISTICS),
    "batch-variance": ([node("BatchNormalization", "x gain mean mean spread", "y m z",
                        momentum=0.3, training_mode=1)], STATISTICS),
    "codes-of-channels": ([node("DequantizeLinear", "x mean", "y"), node("Neg", "y", "z")],
                          STATISTICS, TensorProto.UINT8),
    "codes-of-16-bits": ([node("DequantizeLinear", "x s q", "y"), node("Neg", "y", "z")],
                         {"s": np.float32(0.1), "q": np.array(40, np.int16)}, TensorProto.INT16),
    "codes-of-4-bits": ([node("DequantizeLinear", "x s", "y"), node("Neg", "y", "z")],
                        {"s": np.float32(0.1)}, TensorProto.UINT4),
}  # fmt: skip
"""Layers, constants and, where it is not float, the input's type."""


def quantized(name, folder):
    """The form's quantized network, with samples of its input."""
    layers, constants, *kind = FORMS[name]
    model = make_model(
        layers, {"x": IMAGE}, ["y", "z"], constants, opset=21 if kind else 18,
        types={"x": kind[0]} if kind else None,
    )  # fmt: skip
    graph = run_passes(read_model(save(model, folder)))
    rng, samples = np.random.default_rng(5), {}
    for key in graph.inputs:
        x = rng.normal(size=(SAMPLES, *graph.tensors[key].shape))
        samples[key] = (np.rint(x * 30).clip(0, 90) if kind else x).astype(np.float32)
    return graph, quantize_model(graph, samples)[0], samples


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = []
    for name in FORMS:
        _, graph, samples = quantized(name, tmp_path_factory.mktemp("forms"))
        codes = {}
        for key, array in samples.items():
            q = graph.tensors[key].qparams
            codes[key] = q.quantize(array).astype(np.int8)
        made.append(Model(name, graph, codes))
    return made


@pytest.mark.parametrize("name", FORMS)
def test_codes_stay_near_the_real_network(name, tmp_path):
    graph, made, samples = quantized(name, tmp_path)
    real = run_float(graph, samples)
    model = Model(
        name,
        made,
        {k: made.tensors[k].qparams.quantize(x).astype(np.int8) for k, x in samples.items()},
    )
    for before, after in zip(graph.outputs, made.outputs, strict=True):
        q = made.tensors[after].qparams
        found = q.dequantize(model.expected()[after])
        away = np.abs(found - real[before]) / max(np.abs(real[before]).max(), q.scalar)
        assert np.median(away) < 0.03


def test_host_c_computes_the_same(models, tmp_path):
    found = host_differences(models, tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_cores_compute_the_same(models, board, tmp_path):
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)
