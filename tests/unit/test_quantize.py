"""Integer graphs: weights, biases, operands, and the whole way."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.interp import run_float, run_int
from edgecomp.ir import NO_CLAMP, DType, QParams
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.quant import METHODS, QuantizeOptions, calibrate, quantize, quantize_model
from tests.witness.networks import Network, samples_of


def small():
    net = Network()
    x = net.input(8, 8, 3)
    a = net.conv(x, 6)
    b = net.conv(a, 6, depthwise=True)
    c = net.add(net.conv(b, 6, kernel=1, clamp=NO_CLAMP), a)
    d = net.mul(c, net.const(net.rng.uniform(0.2, 1, (1, 1, 1, 6))))
    return net.graph(net.dense(net.flatten(net.average_pool(d)), 10))


def sqnr_db(graph, integers, seed=5):
    samples = samples_of(graph, 64, seed)
    codes = {n: integers.tensors[n].qparams.quantize(x).astype(np.int8) for n, x in samples.items()}
    name = graph.outputs[0]
    real = run_float(graph, samples)[name]
    got = integers.tensors[name].qparams.dequantize(run_int(integers, codes)[name])
    return 10 * np.log10((real**2).sum() / ((got - real) ** 2).sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_integers_follow_the_real_network(method, symmetric):
    graph = small()
    options = QuantizeOptions(calibration=method, symmetric=symmetric)
    integers, report = quantize_model(graph, samples_of(graph, 64), options)
    verify(integers, OPS)
    assert integers.is_quantized
    assert report.samples == 64
    assert sqnr_db(graph, integers) > 25
    zero_points = {t.qparams.zero_point for t in integers.tensors.values()}
    assert (zero_points == {0}) == symmetric


def test_layouts_of_the_constants():
    graph = small()
    integers, _ = quantize_model(graph, samples_of(graph))
    for node in integers.nodes:
        if node.op not in {"conv2d", "dense"}:
            continue
        x, weights, bias = integers.node_inputs(node)
        assert weights.dtype is DType.INT8
        assert weights.value.dtype == np.int8
        assert weights.qparams.axis == 0
        assert weights.qparams.zero_point == 0
        largest = np.abs(weights.value.astype(int)).reshape(len(weights.value), -1).max(1)
        assert (largest == 127).all()
        real = graph.tensors[weights.name].value
        step = weights.qparams.scales(real.ndim)
        error = np.abs(weights.qparams.dequantize(weights.value) - real)
        assert (error <= step / 2 * (1 + 1e-6)).all()
        assert bias.dtype is DType.INT32
        exact = x.qparams.scalar * np.asarray(weights.qparams.scale)
        assert np.array_equal(bias.value, np.rint(graph.tensors[bias.name].value / exact))
        assert np.allclose(bias.qparams.scale, exact, rtol=1e-7)
    operand = next(t for t in integers.tensors.values() if t.is_const and len(t.shape) == 4
                   and t.shape[:3] == (1, 1, 1))  # fmt: skip
    assert operand.dtype is DType.INT8
    assert operand.qparams.axis is None


def test_integers_that_came_with_the_model_are_recovered():
    rng = np.random.default_rng(3)
    net = Network()
    x = net.input(6, 6, 2)
    out = net.conv(x, 4, clamp=NO_CLAMP)
    codes = rng.integers(-128, 128, (4, 3, 3, 2)).astype(np.int8)
    q = QParams.per_channel(rng.uniform(1e-4, 1e-1, 4), 0)
    bias_codes = rng.integers(-50_000, 50_000, 4)
    given = QParams.per_tensor(0.043, -9)
    graph = net.graph(out)
    weights, bias = graph.nodes[0].inputs[1:]
    tensors = dict(graph.tensors)
    tensors[weights] = tensors[weights].with_data(q.dequantize(codes).astype(np.float32), qparams=q)
    tensors[bias] = tensors[bias].with_data(
        (bias_codes * given.scalar * np.asarray(q.scale)).astype(np.float32)
    )
    tensors[x] = replace(tensors[x], qparams=given)
    tensors[out] = replace(tensors[out], qparams=QParams.per_tensor(0.2, 11))
    integers, report = quantize_model(graph.replace(tensors=tensors), None)
    assert np.array_equal(integers.tensors[weights].value, codes)
    assert integers.tensors[weights].qparams == q
    assert np.array_equal(integers.tensors[bias].value, bias_codes)
    assert integers.tensors[x].qparams == given
    assert {c.method for c in report.tensors.values()} == {"preset"}


def test_layers_that_share_weights_get_their_own_codes():
    net = Network()
    x = net.input(6)
    a = net.dense(x, 6)
    shared = net.nodes[-1].inputs[1:]
    b = net.node("dense", net.nodes[-1].params, net.unary(a, "exp"), *shared)
    graph = net.graph(b)
    integers, _ = quantize_model(graph, samples_of(graph))
    first, last = integers.nodes[0], integers.nodes[-1]
    assert first.inputs[1] != last.inputs[1]
    assert sqnr_db(graph, integers) > 25


def test_layers_without_bias_and_with_slopes():
    from edgecomp.ops.prelu import PReluParams

    net = Network()
    a = net.conv(net.input(6, 6, 3), 4, bias=False, clamp=NO_CLAMP)
    out = net.node("prelu", PReluParams(), a, net.const([0.1, 0.2, -0.3, 2.0]))
    graph = net.graph(out)
    integers, _ = quantize_model(graph, samples_of(graph))
    assert len(integers.nodes[0].inputs) == 2
    slopes = integers.tensors[integers.nodes[1].inputs[1]]
    assert slopes.dtype is DType.FLOAT32
    assert sqnr_db(graph, integers) > 25


def test_samples_are_asked_for_where_they_are_needed():
    graph = small()
    with pytest.raises(UserError, match="--data"):
        quantize_model(graph, None)


def test_one_scale_for_dense_weights_under_tflite():
    graph = small()
    samples = samples_of(graph)
    integers, _ = quantize_model(graph, samples, QuantizeOptions(numerics="tflite"))
    for node in integers.nodes:
        linear = node.op in {"conv2d", "dense"}
        assert node.numerics == "tflite"
        if linear:
            q = integers.tensors[node.inputs[1]].qparams
            assert (q.axis is None) == (node.op == "dense")
    assert sqnr_db(graph, integers) > 25


def test_numerics_differ_by_one_code_at_most_in_one_layer():
    net = Network()
    graph = net.graph(net.conv(net.input(9, 9, 8), 16, clamp=NO_CLAMP))
    qparams = calibrate(graph, samples_of(graph))
    codes = {"in0": np.random.default_rng(0).integers(-128, 128, (8, 1, 9, 9, 8)).astype(np.int8)}
    own = run_int(quantize(graph, qparams), codes)[graph.outputs[0]].astype(int)
    other = run_int(quantize(graph, qparams, numerics="tflite"), codes)[graph.outputs[0]]
    assert np.abs(own - other).max() <= 1
    assert 0 < np.mean(own != other) < 0.006
