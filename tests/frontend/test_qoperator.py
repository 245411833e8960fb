"""Layers on codes (ONNX's QOperator form): the same codes as onnxruntime, the scales kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from edgecomp.errors import UnsupportedError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import QParams
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import from_device, make_model, node, ops, save, to_device

SCALES = {"sx": 0.04131, "sa": 0.03317, "sw": 0.01239, "sy": 0.05227}
"""Of ratios that are nothing special: few results lie half-way between two codes."""
SAMPLES = 40


@dataclass(frozen=True)
class Case:
    """One layer on codes, reading `x` (and `a`), writing `y`."""

    op: str
    inputs: str
    shape: tuple[int, ...] = (1, 4, 6, 5)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    domain: str = "com.microsoft"
    becomes: tuple[str, ...] = ()
    opset: int = 17
    result: float = SCALES["sy"]


RNG = np.random.default_rng(3)
ONE, TWO = "x sx zx", "x sx zx a sa za"
W_CONV = RNG.integers(-127, 128, (7, 4, 3, 3)).astype(np.int8)
W_DENSE = RNG.integers(-127, 128, (120, 9)).astype(np.int8)
BIAS = RNG.integers(-9999, 9999, 9).astype(np.int32)
CONV = {"w": W_CONV, "zw": np.zeros(7, np.int8), "b": BIAS[:7]}
PER_CHANNEL = {**CONV, "sw": RNG.uniform(0.004, 0.02, 7).astype(np.float32)}
FLAT = {"w": W_DENSE, "zw": np.int8(0), "b": BIAS}
PADS = {"pads": [1, 1, 1, 1]}
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}

CASES = {
    "conv": Case(
        "QLinearConv", f"{ONE} w sw zw sy zy b", constants=PER_CHANNEL, attrs=PADS,
        domain="", becomes=("conv2d",), result=0.9,
    ),
    "conv of an old operator set": Case(
        "QLinearConv", f"{ONE} w sw zw sy zy b", constants=PER_CHANNEL, attrs=PADS,
        domain="", becomes=("conv2d",), opset=11, result=0.9,
    ),
    "conv without bias": Case(
        "QLinearConv", f"{ONE} w sw zw sy zy", constants={**CONV, "zw": np.int8(0)},
        domain="", becomes=("conv2d",), result=0.9,
    ),
    "matmul": Case(
        "QLinearMatMul", f"{ONE} w sw zw sy zy", (1, 120), {**FLAT, "b": BIAS},
        domain="", becomes=("dense",), result=0.9,
    ),
    "matmul of two activations": Case(
        "QLinearMatMul", f"{TWO} sy zy", (1, 3, 5, 5), domain="", becomes=("matmul",),
    ),
    "gemm": Case(
        "QGemm", f"{ONE} w sw zw b sy zy", (1, 120), FLAT, becomes=("dense",), result=0.9,
    ),
    "gemm transposed": Case(
        "QGemm", f"{ONE} w sw zw b sy zy", (1, 120),
        {**FLAT, "w": np.ascontiguousarray(W_DENSE.T), "zw": np.zeros(9, np.int8),
         "sw": RNG.uniform(0.004, 0.02, 9).astype(np.float32)},
        {"transB": 1}, becomes=("dense",), result=0.9,
    ),
    "add": Case("QLinearAdd", f"{TWO} sy zy", becomes=("add",)),
    "add a constant": Case(
        "QLinearAdd", f"{ONE} w sw zx sy zy", becomes=("add",),
        constants={"w": W_CONV[:4, :1, :1, 0]},
    ),
    "mul": Case("QLinearMul", f"{TWO} sy zy", becomes=("mul",)),
    "concat": Case(
        "QLinearConcat", f"sy zy {TWO}", attrs={"axis": 1}, becomes=("concat",),
    ),
    "where": Case(
        "QLinearWhere", f"c {TWO} sy zy", constants={"c": RNG.integers(0, 2, (1, 4, 6, 5)) > 0},
        becomes=("where",),
    ),
    "average pool": Case(
        "QLinearAveragePool", f"{ONE} sy zy", attrs=POOL, becomes=("average_pool",)
    ),
    "global average pool": Case(
        "QLinearGlobalAveragePool", f"{ONE} sy zy", becomes=("average_pool",), result=0.0203
    ),
    "sigmoid": Case("QLinearSigmoid", f"{ONE} sy zy", becomes=("unary",), result=1 / 256),
    "leaky relu": Case(
        "QLinearLeakyRelu", f"{ONE} sy zy", attrs={"alpha": 0.25}, becomes=("unary",)
    ),
    "softmax": Case(
        "QLinearSoftmax", f"{ONE} sy zy", (1, 10), attrs={"axis": -1, "opset": 13},
        becomes=("softmax",), result=1 / 256,
    ),
}  # fmt: skip


def model_of(case: Case, dtype: type) -> onnx.ModelProto:
    """Quantizers around the layer, everything in codes of `dtype`."""
    low = 0 if dtype is np.uint8 else -128
    zeros = {"zx": dtype(low + 120), "za": dtype(low + 131), "zy": dtype(low + 117)}
    if case.result == 1 / 256:
        zeros["zy"] = dtype(low)
    scales = {name: np.float32(value) for name, value in SCALES.items()}
    constants = {**scales, "sy": np.float32(case.result), **zeros, **case.constants}
    used = {"sx", "zx", "sy", "zy", *case.inputs.split()}
    inputs = {name: list(case.shape) for name in ("x", "a") if name in used}
    renamed = " ".join(f"{n}.q" if n in inputs else n for n in case.inputs.split())
    layer = node(case.op, renamed, "y.q", "layer", **case.attrs)
    layer.domain = case.domain
    nodes = [node("QuantizeLinear", f"{n} s{n} z{n}", f"{n}.q") for n in inputs]
    nodes += [layer, node("DequantizeLinear", "y.q sy zy", "y")]
    if case.op == "QLinearAdd" and "w" in constants:
        constants["w"] = (constants["w"].astype(np.int64) - (-128 - low)).astype(dtype)
    kept = {name: np.asarray(value) for name, value in constants.items() if name in used}
    return make_model(nodes, inputs, ["y"], kept, opset=case.opset)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("name", CASES)
def test_codes_are_those_of_onnxruntime(name: str, dtype: type, tmp_path: Path) -> None:
    case = CASES[name]
    model = model_of(case, dtype)
    graph = run_passes(read_model(save(model, tmp_path)))
    assert sorted(ops(graph)) == sorted(case.becomes)
    integers, _ = quantize_model(graph, None)
    (output,) = integers.outputs
    low = 0 if dtype is np.uint8 else -128
    assert integers.tensor("x").qparams == QParams.per_tensor(SCALES["sx"], -8)
    rng = np.random.default_rng(5)
    real = {n: rng.normal(0, 1.6, (SAMPLES, *case.shape)) for n in ("x", "a")}
    real = {n: v.astype(np.float32) for n, v in real.items() if n in graph.inputs}
    codes = {}
    for n, values in real.items():
        q = integers.tensor(n).qparams
        assert q is not None
        codes[n] = q.quantize(to_device(graph, n, values)).astype(np.int8)
    ours = from_device(graph, output, run_int(integers, codes)[output].astype(np.int64))
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    scale = float(np.float32(case.result))
    zero = low + 117 if case.result != 1 / 256 else low
    theirs = np.stack(
        [session.run(None, {n: v[i] for n, v in real.items()})[0] for i in range(SAMPLES)]
    )
    expected = np.rint(theirs / scale).astype(np.int64) + zero - (128 if low == 0 else 0)
    assert len(np.unique(expected)) > 10
    away = np.abs(ours - expected)
    assert away.max() <= 1
    assert (away > 0).mean() < 0.01


def coded_between(kind: str, inputs: str, constants: dict[str, np.ndarray], **attrs: Any) -> Any:
    """A standard operator on codes after a layer on codes."""
    low = {"sx": np.float32(0.05), "zx": np.uint8(100), "one": np.float32(0.04)}
    sigmoid = node("QLinearLeakyRelu", "x.q sx zx one zx", "r.q", alpha=0.5)
    sigmoid.domain = "com.microsoft"
    nodes = [
        node("QuantizeLinear", "x sx zx", "x.q"),
        sigmoid,
        node("Reshape", "r.q shape", "s.q"),
        node(kind, f"s.q {inputs}", "y.q", "on codes", **attrs),
        node("DequantizeLinear", "y.q one zx", "y"),
    ]
    shape = np.array([1, 4, 5, 6])
    every = {**{n: np.asarray(v) for n, v in low.items()}, "shape": shape, **constants}
    return make_model(nodes, {"x": [1, 4, 6, 5]}, ["y"], every, opset=18)


def test_operators_that_onnxruntime_applies_to_codes(tmp_path: Path) -> None:
    pads = {"pads": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "value": np.array(100, np.uint8)}
    sizes = {"sizes": np.array([1, 4, 10, 12])}
    axes = {"axes": np.array([2, 3])}
    resize = coded_between("Resize", "pads pads sizes", {**sizes, **pads}, mode="linear")
    resize.graph.node[3].input[1:3] = ["", ""]
    for model, expected in (
        (coded_between("Pad", "pads value", pads), "pad"),
        (coded_between("ReduceMax", "axes", axes), "reduce_max"),
        (resize, "resize"),
    ):
        graph = run_passes(read_model(save(model, tmp_path)))
        assert expected in ops(graph)
        assert graph.tensor(graph.outputs[0]).qparams == QParams.per_tensor(0.04, -28)


@pytest.mark.parametrize("opset", [17, 19])
def test_mean_on_codes(opset: int, tmp_path: Path) -> None:
    """The schema has it, onnxruntime does not run it."""
    attrs = {"axes": [2, 3], "keepdims": 1}
    case = Case("QLinearReduceMean", f"{ONE} sy zy", attrs=attrs, opset=opset)
    graph = run_passes(read_model(save(model_of(case, np.uint8), tmp_path)))
    assert ops(graph) == ["reduce_mean"]
    assert graph.tensor(graph.outputs[0]).shape == (1, 4, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.attribute.append(onnx.helper.make_attribute("channels_last", 1)),
         r"QLinearAveragePool in layer 'layer'"),
        (lambda layer: layer.input.__delitem__(slice(3, 5)), r"QLinearAveragePool"),
        (lambda layer: setattr(layer, "op_type", "QLinearTangent"), r"QLinearTangent"),
    ],
)  # fmt: skip
def test_forms_that_are_not_known_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    model = model_of(CASES["average pool"], np.uint8)
    change(model.graph.node[1])
    with pytest.raises(UnsupportedError, match=message):
        read_model(save(model, tmp_path))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("op", ["ConvInteger", "MatMulInteger"])
def test_products_of_codes_with_a_factor(op: str, per_channel: bool, tmp_path: Path) -> None:
    conv = op == "ConvInteger"
    channels = 7 if conv else 9
    scale_w = RNG.uniform(0.004, 0.02, channels if per_channel else 1).astype(np.float32)
    factor = np.float32(0.0413) * scale_w
    constants = {
        "sx": np.float32(0.0413), "zx": np.uint8(120), "w": W_CONV if conv else W_DENSE,
        "zw": np.int8(0), "f": factor.reshape((1, -1, 1, 1) if conv else -1),
        "b": RNG.normal(0, 1, (7, 1, 1) if conv else 9).astype(np.float32),
        "sy": np.float32(0.211), "zy": np.uint8(117),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", "x sx zx", "x.q"),
        node(op, "x.q w zx zw", "acc", "layer", **(PADS if conv else {})),
        node("Cast", "acc", "real", to=TensorProto.FLOAT),
        node("Mul", "f real", "scaled"),
        node("Add", "scaled b", "sum"),
        node("Relu", "sum", "r"),
        node("QuantizeLinear", "r sy zy", "y.q"),
        node("DequantizeLinear", "y.q sy zy", "y"),
    ]
    shape = [1, 4, 6, 5] if conv else [1, 120]
    kept = {name: np.asarray(value) for name, value in constants.items()}
    model = make_model(nodes, {"x": shape}, ["y"], kept)
    graph = run_passes(read_model(save(model, tmp_path)))
    assert ops(graph) == ["conv2d" if conv else "dense"]
    weights = graph.tensor("layer.weights").qparams
    assert weights is not None
    np.testing.assert_allclose(weights.scale, scale_w, rtol=1e-6)
    integers, _ = quantize_model(graph, None)
    x = np.random.default_rng(2).normal(0, 1.6, (SAMPLES, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    theirs = np.stack([session.run(None, {"x": sample})[0] for sample in x])
    q = integers.tensor("x").qparams
    assert q is not None
    codes = {"x": q.quantize(to_device(graph, "x", x)).astype(np.int8)}
    (output,) = integers.outputs
    ours = from_device(graph, output, run_int(integers, codes)[output].astype(np.int64))
    away = np.abs(ours - (np.rint(theirs / 0.211) + 117 - 128))
    assert len(np.unique(ours)) > 10
    assert away.max() <= 1
    assert (away > 0).mean() < 0.01


def test_products_of_codes_that_are_read_otherwise_are_refused(tmp_path: Path) -> None:
    constants = {"s": np.float32(0.1), "z": np.uint8(3), "w": W_DENSE, "f": np.float32(0.2)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("MatMulInteger", "q w z", "m", "layer"),
        node("Cast", "m", "c", to=TensorProto.FLOAT),
        node("Mul", "c f", "y"),
    ]
    kept = {name: np.asarray(value) for name, value in constants.items()}
    assert read_model(save(make_model(nodes, {"x": [1, 120]}, ["y"], kept), tmp_path))
    for place, name in ((1, "q w"), (3, "c c")):
        changed = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
        changed[place].input[:] = name.split()
        model = make_model(changed, {"x": [1, 120]}, ["y"], kept)
        with pytest.raises(UnsupportedError, match="'layer'"):
            read_model(save(model, tmp_path))


def test_scales_that_are_found_while_running_are_refused(tmp_path: Path) -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("MatMulInteger", "q w z", "m"),
        node("Cast", "m", "y", to=TensorProto.FLOAT),
    ]
    model = make_model(nodes, {"x": [1, 120]}, ["y"], {"w": W_DENSE})
    with pytest.raises(UnsupportedError, match="quantize_static"):
        read_model(save(model, tmp_path))
