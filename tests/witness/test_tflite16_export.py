"""Networks of int16 activations, exported as TFLite: tflite-micro gives their bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.export.tflite import export_tflite
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import DType, QParams
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.quant.int16 import as_int16
from edgecomp.quant.quantize import quantize
from edgecomp.quant.tflite_form import as_tflite
from edgecomp.requant.tflite16_functions import UNIT_QPARAMS
from edgecomp.requant.tflite16_layers import LAYERS
from tests.ops.tables import ALL_CASES
from tests.support.cases import case_graph, one_line_each, random_codes, real_value
from tests.support.tflm import Tflm, structure

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for exported files",
)
SAMPLES = 8
UNIT = {"softmax", "sigmoid", "tanh"}
NOT_THERE = {
    "gather-five-axes": "TFLM slices four axes",
    "softmax-1000-sharp": "TFLM ends the process over its sum",
}
"""Cases that TFLM refuses."""
TINY = {"conv2d-tiny-output", "add-tiny", "sub-tiny", "mul-tiny"}
"""Cases whose multipliers TFLM finds too large or too small; its GATHER has no int16."""
NETWORKS = {
    "ic": ("ic_resnet8/ic_resnet8.onnx", "cifar10_test.npz"),
    "har": ("har_cnn1d/har_cnn1d.onnx", "har_hapt_test.npz"),
}


def symmetric(qparams: QParams) -> QParams:
    """int16 parameters that cover the range of asymmetric int8 ones."""
    largest = max(qparams.zero_point + 128, 127 - qparams.zero_point)
    return replace(as_int16(QParams.per_tensor(qparams.scalar * largest / 127)), is_wide=True)


def wide(case):
    """A case of int8 activations as one of TFLite's int16 activations; None where it has none."""
    graph = case_graph(case)
    (node,) = graph.nodes
    tensors, qparams = {}, {}
    for name, tensor in graph.tensors.items():
        data = real_value(tensor).astype(np.float32) if tensor.is_const else None
        tensors[name] = replace(tensor, dtype=DType.FLOAT32, qparams=None, data=data)
        if data is None:
            qparams[name] = symmetric(tensor.qparams)
    text = getattr(node.params, "text", node.op)
    if node.op == "softmax" or text.split("(")[0] in UNIT:
        qparams["y"] = UNIT_QPARAMS
    if node.op == "average_pool":
        qparams["y"] = qparams[node.inputs[0]]
    try:
        return quantize(as_tflite(graph.replace(tensors=tensors)), qparams, numerics="tflite")
    except UnsupportedError:
        return None


def fits(case):
    border = getattr(case.params, "value", 0.0) if case.op == "pad" else 0.0
    padded = getattr(case.params, "count_include_pad", False)
    return case.op in LAYERS and case.id not in NOT_THERE and not border and not padded


CASES = [
    (case, graph)
    for case in ALL_CASES
    if fits(case) and case.numerics == "edgecomp"
    for graph in [wide(case)]
    if graph is not None
]


def read_back(content, folder):
    path = folder / "net.tflite"
    path.write_bytes(content)
    return quantize_model(run_passes(read_model(path)), None)[0], structure(path)


def test_most_operators_have_cases():
    assert {case.op for case, _ in CASES} >= set(LAYERS) - {"shift", "average_pool"}
    assert len(CASES) > 80


def test_codes_are_those_of_tflite_micro():
    lines, not_there = [], set()
    for case, graph in CASES:
        codes = random_codes(graph, np.random.default_rng(case.seed), SAMPLES)
        try:
            run = Tflm(graph)
        except UnsupportedError:
            continue
        except RuntimeError:
            not_there.add(case.id)
            continue
        got, wanted = run(codes), run_int(graph, codes)
        for name in graph.outputs:
            if not np.array_equal(got[name], wanted[name]):
                lines.append(f"{case.id}: {np.count_nonzero(got[name] != wanted[name])} differ")
    assert not lines, one_line_each(lines)
    assert {name for name in not_there if not name.startswith("gather")} == TINY


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_real_networks_give_their_bits_and_come_back(name, count, data_dir: Path, tmp_path):
    model, data = NETWORKS[name]
    float_graph = run_passes(read_model(data_dir / "models" / model))
    (x,) = float_graph.inputs
    with np.load(data_dir / "datasets" / data) as file:
        real = file["x"][: max(count, 50)].astype(np.float32)
    samples = {x: real.reshape(-1, *float_graph.tensors[x].shape)}
    graph, _ = quantize_model(float_graph, samples, QuantizeOptions(numerics="tflite16"))
    q, low_high = graph.tensors[x].qparams, DType.INT16.limits
    own = q.quantize(samples[x][:count], *low_high).astype(np.int16)
    any_codes = random_codes(graph, np.random.default_rng(0), 30)[x]
    codes = {x: np.concatenate([own, any_codes])}
    content = export_tflite(graph)
    wanted = run_int(graph, codes)
    got = Tflm(graph, content)(codes)
    for output in graph.outputs:
        assert len(np.unique(wanted[output])) > 10
        np.testing.assert_array_equal(got[output], wanted[output])
    again, first = read_back(content, tmp_path)
    assert read_back(export_tflite(again), tmp_path)[1] == first
