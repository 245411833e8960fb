"""Calibration: ranges, methods, shared parameters, fixed parameters, floors."""

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.fixedpoint import PRECISE_MULTIPLIER
from edgecomp.interp import run_float
from edgecomp.ir import NO_CLAMP, Graph, Node, QParams, Tensor
from edgecomp.ops.embedding import EmbeddingParams
from edgecomp.quant import METHODS, calibrate, insert_rescales, observe_and_choose, quantize
from edgecomp.quant.observe import CHUNK_BYTES, Histogram, observe_histograms, observe_ranges
from edgecomp.quant.ranges import choose_range, range_qparams, squared_error
from edgecomp.quant.sharing import share_groups
from edgecomp.requant import prepare_node
from tests.witness.networks import Network, samples_of


def histogram_of(values, bins=2048):
    values = np.asarray(values)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    counts, _ = np.histogram(values[values != 0], bins, (low, high))
    return Histogram(low, high, counts, int((values == 0).sum()))


@pytest.mark.parametrize(
    ("low", "high", "zero_point"), [(0, 5, -128), (-5, 0, 127), (-1, 1, 0), (2, 5, -128)]
)
def test_the_range_includes_zero_exactly(low, high, zero_point):
    q = range_qparams(low, high)
    assert q.zero_point == zero_point
    assert np.float32(q.scalar) == q.scalar
    assert q.dequantize(np.array(q.zero_point)) == 0
    ends = q.dequantize(np.array([-128, 127]))
    assert ends[0] <= min(low, 0) + q.scalar
    assert ends[1] >= max(high, 0) - q.scalar


def test_symmetric_ranges_have_zero_point_zero():
    q = range_qparams(-1, 3, symmetric=True)
    assert q.zero_point == 0
    assert q.scalar == np.float32(3 / 127)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 1e-42), (-1e-40, 0)])
def test_ranges_of_no_width_have_a_usable_scale(low, high):
    for symmetric in (False, True):
        q = range_qparams(low, high, symmetric=symmetric)
        assert np.isfinite(q.scalar)
        assert q.scalar > 1e-30


def test_the_error_is_that_of_quantizing_the_values():
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    histogram = histogram_of(values)
    for q in (range_qparams(-4, 4), range_qparams(-1, 1.5)):
        exact = np.mean((q.dequantize(q.quantize(values)) - values) ** 2)
        assert squared_error(histogram, q) == pytest.approx(exact, rel=0.02)


def test_methods_on_values_with_a_far_outlier():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 100_000), [60.0]])
    histogram = histogram_of(values)
    ranges = {m: choose_range(histogram, m, symmetric=False)[1] for m in METHODS}
    assert ranges["minmax"] == (histogram.low, histogram.high)
    for method in ("percentile", "entropy"):
        assert 2.5 < ranges[method][1] < 10
        assert -10 < ranges[method][0] < -2.5
    errors = {m: squared_error(histogram, range_qparams(*ranges[m])) for m in METHODS}
    # One value in 100,000 that is clipped by 55 costs more than steps of a quarter everywhere.
    assert 40 < ranges["mse"][1] < 60
    assert errors["mse"] < 0.9 * errors["minmax"] < 0.5 * errors["percentile"]
    assert errors["auto"] == min(errors.values())


def test_percentile_leaves_out_one_in_ten_thousand():
    histogram = histogram_of(np.linspace(0, 1, 1_000_001))
    low, high = choose_range(histogram, "percentile", symmetric=False)[1]
    assert low == 0
    assert high == pytest.approx(0.9999, abs=1 / 2048)


def test_zeros_have_no_weight_in_the_choice():
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(0, 1, 10_000), 0)
    with_zeros, without = histogram_of(values), histogram_of(values[values > 0])
    assert with_zeros.zeros > 4000
    for method in ("mse", "entropy"):
        assert (
            choose_range(with_zeros, method, symmetric=False)[1]
            == choose_range(without, method, symmetric=False)[1]
        )


