"""Whole networks on real data: layers on identical inputs, and classes, beside onnxruntime."""

import os
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

from edgecomp.data import Preprocessing, load_dataset, split_calibration
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from edgecomp.samples import input_codes
from tests.witness.exact import exact_code, is_half_way
from tests.witness.runtime import Runtime
from tests.witness.test_onnxruntime import ALLOWED, NEAR, Count, precise

MODELS = {
    "ic_resnet8_jpegft": ("cifar10_test", Preprocessing(layout="hwc")),
    "kws_dscnn": ("kws_gsc_v2_test_mfcc", Preprocessing(1 / 128, layout="hw")),
    "har_cnn1d": ("har_hapt_test", Preprocessing(1 / 4096, layout="wc")),
    "mnist_cnn": ("mnist_eval5k", Preprocessing(1 / 255)),
}
SAMPLES = 24
CLASS_SAMPLES = 300


@pytest.fixture(scope="module", params=MODELS)
def network(request):
    root = os.environ.get("EDGECOMP_DATA")
    if not root:
        pytest.skip("EDGECOMP_DATA is not set")
    data_name, preprocessing = MODELS[request.param]
    graph = run_passes(read_model(Path(root, "models", request.param, f"{request.param}.onnx")))
    data = load_dataset(str(Path(root, "datasets", f"{data_name}.npz")), graph, preprocessing)
    chosen, rest = split_calibration(len(data), 200)
    integers, _ = quantize_model(graph, data.take(chosen).real())
    return integers, input_codes(integers, data.take(rest[:CLASS_SAMPLES]))


def only(graph, node):
    """The graph of one of the layers."""
    inputs = tuple(dict.fromkeys(n for n in node.inputs if not graph.tensors[n].is_const))
    part = graph.replace(inputs=inputs, outputs=(node.output,), views={}, io_names={}, name="layer")
    return part.with_nodes([node], graph.tensors)


def test_every_layer_agrees_on_the_same_codes(network):
    graph, codes = network
    values = run_int(graph, {n: x[:SAMPLES] for n, x in codes.items()}, keep=True)
    total = Count()
    for node in graph.nodes:
        part = only(graph, node)
        given = {name: values[name] for name in part.inputs}
        got = values[node.output].astype(np.int64)
        witness = np.clip(Runtime(part)(given)[node.output], -128, 127)
        valid = np.ones(got.shape, bool)
        fine = precise(part, node)
        if fine is not None:
            total.coarse += int((~np.broadcast_to(fine, got.shape)).sum())
            valid &= fine
        different = valid & (got != witness)
        for sample, *index in np.argwhere(different):
            exact = exact_code(part, node, given, sample, index)
            assert abs(abs(exact - floor(exact)) - Fraction(1, 2)) < NEAR, node.name
            if is_half_way(exact):
                total.half_way += 1
                different[(sample, *index)] = False
        total.elements += int(valid.sum())
        total.different += int(different.sum())
        total.worst = max(total.worst, int(np.abs(got - witness)[valid].max(initial=0)))
    print(f"\n{graph.name}: {total}")
    assert total.worst <= 1
    assert total.different <= ALLOWED * total.elements


def test_classes_agree_where_they_are_clear(network):
    graph, codes = network
    (output,) = graph.outputs
    own = run_int(graph, codes)[output].astype(np.int64).reshape(CLASS_SAMPLES, -1)
    plain = Runtime(graph)(codes)[output].reshape(own.shape)
    optimized = Runtime(graph, optimize=True)(codes)[output].reshape(own.shape)
    top = np.sort(own, axis=1)
    clear = top[:, -1] - top[:, -2] > 1
    differs = own.argmax(1) != plain.argmax(1)
    print(
        f"\n{graph.name}: classes differ in {differs.mean():.2%} of {CLASS_SAMPLES} samples, "
        f"{int((differs & clear).sum())} of them clear; onnxruntime optimized and not: "
        f"{(plain.argmax(1) != optimized.argmax(1)).mean():.2%}"
    )
    assert clear.mean() > 0.5
    assert not (differs & clear).any()
