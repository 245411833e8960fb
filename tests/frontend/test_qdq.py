"""Quantized files: scales are kept, stored codes come back exactly."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgecomp.errors import UnsupportedError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import Graph, QParams
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import (
    from_device,
    make_model,
    node,
    ops,
    run_graph,
    run_onnxruntime,
    save,
    to_device,
)

RNG = np.random.default_rng(11)
S1, S2, S3 = 0.05, 0.03, 0.11
Q = "QuantizeLinear"
D = "DequantizeLinear"


def scalar(value: float, dtype: type = np.float32) -> np.ndarray:
    return np.asarray(value, dtype)


def codes(*shape: int, low: int = -127, high: int = 127) -> np.ndarray:
    return RNG.integers(low, high + 1, shape).astype(np.int8 if low < 0 else np.uint8)


def pair(x: str, y: str, scale: str, zero: str) -> list[onnx.NodeProto]:
    return [node(Q, f"{x} {scale} {zero}", f"{y}_q"), node(D, f"{y}_q {scale} {zero}", y)]


def conv_model(zero_dtype: type = np.int8, *, per_channel: bool = True) -> onnx.ModelProto:
    """X -> Q -> DQ -> Conv (int8 weights, int32 bias) -> Relu -> Q -> DQ -> y."""
    low = 0 if zero_dtype is np.uint8 else -128
    scale_w = RNG.uniform(0.001, 0.01, 4 if per_channel else ()).astype(np.float32)
    constants = {
        "s1": scalar(S1), "z1": scalar(low + 100, zero_dtype),
        "s2": scalar(S2), "z2": scalar(low, zero_dtype),
        "w": codes(4, 3, 3, 3), "sw": scale_w, "zw": np.zeros_like(scale_w, np.int8),
        "b": RNG.integers(-9999, 9999, 4).astype(np.int32),
        "sb": np.broadcast_to(np.float32(S1) * scale_w, (4,)).astype(np.float32),
        "zb": np.zeros(4, np.int32),
    }  # fmt: skip
    axis = {"axis": 0} if per_channel else {}
    nodes = [
        *pair("x", "xd", "s1", "z1"),
        node(D, "w sw zw", "wd", **axis),
        node(D, "b sb zb", "bd", axis=0),
        node("Conv", "xd wd bd", "c", "conv", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        *pair("r", "y", "s2", "z2"),
    ]
    return make_model(nodes, {"x": [1, 3, 6, 5]}, ["y"], constants)


def passed(model: onnx.ModelProto, folder: Path) -> Graph:
    graph = run_passes(read_model(save(model, folder)))
    for tensor in graph.tensors.values():
        assert tensor.is_const or tensor.qparams is not None, f"{tensor.name} has no scale"
    return graph


def constants_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.mark.parametrize("zero_dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("per_channel", [True, False])
def test_stored_codes_and_scales_come_back(
    zero_dtype: type, per_channel: bool, tmp_path: Path
) -> None:
    model = conv_model(zero_dtype, per_channel=per_channel)
    file = constants_of(model)
    graph = passed(model, tmp_path)
    assert ops(graph) == ["conv2d"]
    x, weights, bias = graph.node_inputs(graph.nodes[0])
    assert x.qparams == QParams.per_tensor(S1, -28)
    assert graph.node_output(graph.nodes[0]).qparams == QParams.per_tensor(S2, -128)
    assert weights.qparams is not None
    assert weights.qparams.axis == (0 if per_channel else None)
    np.testing.assert_array_equal(
        weights.qparams.quantize(weights.value), file["w"].transpose(0, 2, 3, 1)
    )
    scales = float(np.float32(S1)) * np.asarray(weights.qparams.scale)
    np.testing.assert_array_equal(np.rint(bias.value / scales), file["b"])


def test_saturation_is_the_activation(tmp_path: Path) -> None:
    """Quantizers leave ReLU out where the zero point does it; the float graph must not."""
    model = conv_model()
    del model.graph.node[5]
    assert model.graph.node[5].op_type == Q
    model.graph.node[5].input[0] = "c"
    graph = passed(model, tmp_path)
    x = RNG.standard_normal((3, 1, 3, 6, 5)).astype(np.float32)
    ours = run_graph(graph, {"x": x})["y"]
    assert ours.min() == 0
    for sample in range(3):
        (theirs,) = run_onnxruntime(tmp_path / "net.onnx", {"x": x[sample]}, ["y"])
        # The input is rounded there: at most half a step through at most all weights.
        assert np.corrcoef(ours[sample].ravel(), theirs.ravel())[0, 1] > 0.999


def test_dense_weights_per_column(tmp_path: Path) -> None:
    w = codes(5, 5)
    scales = RNG.uniform(0.001, 0.01, 5).astype(np.float32)
    constants = {
        "s1": scalar(S1), "z1": scalar(0, np.int8), "s2": scalar(S2), "z2": scalar(3, np.int8),
        "w": w, "sw": scales, "zw": np.zeros(5, np.int8),
    }  # fmt: skip
    for axis, allowed in ((1, True), (0, False)):
        nodes = [
            *pair("x", "xd", "s1", "z1"),
            node(D, "w sw zw", "wd", axis=axis),
            node("MatMul", "xd wd", "c", "fc"),
            *pair("c", "y", "s2", "z2"),
        ]
        model = make_model(nodes, {"x": [1, 5]}, ["y"], constants)
        if not allowed:
            with pytest.raises(UnsupportedError, match="per output channel"):
                read_model(save(model, tmp_path))
            continue
        weights = passed(model, tmp_path).tensor("fc.weights")
        assert weights.qparams == QParams.per_channel(scales, 0)
        np.testing.assert_array_equal(weights.qparams.quantize(weights.value), w.T)


def test_flattened_map_keeps_the_codes_of_the_dense_layer(tmp_path: Path) -> None:
    w = codes(4 * 30, 7)
    model = conv_model()
    model.graph.output[0].name = "z"
    extra = {"v": w, "sv": scalar(0.01), "zv": scalar(0, np.int8), "s3": scalar(S3)}
    for name, value in extra.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    model.graph.node.extend(
        [
            node("Flatten", "y", "f"),
            node(D, "v sv zv", "vd"),
            node("MatMul", "f vd", "m", "fc"),
            *pair("m", "z", "s3", "zv"),
        ]
    )
    graph = passed(model, tmp_path)
    assert ops(graph) == ["conv2d", "reshape", "dense"]
    weights = graph.tensor(graph.nodes[2].inputs[1])
    assert weights.qparams is not None
    expected = w.T.reshape(7, 4, 6, 5).transpose(0, 2, 3, 1).reshape(7, -1)
    np.testing.assert_array_equal(weights.qparams.quantize(weights.value), expected)


@pytest.mark.parametrize(
    ("dtype", "zero", "low", "high"),
    [(np.uint8, 128, 1, 255), (np.uint8, 100, 0, 227), (np.int8, 5, -100, 100)],
)
def test_unsigned_and_shifted_weights_become_symmetric(
    dtype: type, zero: int, low: int, high: int, tmp_path: Path
) -> None:
    w = RNG.integers(low, high + 1, (5, 5)).astype(dtype)
    constants = {"w": w, "sw": scalar(0.01), "zw": scalar(zero, dtype)}
    nodes = [node(D, "w sw zw", "wd"), node("MatMul", "x wd", "y", "fc")]
    graph = read_model(save(make_model(nodes, {"x": [1, 5]}, ["y"], constants), tmp_path))
    weights = graph.tensor("fc.weights")
    assert weights.qparams == QParams.per_tensor(0.01, 0)
    np.testing.assert_array_equal(
        weights.qparams.quantize(weights.value), w.T.astype(np.int64) - zero
    )


@pytest.mark.parametrize("per_channel", [False, True])
def test_weights_of_nine_bits_are_rounded_where_they_must(
    per_channel: bool, tmp_path: Path
) -> None:
    """Channels within -128 to 127 of the zero point keep their codes."""
    w = np.arange(256, dtype=np.uint8).reshape(4, 64)
    constants = {"w": w, "sw": scalar(0.01), "zw": scalar(3, np.uint8)}
    if per_channel:
        constants = {"w": w, "sw": np.full(4, 0.01, np.float32), "zw": np.full(4, 3, np.uint8)}
    nodes = [node(D, "w sw zw", "wd", axis=0), node("Gemm", "x wd", "y", "fc", transB=1)]
    model = make_model(nodes, {"x": [1, 64]}, ["y"], constants)
    weights = run_passes(read_model(save(model, tmp_path))).tensor("fc.weights")
    assert weights.qparams is not None
    step = float(np.float32(0.01))
    np.testing.assert_allclose(
        weights.qparams.scale, [step, step, step * (191 - 3) / 127, step * (255 - 3) / 127], 1e-6
    )
    given = weights.qparams.quantize(weights.value)
    np.testing.assert_array_equal(given[:2], w[:2].astype(np.int64) - 3)
    away = np.abs(weights.qparams.dequantize(given) - weights.value)
    assert (away <= 0.5001 * np.asarray(weights.qparams.scale)[:, None]).all()


def test_weights_quantized_in_the_file_by_a_node(tmp_path: Path) -> None:
    real = RNG.standard_normal((5, 5)).astype(np.float32)
    constants = {"w": real, "sw": scalar(0.03), "zw": scalar(0, np.int8)}
    nodes = [*pair("w", "wd", "sw", "zw"), node("MatMul", "x wd", "y", "fc")]
    graph = read_model(save(make_model(nodes, {"x": [1, 5]}, ["y"], constants), tmp_path))
    weights = graph.tensor("fc.weights")
    assert weights.qparams == QParams.per_tensor(0.03, 0)
    expected = np.clip(np.rint(real / np.float32(0.03)), -128, 127)
    np.testing.assert_array_equal(weights.qparams.quantize(weights.value), expected.T)


def test_two_scales_in_a_row_need_a_rescaling(tmp_path: Path) -> None:
    constants = {"s1": scalar(S1), "s2": scalar(S2), "z": scalar(0, np.int8)}
    for second, count in (("s2", 1), ("s1", 0)):
        nodes = [
            *pair("x", "a", "s1", "z"),
            node("Transpose", "a", "t", perm=[0, 2, 1]),
            *pair("t", "b", second, "z"),
            node("Abs", "b", "c"),
            *pair("c", "y", "s2", "z"),
        ]
        graph = passed(make_model(nodes, {"x": [1, 4, 3]}, ["y"], constants), tmp_path)
        identities = [n for n in graph.nodes if n.op == "unary" and n.params.is_identity]
        assert len(identities) == count
        if count:
            assert graph.tensor(identities[0].inputs[0]).qparams == QParams.per_tensor(S1, 0)
            assert graph.node_output(identities[0]).qparams == QParams.per_tensor(S2, 0)


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT8])
def test_integer_inputs_and_outputs(kind: int, tmp_path: Path) -> None:
    dtype = np.int8 if kind == TensorProto.INT8 else np.uint8
    shift = 0 if dtype is np.int8 else 128
    constants = {"s1": scalar(S1), "s2": scalar(S2), "z": scalar(shift + 5, dtype)}
    nodes = [node(D, "x s1 z", "a"), node("Abs", "a", "b"), node(Q, "b s2 z", "y")]
    model = make_model(nodes, {"x": [1, 4]}, ["y"], constants, types={"x": kind, "y": kind})
    graph = passed(model, tmp_path)
    assert ops(graph) == ["unary"]
    assert graph.tensor(graph.inputs[0]).qparams == QParams.per_tensor(S1, 5)
    assert graph.tensor(graph.outputs[0]).qparams == QParams.per_tensor(S2, 5)
    assert list(graph.io_names.values()) == ["x", "y"]


def test_codes_that_are_moved_before_they_are_dequantized(tmp_path: Path) -> None:
    constants = {"s1": scalar(S1), "z": scalar(5, np.int8)}
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node(D, "t s1 z", "a"),
        node("Abs", "a", "b"),
        *pair("b", "y", "s1", "z"),
    ]
    model = make_model(nodes, {"x": [1, 4, 3]}, ["y"], constants, types={"x": TensorProto.INT8})
    assert passed(model, tmp_path).tensor("x").qparams == QParams.per_tensor(S1, 5)


def test_arithmetic_on_codes_is_refused(tmp_path: Path) -> None:
    constants = {"s1": scalar(S1), "z": scalar(5, np.int8)}
    nodes = [node("Abs", "x", "t", "on codes"), node(D, "t s1 z", "y")]
    model = make_model(nodes, {"x": [1, 4]}, ["y"], constants, types={"x": TensorProto.INT8})
    with pytest.raises(UnsupportedError, match=r"'on codes'.*'x' is integer"):
        read_model(save(model, tmp_path))


def test_different_parameters_on_both_sides_are_refused(tmp_path: Path) -> None:
    constants = {"s1": scalar(S1), "s2": scalar(S2), "z": scalar(0, np.int8)}
    nodes = [node(Q, "x s1 z", "q"), node(D, "q s2 z", "y", "dequantize")]
    with pytest.raises(UnsupportedError, match=r"'dequantize'.*differs"):
        read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"], constants), tmp_path))


def test_activations_per_channel_or_16_bits_are_refused(tmp_path: Path) -> None:
    constants = {"s": np.full(4, S1, np.float32), "z": np.zeros(4, np.int8)}
    nodes = [node(Q, "x s z", "q", "here", axis=1), node(D, "q s z", "y", axis=1)]
    with pytest.raises(UnsupportedError, match=r"'here'.*per tensor"):
        read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"], constants), tmp_path))
    constants = {"s": scalar(S1), "z": scalar(0, np.int16)}
    nodes = pair("x", "y", "s", "z")
    with pytest.raises(UnsupportedError, match="activations are int16"):
        read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"], constants, opset=21), tmp_path))


def test_quantizers_of_the_microsoft_domain(tmp_path: Path) -> None:
    constants = {"s": scalar(S1), "z": scalar(0, np.uint8)}
    nodes = pair("x", "y", "s", "z")
    for made in nodes:
        made.domain = "com.microsoft"
    graph = read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"], constants), tmp_path))
    assert graph.tensor("x").qparams == QParams.per_tensor(S1, -128)


def test_explicit_quantization_as_tensorrt_has_it(tmp_path: Path) -> None:
    """Symmetric quantizers before layers only, on real weights too; sums and ends have none."""
    w = [RNG.normal(0, 0.2, (4, 4, 3, 3)).astype(np.float32) for _ in range(2)]
    scales = [np.abs(v).max(axis=(1, 2, 3)) / np.float32(127) for v in w]
    constants: dict[str, np.ndarray] = {"z": scalar(0, np.int8), "zc": np.zeros(4, np.int8)}
    constants |= {"s0": scalar(S1), "s1": scalar(S2), "b": np.ones(4, np.float32)}
    nodes = []
    for i, (weights, scale) in enumerate(zip(w, scales, strict=True)):
        constants |= {f"w{i}": weights, f"sw{i}": scale}
        nodes += [
            node(Q, f"w{i} sw{i} zc", f"wq{i}", axis=0),
            node(D, f"wq{i} sw{i} zc", f"wd{i}", axis=0),
        ]
    nodes += [
        *pair("x", "xd", "s0", "z"),
        node("Conv", "xd wd0 b", "c0", "first", pads=[1, 1, 1, 1]),
        node("Relu", "c0", "r0"),
        *pair("r0", "rd", "s1", "z"),
        node("Conv", "rd wd1 b", "c1", "second", pads=[1, 1, 1, 1]),
        node("Add", "c1 x", "sum"),
        node("Relu", "sum", "y"),
    ]
    model = make_model(nodes, {"x": [1, 4, 6, 5]}, ["y"], constants)
    graph = run_passes(read_model(save(model, tmp_path)))
    assert ops(graph) == ["conv2d", "conv2d", "add"]
    x = RNG.normal(0, 1, (40, 1, 4, 6, 5)).astype(np.float32)
    integers, report = quantize_model(graph, {"x": to_device(graph, "x", x)})
    methods = {name: found.method for name, found in report.tensors.items()}
    assert [name for name, method in methods.items() if method == "preset"] == ["x", "r0"]
    assert len(methods) == 4
    for made, weights, scale in zip(integers.nodes[:2], w, scales, strict=True):
        codes = integers.node_inputs(made)[1]
        assert codes.qparams == QParams.per_channel(scale, 0)
        expected = np.clip(np.rint(weights / scale[:, None, None, None]), -128, 127)
        np.testing.assert_array_equal(codes.value, expected.transpose(0, 2, 3, 1))
    (output,) = integers.outputs
    out, q = integers.tensor(output).qparams, integers.tensor("x").qparams
    assert out is not None
    assert q is not None
    codes_in = {"x": q.quantize(to_device(graph, "x", x)).astype(np.int8)}
    ours = from_device(graph, output, out.dequantize(run_int(integers, codes_in)[output]))
    for sample, got in zip(x, ours, strict=True):
        (theirs,) = run_onnxruntime(tmp_path / "net.onnx", {"x": sample}, ["y"])
        # The sum is rounded here and not there, and so are its operands.
        inside = theirs < out.scalar * (127 - out.zero_point)
        assert np.abs(got - theirs)[inside].max() < 3 * max(out.scalar, S1)


def test_type_of_codes_as_an_attribute(tmp_path: Path) -> None:
    nodes = [node(Q, "x s", "q", output_dtype=TensorProto.INT8), node(D, "q s", "y")]
    model = make_model(nodes, {"x": [1, 4]}, ["y"], {"s": scalar(S1)}, opset=21)
    assert read_model(save(model, tmp_path)).tensor("x").qparams == QParams.per_tensor(S1, 0)
    nodes[1] = node(D, "q s z", "y")
    model = make_model(
        nodes, {"x": [1, 4]}, ["y"], {"s": scalar(S1), "z": scalar(0, np.int8)}, opset=21
    )
    graph = read_model(save(model, tmp_path))
    assert graph.tensor("x").qparams == QParams.per_tensor(S1, 0)


def float_run(model: onnx.ModelProto, folder: Path, numbers: np.ndarray) -> np.ndarray:
    """The real output for an input of codes or whole numbers, as the file's type has them."""
    graph = read_model(save(model, folder))
    (x,) = graph.inputs
    q = graph.tensor(x).qparams
    shift = 128 if numbers.dtype == np.uint8 else 0
    codes = numbers.astype(np.int64) - shift
    real = (codes + shift if q is None else q.dequantize(codes)).astype(np.float64)
    return run_graph(graph, {x: real[None]})["y"][0]