def test_histograms_count_every_value_in_chunks(monkeypatch):
    net = Network()
    out = net.unary(net.input(50), "tanh")
    graph = net.graph(out)
    samples = samples_of(graph, 37)
    ranges = observe_ranges(graph, samples, ["in0", out])
    whole = observe_histograms(graph, samples, ranges)
    monkeypatch.setattr("edgecomp.quant.observe.CHUNK_BYTES", 1)
    assert CHUNK_BYTES > 1
    single = observe_histograms(graph, samples, observe_ranges(graph, samples, ["in0", out]))
    for name in ("in0", out):
        assert whole[name].total == 37 * 50
        assert np.array_equal(whole[name].counts, single[name].counts)
    assert ranges["in0"] == (samples["in0"].min(), samples["in0"].max())


def residual_network():
    net = Network()
    x = net.input(8, 8, 3)
    a = net.conv(x, 4)
    p = net.max_pool(a)
    b = net.conv(x, 6, stride=2)
    joined = net.concat(p, b)
    return net.graph(net.dense(net.flatten(joined), 5)), (a, p, b, joined)


def test_moved_codes_share_their_parameters():
    graph, names = residual_network()
    qparams = calibrate(graph, samples_of(graph))
    assert len({qparams[name] for name in names}) == 1
    assert set(qparams) == {n for n, t in graph.tensors.items() if not t.is_const}
    group = next(g for g in share_groups(graph) if names[0] in g.members)
    assert set(group.sources) == {names[0], names[2]}


def test_the_value_of_a_padding_is_in_range():
    net = Network()
    x = net.input(4, 4, 2)
    padded = net.pad(net.unary(x, "sigmoid"), -7.0)
    qparams = calibrate(net.graph(padded), samples_of(net.graph(padded)), "mse")
    low = qparams[padded].dequantize(np.array(-128))
    assert low <= -7.0 + qparams[padded].scalar


def test_known_intervals_need_no_samples():
    net = Network()
    x = net.input(6)
    outputs = net.unary(x, "sigmoid"), net.unary(x, "tanh"), net.softmax(x)
    graph = net.graph(*outputs)
    samples = samples_of(graph)
    q = calibrate(graph, samples)
    assert q[outputs[0]] == q[outputs[2]] == QParams.per_tensor(1 / 256, -128)
    assert q[outputs[1]] == QParams.per_tensor(1 / 128, 0)
    symmetric = calibrate(graph, samples, symmetric=True)
    assert {p.zero_point for p in symmetric.values()} == {0}
    methods = {n: c.method for n, c in observe_and_choose(graph, samples).items()}
    assert methods[outputs[0]] == "fixed"


def test_a_fixed_interval_gives_way_in_a_group():
    net = Network()
    x = net.input(6)
    joined = net.concat(net.unary(x, "sigmoid"), net.unary(x, "exp"))
    q = calibrate(net.graph(joined), samples_of(net.graph(joined)))[joined]
    assert q.dequantize(np.array(127)) > 2


def preset(graph, **qparams):
    from dataclasses import replace

    tensors = {
        name: replace(t, qparams=qparams.get(name, t.qparams)) for name, t in graph.tensors.items()
    }
    return graph.replace(tensors=tensors)


def test_given_parameters_are_kept_and_spread():
    net = Network()
    x = net.input(4, 4, 2)
    flat = net.flatten(net.max_pool(x))
    given = QParams.per_tensor(0.25, 3)
    graph = preset(net.graph(flat), **{x: given})
    assert insert_rescales(graph) == graph
    assert set(calibrate(graph, {}).values()) == {given}


