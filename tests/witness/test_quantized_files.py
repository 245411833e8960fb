"""Real networks quantized by onnxruntime, in both of its forms: its codes beside ours."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edgecomp.data import Preprocessing, load_dataset
from edgecomp.data.layout import device_to_model
from edgecomp.frontend import read_model
from edgecomp.frontend.qoperator import to_qdq
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.witness.test_networks import only

NETWORKS = {
    "ic_resnet8_jpegft": ("cifar10_test", Preprocessing(layout="hwc")),
    "kws_dscnn": ("kws_gsc_v2_test_mfcc", Preprocessing(1 / 128, layout="hw")),
}
KINDS = {
    "u8s8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8},
    "s8s8": {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8},
    "symmetric": {
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True},
    },
    "u8u8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
}
CHOSEN = [
    ("kws_dscnn", "u8s8", "QOperator", True),
    ("kws_dscnn", "symmetric", "QOperator", False),
    ("kws_dscnn", "s8s8", "QDQ", True),
    ("ic_resnet8_jpegft", "u8s8", "QOperator", False),
]
"""What every run compares; the rest is slow."""
EVERY = [
    (network, kind, form, per_channel)
    for network in NETWORKS
    for kind in KINDS
    for form in ("QOperator", "QDQ")
    for per_channel in (True, False)
]
CALIBRATION, SAMPLES, CLASS_SAMPLES = 32, 8, 200


@dataclass
class Count:
    """Codes compared, and how many differ."""

    codes: int = 0
    different: int = 0
    worst: int = 0


class Reader(CalibrationDataReader):
    """Hands samples to onnxruntime's calibration."""

    def __init__(self, name, samples):
        self._rest = iter([{name: sample} for sample in samples])

    def get_next(self):
        return next(self._rest, None)


def saturates():
    """Whether this processor adds products of bytes in 16 bits: weights then get 7 bits."""
    info = Path("/proc/cpuinfo")
    return not info.exists() or "_vnni" not in info.read_text()


def quantized_by_onnxruntime(network, kind, form, per_channel, folder):
    """The file's path, and real samples in the model's own order."""
    root = os.environ.get("EDGECOMP_DATA")
    if not root:
        pytest.skip("EDGECOMP_DATA is not set")
    source = Path(root, "models", network, f"{network}.onnx")
    data_name, preprocessing = NETWORKS[network]
    graph = run_passes(read_model(source))
    (name,) = graph.inputs
    data = load_dataset(str(Path(root, "datasets", f"{data_name}.npz")), graph, preprocessing)
    chosen = np.random.default_rng(0).permutation(len(data))[: CALIBRATION + CLASS_SAMPLES]
    device = data.take(chosen).real()[name]
    session = onnxruntime.InferenceSession(str(source))
    shape = [n if isinstance(n, int) else 1 for n in session.get_inputs()[0].shape]
    samples = device_to_model(device, graph.views.get(name)).astype(np.float32)
    samples = samples.reshape(-1, *shape)
    logging.getLogger().setLevel(logging.ERROR)
    path = folder / "net.onnx"
    quantize_static(
        str(source),
        str(path),
        Reader(session.get_inputs()[0].name, samples[:CALIBRATION]),
        quant_format=QuantFormat[form],
        per_channel=per_channel,
        reduce_range=saturates(),
        **KINDS[kind],
    )
    return path, device[CALIBRATION:], samples[CALIBRATION:]


def plain_session(content):
    """What the file says: optimizations replace whole layers, and differ from it in some codes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options)


def codes_of_file(path, samples):
    """What onnxruntime computes: the codes of every quantized tensor by the real tensor's name."""
    model = onnx.load(path)
    opset = next(o.version for o in model.opset_import if o.domain == "")
    quantizers = [n for n in to_qdq(model, opset).graph.node if n.op_type == "QuantizeLinear"]
    named = {node.input[0]: node.output[0] for node in quantizers}
    for node in model.graph.node:
        if node.op_type in {"Flatten", "Reshape"} and node.input[0] in named.values():
            named[node.output[0]] = node.output[0]
    shown = {value.name for value in model.graph.output}
    for code in sorted(set(named.values()) - shown):
        model.graph.output.append(onnx.ValueInfoProto(name=code))
    session = plain_session(model.SerializeToString())
    feed = session.get_inputs()[0].name
    codes = {real: [] for real in named}
    for sample in samples:
        results = session.run(list(named.values()), {feed: sample})
        for real, result in zip(named, results, strict=True):
            codes[real].append(result)
    return {real: np.stack(several) for real, several in codes.items()}


