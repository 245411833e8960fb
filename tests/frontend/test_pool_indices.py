"""Where max pools found their maxima, beside onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto

from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ops.argmax import INDEX_QPARAMS
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import make_model, node, ops, run_graph, run_onnxruntime, save
from tests.support.random_graphs import device_inputs, file_outputs

RNG = np.random.default_rng(13)
KINDS = {
    "tiles": ((1, 2, 6, 8), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "overlaps": ((1, 3, 5, 6), {"kernel_shape": [3, 2]}),
    "pads": ((2, 1, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 2, 1, 0]}),
    "dilated": ((1, 2, 7, 8), {"kernel_shape": [2, 3], "dilations": [3, 2], "pads": [1, 2, 1, 1]}),
    "ceil": ((1, 1, 9, 7), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "sequence": ((2, 5, 12), {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
    "volume": ((1, 2, 4, 5, 6), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2]}),
    "every-code": ((1, 1, 16, 16), {"kernel_shape": [4, 4], "strides": [4, 4]}),
}


def pooled(kind, folder, order=0):
    shape, attributes = KINDS[kind]
    layer = node("MaxPool", "x", "y i", storage_order=order, **attributes)
    types = {"i": TensorProto.INT64}
    return save(make_model([layer], {"x": shape}, ["y", "i"], types=types), folder)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_indices_are_onnxruntimes(kind, order, tmp_path):
    """Of equal ones the first; so few values are equal often."""
    path = pooled(kind, tmp_path, order)
    x = RNG.integers(-2, 3, (4, *KINDS[kind][0])).astype(np.float32)
    graph = read_model(path)
    for found in (run_graph(graph, {"x": x}), run_graph(run_passes(graph), {"x": x})):
        for sample in range(4):
            y, index = run_onnxruntime(path, {"x": x[sample]}, ["y", "i"])
            np.testing.assert_array_equal(found["y"][sample], y)
            np.testing.assert_array_equal(found["i"][sample], index)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_indices_are_whole_numbers_in_codes(kind, order, tmp_path):
    path = pooled(kind, tmp_path, order)
    graph = run_passes(read_model(path))
    # Each element has a code of its own, in every plane, and each value of the indices occurs.
    x = RNG.permuted(np.broadcast_to(np.arange(256.0), (20, 256)), axis=1)
    x = x[:, : np.prod(KINDS[kind][0])].reshape(20, *KINDS[kind][0]).astype(np.float32)
    x[:, 0].flat[0] = 255
    quantized, _ = quantize_model(graph, device_inputs(graph, {"x": x}))
    codes = {
        name: quantized.tensors[name].qparams.quantize(array).astype(np.int8)
        for name, array in device_inputs(graph, {"x": x}).items()
    }
    found = run_int(quantized, codes)
    whole = graph.outputs[1]
    assert quantized.tensors[whole].qparams == INDEX_QPARAMS
    found = file_outputs(graph, {n: found[n].astype(np.float32) for n in graph.outputs})
    for sample in range(20):
        _, index = run_onnxruntime(path, {"x": x[sample]}, ["y", "i"])
        np.testing.assert_array_equal(found["i"][sample] + 128, index)


def test_what_is_not_read_is_not_made(tmp_path):
    """Indices of a large input do not matter where nobody reads them."""
    layer = node("MaxPool", "x", "y i", kernel_shape=[2, 2])
    path = save(make_model([layer], {"x": (1, 3, 20, 20)}, ["y"]), tmp_path)
    assert ops(run_passes(read_model(path))) == ["max_pool"]


def test_indices_choose_rows_of_a_table(tmp_path):
    """Layers behind take them as they take those of ArgMax."""
    layers = [node("MaxPool", "x", "y i", kernel_shape=[2, 2], strides=[2, 2]),
              node("Gather", "t i", "r", axis=0)]  # fmt: skip
    table = RNG.standard_normal((16, 3)).astype(np.float32)
    path = save(make_model(layers, {"x": (1, 1, 4, 4)}, ["r"], {"t": table}), tmp_path)
    x = RNG.standard_normal((1, 1, 1, 4, 4)).astype(np.float32)
    (wanted,) = run_onnxruntime(path, {"x": x[0]}, ["r"])
    np.testing.assert_array_equal(run_graph(run_passes(read_model(path)), {"x": x})["r"][0], wanted)