def test_conflicts_are_rescaled():
    net = Network()
    a, b = net.input(6), net.input(4)
    joined = net.concat(a, b)
    fine, coarse = QParams.per_tensor(0.01, 3), QParams.per_tensor(0.02, -5)
    graph = insert_rescales(preset(net.graph(joined), **{a: fine, b: coarse}))
    assert [node.op for node in graph.nodes] == ["unary", "concat"]
    q = calibrate(graph, {})
    assert q[a] == fine
    assert q[joined] == q[b] == q[graph.nodes[0].output] == coarse
    forced = QParams.per_tensor(0.05, 0)
    graph = insert_rescales(preset(net.graph(joined), **{a: fine, b: coarse, joined: forced}))
    assert [node.op for node in graph.nodes] == ["unary", "unary", "concat"]
    samples = samples_of(graph)
    again = run_float(graph, samples)[joined]
    assert np.array_equal(again, np.concatenate([samples[a], samples[b]], axis=-1))


def test_an_output_that_is_silent_in_calibration_cannot_overflow():
    net = Network()
    x = net.input(6, 6, 3)
    a = net.conv(x, 4)
    graph = net.graph(net.conv(a, 4, clamp=NO_CLAMP))
    net.tensors[net.nodes[0].inputs[2]].value[:] = -50.0
    samples = samples_of(graph)
    assert not run_float(graph, samples, keep=True)[a].any()
    for method in METHODS:
        quantize(graph, calibrate(graph, samples, method))


def test_scales_far_apart_do_not_overflow():
    net = Network()
    x = net.input(4, 4, 2)
    tiny = net.unary(x, "mul", 1e-12)
    big = net.unary(x, "mul", 1e12)
    outputs = [net.add(tiny, big), net.mul(tiny, tiny), net.sub(tiny, tiny), net.mul(big, tiny)]
    zero = net.unary(x, "mul", 0.0)
    outputs += [net.add(big, zero), net.mul(zero, big), net.average_pool(zero)]
    graph = net.graph(*outputs)
    quantize(graph, calibrate(graph, samples_of(graph)))


def test_dying_channels_keep_their_multipliers_and_their_bias():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [0, 3], value=-2.0)
    net.kill(a, [1], value=0.3)
    graph = net.graph(net.conv(a, 3, clamp=NO_CLAMP))
    integers = quantize(graph, calibrate(graph, samples_of(graph)))
    node = integers.nodes[0]
    constants = prepare_node(node, integers.node_inputs(node), integers.node_output(node))
    assert (constants.multiplier >= PRECISE_MULTIPLIER).all()
    real = integers.tensors[node.inputs[2]]
    assert real.qparams.dequantize(real.value) == pytest.approx(
        graph.tensors[node.inputs[2]].value, abs=1e-3
    )


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ({}, "no samples for input 'in0'"),
        ({"in0": np.zeros((3, 1, 4, 4, 3), np.float32)}, "the network wants"),
        ({"in0": np.zeros((0, 1, 4, 4, 2), np.float32)}, "at least one"),
        ({"in0": np.full((2, 1, 4, 4, 2), np.nan, np.float32)}, "not finite"),
    ],
)
def test_unusable_samples(samples, says):
    net = Network()
    graph = net.graph(net.conv(net.input(4, 4, 2), 2))
    with pytest.raises(UserError, match=says):
        calibrate(graph, samples)


def test_unknown_method():
    net = Network()
    with pytest.raises(UserError, match="choose from auto, minmax"):
        calibrate(net.graph(net.unary(net.input(3), "exp")), {}, "median")


@pytest.mark.parametrize(
    ("rows", "zero_point"),
    [
        ([[-1.0, 3.0, 0.0], [0.0, 0.0, 2.0]], 0),
        ([[-1.0, 3.0, 0.5], [0.0, 1.0, 2.0]], -64),
        ([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]], -128),
    ],
)
def test_zeros_of_a_sparse_table_are_the_code_0(rows, zero_point):
    table = np.array(rows, np.float32)
    tensors = {
        "x": Tensor("x", (1, 4)),
        "table": Tensor("table", table.shape, data=table),
        "y": Tensor("y", (1, 4, 3)),
    }
    node = Node("rows", "embedding", ("x", "table"), "y", EmbeddingParams())
    graph = Graph("rows", ("x",), ("y",), (node,), tensors)
    samples = {"x": np.zeros((2, 1, 4), np.float32)}
    assert calibrate(graph, samples)["y"].zero_point == zero_point