def on_device(codes, tensor):
    """uint8 to int8, channels last."""
    if codes.dtype == np.uint8:
        codes = (codes.astype(np.int16) - 128).astype(np.int8)
    if codes.ndim > 3:
        codes = np.moveaxis(codes, 2, -1)
    return codes.reshape(len(codes), *tensor.shape)


def compare_layers(path, samples):
    """Every layer on onnxruntime's own codes: `Count` by layer name."""
    integers, _ = quantize_model(run_passes(read_model(path)), None)
    theirs = codes_of_file(path, samples)
    counts = {}
    for node in integers.nodes:
        part = only(integers, node)
        if not {*part.inputs, node.output} <= theirs.keys():
            continue
        given = {n: on_device(theirs[n], integers.tensor(n)) for n in part.inputs}
        expected = on_device(theirs[node.output], integers.node_output(node)).astype(np.int64)
        away = np.abs(run_int(part, given)[node.output] - expected)
        counts[node.name] = Count(away.size, int((away > 0).sum()), int(away.max()))
    assert len(counts) == len(integers.nodes)
    return counts


def class_agreement(path, device, samples):
    """Share of samples whose class is the same, and how many with a clear winner differ."""
    integers, _ = quantize_model(run_passes(read_model(path)), None)
    (name,), (output,) = integers.inputs, integers.outputs
    codes = integers.tensor(name).qparams.quantize(device).astype(np.int8)
    ours = run_int(integers, {name: codes})[output].reshape(len(device), -1).astype(np.int64)
    session = plain_session(path.read_bytes())
    feed = session.get_inputs()[0].name
    theirs = np.stack([session.run(None, {feed: s})[0].reshape(-1) for s in samples])
    theirs = np.rint(theirs / integers.tensor(output).qparams.scalar)
    top = np.sort(ours, axis=1)
    differs = ours.argmax(1) != theirs.argmax(1)
    clear = top[:, -1] - top[:, -2] > 2
    return 1 - differs.mean(), int((differs & clear).sum()), clear.mean()


def check(network, kind, form, per_channel, folder):
    path, device, samples = quantized_by_onnxruntime(network, kind, form, per_channel, folder)
    counts = compare_layers(path, samples[:SAMPLES])
    worst = max(counts.values(), key=lambda count: count.worst)
    share = sum(c.different for c in counts.values()) / sum(c.codes for c in counts.values())
    agreement, clear_differences, clear = class_agreement(path, device, samples)
    print(
        f"\n{network} {form} {kind}{' per channel' if per_channel else ''}: "
        f"{len(counts)} layers, worst {worst.worst}, {share:.3%} of codes differ; "
        f"classes agree in {agreement:.1%}, {clear_differences} clear ones differ ({clear:.0%})"
    )
    return worst.worst, share, agreement, clear_differences


def bound(kind, form, per_channel, worst, share, agreement, clear_differences):
    # Asymmetric weights of nine bits are rounded to eight; all others are kept.
    assert worst <= (3 if kind == "u8u8" else 1)
    assert share < (0.02 if kind == "u8u8" else 0.0001)
    # One code of one layer is enough to turn a close decision behind it.
    assert agreement >= 0.97
    assert clear_differences <= 0.01 * CLASS_SAMPLES


@pytest.mark.parametrize(("network", "kind", "form", "per_channel"), CHOSEN)
def test_layers_and_classes(network, kind, form, per_channel, tmp_path):
    bound(kind, form, per_channel, *check(network, kind, form, per_channel, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "kind", "form", "per_channel"), [c for c in EVERY if c not in CHOSEN]
)
def test_every_kind_of_file(network, kind, form, per_channel, tmp_path):
    bound(kind, form, per_channel, *check(network, kind, form, per_channel, tmp_path))