INPUTS = {
    "uint8": (TensorProto.UINT8, np.uint8, (), {}),
    "int8": (TensorProto.INT8, np.int8, (), {}),
    "uint16": (TensorProto.UINT16, np.uint16, (), {}),
    "int16": (TensorProto.INT16, np.int16, (), {}),
    "int32": (TensorProto.INT32, np.int32, (), {}),
    "per-axis": (TensorProto.UINT8, np.uint8, (6,), {"axis": 1}),
    "last-axis": (TensorProto.INT8, np.int8, (4,), {"axis": -1}),
    "16-bits-per-axis": (TensorProto.INT16, np.int16, (6,), {"axis": 1}),
    "blocks": (TensorProto.UINT8, np.uint8, (2, 2, 4), {"axis": 1, "block_size": 4}),
    "16-bits-by-blocks": (TensorProto.INT16, np.int16, (2, 6, 2), {"axis": 2, "block_size": 2}),
}
"""Element type of the input, shape of the scales, attributes."""


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("name", INPUTS)
def test_dequantized_inputs_are_onnxruntimes(name: str, zero: bool, tmp_path: Path) -> None:
    kind, dtype, scales, attrs = INPUTS[name]
    constants = {"s": RNG.uniform(0.01, 0.1, scales).astype(np.float32)}
    if zero:
        ends = (0, 1) if kind == TensorProto.INT32 else (1, 100)
        constants["z"] = np.asarray(RNG.integers(*ends, scales), dtype)
    layer = node(D, "x s z" if zero else "x s", "y", **attrs)
    model = make_model([layer], {"x": [2, 6, 4]}, ["y"], constants, opset=21, types={"x": kind})
    x = RNG.integers(0, 120, (2, 6, 4)).astype(dtype)
    ours = float_run(model, tmp_path, x)
    (theirs,) = run_onnxruntime(tmp_path / "net.onnx", {"x": x}, ["y"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_numbers_that_were_cast_are_no_codes(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "c", to=TensorProto.UINT8), node(D, "c s z", "y")]
    constants = {"s": scalar(0.5), "z": scalar(3, np.uint8)}
    model = make_model(nodes, {"x": [1, 4]}, ["y"], constants)
    ours = float_run(model, tmp_path, np.array([[7.0, 0.0, 250.0, 3.0]]))
    np.testing.assert_allclose(ours, [[2.0, -1.5, 123.5, 0.0]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_weights_quantized_by_blocks_are_real_weights(dtype: type, tmp_path: Path) -> None:
    low = 0 if dtype is np.uint8 else -127
    constants = {
        "w": codes(10, 5, low=low, high=127),
        "s": RNG.uniform(0.01, 0.1, (3, 5)).astype(np.float32),
        "z": np.full((3, 5), low + 20, dtype),
    }  # fmt: skip
    nodes = [node(D, "w s z", "v", axis=0, block_size=4), node("MatMul", "x v", "y")]
    model = make_model(nodes, {"x": [1, 10]}, ["y"], constants, opset=21)
    x = RNG.standard_normal((1, 10)).astype(np.float32)
    ours = run_graph(read_model(save(model, tmp_path)), {"x": x[None]})["y"][0]
    (theirs,) = run_onnxruntime(tmp_path / "net.onnx", {"x": x}, ["y"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_blocks_of_weights_between_quantized_activations(tmp_path: Path) -> None:
    """Their codes cannot stay: each output channel is rounded once more, to one scale."""
    constants = {
        "s1": scalar(S1), "z1": scalar(0, np.int8), "s2": scalar(S3), "z2": scalar(0, np.int8),
        "w": codes(10, 5), "s": RNG.uniform(0.002, 0.004, (3, 5)).astype(np.float32),
    }  # fmt: skip
    nodes = [
        *pair("x", "xd", "s1", "z1"),
        node(D, "w s", "v", axis=0, block_size=4),
        node("MatMul", "xd v", "m"),
        *pair("m", "y", "s2", "z2"),
    ]
    model = make_model(nodes, {"x": [1, 10]}, ["y"], constants, opset=21)
    graph = run_passes(read_model(save(model, tmp_path)))
    integers, _ = quantize_model(graph, None)
    x = RNG.uniform(-6, 6, (6, 1, 10)).astype(np.float32)
    q, out = integers.tensor("x").qparams, integers.tensor(integers.outputs[0]).qparams
    assert q is not None
    assert out is not None
    found = run_int(integers, {"x": q.quantize(x).astype(np.int8)})[integers.outputs[0]]
    for sample, got in zip(x, out.dequantize(found), strict=True):
        (theirs,) = run_onnxruntime(tmp_path / "net.onnx", {"x": sample}, ["y"])
        assert np.abs(got - theirs).max() <= 1.01 * out.scalar


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_scale_that_is_not_positive_is_refused(kind: int, tmp_path: Path) -> None:
    real = onnx.helper.tensor_dtype_to_np_dtype(kind)
    types = {"x": kind, "y": kind}
    for scale in (0.5, 0.0):
        constants = {"s": scalar(scale, real), "z": scalar(0, np.int8)}
        model = make_model(pair("x", "y", "s", "z"), {"x": [1, 4]}, ["y"], constants, opset=21,
                           types=types)  # fmt: skip
        path = save(model, tmp_path)
        if scale:
            assert read_model(path).tensor("x").qparams == QParams.per_tensor(scale, 0)
            continue
        with pytest.raises(UnsupportedError, match="not a positive number"):
            read_model(path)


def test_output_in_the_model_order(tmp_path: Path) -> None:
    graph = passed(conv_model(), tmp_path)
    (name,) = graph.outputs
    y = np.zeros((2, *graph.tensor(name).shape))
    assert from_device(graph, name, y).shape == (2, 1, 4, 6, 5)
