"""Equalization keeps the function; bias correction takes the mean error away."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.interp import run_float, run_int
from edgecomp.ir import NO_CLAMP, Clamp, QParams
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.quant import QuantizeOptions, calibrate, quantize, quantize_model
from edgecomp.quant.bias_correction import correct_biases
from edgecomp.quant.equalize import balancing_factors, equalize
from edgecomp.quant.observe import observe_channels
from tests.witness.networks import Network, samples_of


def uneven_network(clamp=None):
    """A depthwise separable network whose channels lie a factor of 100 apart."""
    net = Network(4)
    x = net.input(8, 8, 3)
    extra = {} if clamp is None else {"clamp": clamp}
    a = net.conv(x, 8, **extra)
    b = net.conv(a, 8, depthwise=True, **extra)
    c = net.conv(b, 8, kernel=1, **extra)
    out = net.dense(net.flatten(net.average_pool(c, 8)), 10)
    spread = np.geomspace(0.01, 1.0, 8).astype(np.float32)
    for maker, reader in ((a, b), (b, c)):
        first, second = (
            next(node for node in net.nodes if node.output == name) for name in (maker, reader)
        )
        for name in first.inputs[1:]:
            values = net.tensors[name].value
            values *= spread.reshape(-1, *(1,) * (values.ndim - 1))
        weights = net.tensors[second.inputs[1]].value
        depthwise = weights.shape[-1] == 1
        weights /= spread.reshape(-1, 1, 1, 1) if depthwise else spread
    return net.graph(out), (a, b, c)


def sqnr_db(graph, options):
    integers, report = quantize_model(graph, samples_of(graph, 64), options)
    verify(integers, OPS)
    samples = samples_of(graph, 64, seed=9)
    codes = {n: integers.tensors[n].qparams.quantize(x).astype(np.int8) for n, x in samples.items()}
    (name,) = graph.outputs
    real = run_float(graph, samples)[name]
    got = integers.tensors[name].qparams.dequantize(run_int(integers, codes)[name])
    return 10 * np.log10((real**2).sum() / ((got - real) ** 2).sum()), report


def test_the_real_function_is_kept():
    graph, _ = uneven_network()
    balanced, names = equalize(graph, samples_of(graph))
    assert len(names) == 2
    samples = samples_of(graph, 16, seed=3)
    (name,) = graph.outputs
    before, after = run_float(graph, samples)[name], run_float(balanced, samples)[name]
    assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()
    assert not np.array_equal(before, after)


def test_channels_come_closer():
    graph, (a, b, _) = uneven_network()
    samples = samples_of(graph)
    balanced, _ = equalize(graph, samples)
    before, after = (observe_channels(g, samples, [a, b]) for g in (graph, balanced))
    for name in (a, b):
        spreads = [seen[name].max() / seen[name].min() for seen in (before, after)]
        assert spreads[0] > 20
        assert spreads[1] < spreads[0] / 4
        assert after[name].max() < 2 * before[name].max()


def test_uneven_channels_gain_precision():
    graph, _ = uneven_network()
    without, _ = sqnr_db(graph, QuantizeOptions())
    balanced, report = sqnr_db(graph, QuantizeOptions(equalize=True))
    assert balanced > without + 6
    assert len(report.equalized) == 2


def test_errors_are_measured_against_the_balanced_network():
    graph, (a, b, _) = uneven_network()
    samples = samples_of(graph, 64)
    integers, report = quantize_model(graph, samples, QuantizeOptions(equalize=True))
    codes = {n: integers.tensors[n].qparams.quantize(x).astype(np.int8) for n, x in samples.items()}
    values = run_int(integers, codes, keep=True)
    for reference, near in ((report.reference, True), (graph, False)):
        real = run_float(reference, samples, keep=True)
        for name in (a, b):
            error = integers.tensors[name].qparams.dequantize(values[name]) - real[name]
            assert (np.abs(error).max() < 0.1 * np.abs(real[name]).max()) == near


def test_relu6_and_other_readers_prevent_it():
    graph, _ = uneven_network(clamp=Clamp(0.0, 6.0))
    assert equalize(graph, samples_of(graph)) == (graph, ())
    graph, (a, b, _) = uneven_network()
    seen = graph.replace(outputs=(*graph.outputs, a, b))
    assert equalize(seen, samples_of(seen))[1] == ()


def test_layers_with_given_scales_stay():
    graph, (a, _, _) = uneven_network()
    weights = graph.nodes[0].inputs[1]
    tensors = dict(graph.tensors)
    tensors[weights] = replace(tensors[weights], qparams=QParams.per_channel(np.ones(8), 0))
    _, names = equalize(graph.replace(tensors=tensors), samples_of(graph))
    assert names == (graph.producers()[graph.nodes[1].output].name,)
    assert a not in names


def test_dead_channels_get_the_factor_one():
    factor = balancing_factors(np.array([4.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0]))
    assert factor.tolist() == [1.0, 1.0, 1.0]
    factor = balancing_factors(np.array([4.0, 1.0]), None)
    assert factor.tolist() == [1.0, 0.25]
    assert balancing_factors(np.zeros(2), np.ones(2)).tolist() == [1.0, 1.0]


def mean_errors(graph, integers, samples):
    codes = {n: integers.tensors[n].qparams.quantize(x).astype(np.int8) for n, x in samples.items()}
    (name,) = graph.outputs
    got = integers.tensors[name].qparams.dequantize(run_int(integers, codes)[name])
    return np.abs((got - run_float(graph, samples)[name]).reshape(-1, got.shape[-1]).mean(axis=0))


@pytest.mark.parametrize("bias", [True, False])
def test_the_mean_error_falls(bias):
    net = Network(2)
    x = net.input(8, 8, 4)
    y = net.conv(x, 8, bias=bias)
    out = net.conv(net.conv(y, 8, bias=bias), 6, clamp=NO_CLAMP, bias=bias)
    graph = net.graph(out)
    samples = samples_of(graph, 64)
    # Coarse weights make the errors that there are to be corrected.
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        weights = tensors[node.inputs[1]]
        step = np.abs(weights.value).max() / 7
        data = np.floor(weights.value / step) * step
        tensors[node.inputs[1]] = weights.with_data(data.astype(np.float32))
    coarse = graph.replace(tensors=tensors)
    integers = quantize(coarse, calibrate(graph, samples))
    corrected = correct_biases(graph, integers, samples)
    verify(corrected, OPS)
    before, after = (mean_errors(graph, g, samples) for g in (integers, corrected))
    assert after.max() < 0.2 * before.max()
    fresh = samples_of(graph, 64, seed=77)
    before, after = (mean_errors(graph, g, fresh) for g in (integers, corrected))
    assert after.max() < 0.3 * before.max()


def test_correction_is_an_option():
    graph, _ = uneven_network()
    without, _ = sqnr_db(graph, QuantizeOptions())
    corrected, _ = sqnr_db(graph, QuantizeOptions(bias_correction=True))
    assert corrected != without
