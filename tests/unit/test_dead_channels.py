"""The dead-channel pass: nothing changes but the size."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.ir import NO_CLAMP
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.ops.prelu import PReluParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.passes.code_intervals import code_intervals
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.witness.networks import RELU, Network, random_codes, samples_of


def quantized(graph, **options):
    return quantize_model(graph, samples_of(graph), **options)[0]


def assert_same_codes(before, after):
    codes = random_codes(before)
    verify(after, OPS)
    expected, got = run_int(before, codes), run_int(after, codes)
    for name in before.outputs:
        assert np.array_equal(expected[name], got[name])
        assert len(np.unique(expected[name])) >= 10


def shrink(graph):
    before = quantized(graph)
    after, report = remove_dead_channels(before)
    assert_same_codes(before, after)
    return after, report


def test_constant_zero_goes_through_padding_and_depthwise():
    net = Network()
    a = net.conv(net.input(8, 8, 3), 8)
    net.kill(a, [1, 4, 5])
    b = net.conv(a, 8, depthwise=True, stride=2)
    net.kill(b, [6], value=-3.0)
    after, report = shrink(net.graph(net.conv(b, 4, kernel=1, clamp=NO_CLAMP)))
    # The depthwise layer may make something of a zero: only where it does not, both go.
    assert report.channels[b] == report.channels[a] >= 1
    assert 6 not in range(after.tensors[a].shape[-1])
    depthwise = after.producers()[b]
    assert depthwise.params.groups == after.tensors[a].shape[-1]


def test_a_channel_that_relu_never_lets_through_disappears_with_its_depthwise_filter():
    net = Network()
    a = net.conv(net.input(8, 8, 3), 8)
    net.kill(a, [1, 4, 5])
    b = net.conv(a, 8, depthwise=True)
    net.tensors[net.nodes[-1].inputs[2]].value[[1, 4, 5]] = -1.0
    _, report = shrink(net.graph(net.conv(b, 4, kernel=1, clamp=NO_CLAMP)))
    assert report.channels == {a: 3, b: 3}
    assert report.macs_after < report.macs_before
    saved = 3 * (27 + 4) + 3 * (9 + 4) + 3 * 4
    assert report.weights_bytes_before - report.weights_bytes_after == saved


def test_a_constant_that_is_not_zero_is_folded_into_the_next_bias():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [0, 3], value=0.7)
    out = net.conv(a, 5, pad=0, clamp=NO_CLAMP, bias=False)
    before = quantized(net.graph(out))
    after, report = remove_dead_channels(before)
    assert_same_codes(before, after)
    assert report.channels == {a: 2}
    assert len(after.producers()[out].inputs) == 3


def test_a_constant_that_is_not_zero_stays_before_padding():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [0, 3], value=0.7)
    _, report = shrink(net.graph(net.conv(a, 5, pad=1, clamp=NO_CLAMP)))
    assert report.channels == {}


def test_an_unread_channel_goes_although_it_varies():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    b = net.conv(a, 6, depthwise=True)
    c = net.conv(b, 5, clamp=NO_CLAMP)
    net.ignore(c, [2, 5])
    _, report = shrink(net.graph(c))
    assert report.channels == {a: 2, b: 2}


def test_removal_goes_upstream_through_several_layers():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    b = net.conv(a, 4)
    net.kill(b, [1])
    net.ignore(b, [0])
    # Channel 0 of `a` is read by the dead channel of `b` alone.
    maker = next(n for n in net.nodes if n.output == b)
    net.tensors[maker.inputs[1]].value[1, 1, 1, 0] = 1e-30
    _, report = shrink(net.graph(net.conv(b, 5, clamp=NO_CLAMP)))
    assert report.channels == {a: 1, b: 1}


def test_a_sum_loses_a_channel_only_if_both_operands_do():
    net = Network()
    x = net.input(6, 6, 3)
    a, b = net.conv(x, 6), net.conv(x, 6)
    net.kill(a, [0, 1])
    net.kill(b, [1, 2])
    s = net.add(a, b)
    out = net.conv(s, 5, clamp=NO_CLAMP)
    _, report = shrink(net.graph(out))
    assert report.channels == {a: 1, b: 1, s: 1}


def test_an_operand_that_is_read_elsewhere_keeps_the_sum_whole():
    net = Network()
    x = net.input(6, 6, 3)
    a = net.conv(x, 4)
    b = net.conv(a, 4)
    net.kill(b, [1])
    s = net.add(a, b)
    _, report = shrink(net.graph(net.conv(s, 5, clamp=NO_CLAMP)))
    assert report.channels == {}


@pytest.mark.parametrize("clamp", [RELU, NO_CLAMP])
def test_tables_pools_and_flattening(clamp):
    net = Network()
    a = net.conv(net.input(8, 8, 3), 6, clamp=clamp)
    net.kill(a, [1, 3], value=-0.5)
    b = net.max_pool(net.unary(a, "hard_swish"))
    c = net.average_pool(b)
    flat = net.flatten(c)
    _, report = shrink(net.graph(net.dense(flat, 12)))
    assert report.channels[a] == report.channels[b] == report.channels[c] == 2
    assert report.channels[flat] == 2 * 4


def test_concat_keeps_its_parts_apart():
    net = Network()
    x = net.input(6, 6, 3)
    a, b = net.conv(x, 4), net.conv(x, 5)
    net.kill(a, [3])
    net.kill(b, [0, 4])
    joined = net.concat(a, b)
    _, report = shrink(net.graph(net.conv(joined, 4, clamp=NO_CLAMP)))
    assert report.channels == {a: 1, b: 2, joined: 3}


def test_constant_operands_and_slopes_are_sliced():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [2])
    scale = net.const(net.rng.uniform(0.5, 1, (1, 1, 1, 6)))
    m = net.mul(a, scale)
    p = net.node("prelu", PReluParams(), m, net.const(np.linspace(-1, 1, 6)))
    _, report = shrink(net.graph(net.conv(p, 4, clamp=NO_CLAMP)))
    assert report.channels == {a: 1, m: 1, p: 1}


def test_mean_over_height_and_width():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [2])
    mean = net.node("reduce_mean", ReduceMeanParams((1, 2), keepdims=False), a)
    _, report = shrink(net.graph(net.dense(mean, 40)))
    assert report.channels == {a: 1, mean: 1}


def test_outputs_keep_their_channels_and_something_always_stays():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 4)
    net.kill(a, [0, 1, 2, 3])
    b = net.conv(a, 4, clamp=NO_CLAMP)
    graph = quantized(net.graph(b, a))
    after, report = remove_dead_channels(graph)
    assert report.channels == {}
    graph = quantized(net.graph(b))
    after, report = remove_dead_channels(graph)
    assert report.channels == {a: 3}
    codes = random_codes(graph)
    assert np.array_equal(run_int(graph, codes)[b], run_int(after, codes)[b])


def test_channels_under_a_softmax_stay():
    net = Network()
    a = net.dense(net.input(12), 6)
    net.kill(a, [2])
    _, report = shrink(net.graph(net.dense(net.softmax(a), 20)))
    assert report.channels == {}


def test_the_tflite_numerics_are_kept():
    net = Network()
    a = net.conv(net.input(6, 6, 3), 6)
    net.kill(a, [0, 3])
    graph = quantized(
        net.graph(net.conv(a, 5, clamp=NO_CLAMP)), options=QuantizeOptions(numerics="tflite")
    )
    after, report = remove_dead_channels(graph)
    assert report.channels == {a: 2}
    assert {node.numerics for node in after.nodes} == {"tflite"}
    assert_same_codes(graph, after)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_keep_their_codes(seed):
    rng = np.random.default_rng(seed)
    net = Network(seed)
    x = net.input(8, 8, 3)
    pool = [net.conv(x, 8)]
    for _ in range(6):
        kind = rng.integers(6)
        source = pool[rng.integers(len(pool))]
        if kind == 0:
            made = net.conv(source, 8, kernel=int(rng.choice([1, 3])))
        elif kind == 1:
            made = net.conv(source, 8, depthwise=True)
        elif kind == 2:
            made = net.add(source, pool[-1])
        elif kind == 3:
            made = net.unary(source, "sigmoid")
        elif kind == 4:
            made = net.mul(source, pool[-1])
        else:
            made = net.sub(source, pool[-1])
        if kind < 2:
            net.kill(made, rng.permutation(8)[:3], value=float(rng.choice([-1.0, 0.0, 0.5])))
            if kind == 0:
                net.ignore(made, rng.permutation(8)[:3])
        pool.append(made)
    shrink(net.graph(net.dense(net.flatten(net.average_pool(pool[-1])), 24)))


@pytest.mark.parametrize("seed", range(4))
def test_intervals_hold_every_code(seed):
    net = Network(seed)
    a = net.conv(net.input(6, 6, 3), 5)
    c = net.conv(net.pad(a, 0.25), 5, pad=0, clamp=NO_CLAMP)
    d = net.sub(net.conv(c, 5), net.unary(net.conv(a, 5), "hard_swish"))
    b = net.mul(net.unary(net.max_pool(a), "tanh"), net.average_pool(d))
    graph = quantized(net.graph(b))
    values = run_int(graph, random_codes(graph, 200), keep=True)
    for name, (low, high) in code_intervals(graph).items():
        assert (values[name] >= low).all()
        assert (values[name] <= high).all()


def test_visual_wake_words_loses_what_weight_decay_killed():
    root = os.environ.get("EDGECOMP_DATA")
    if not root:
        pytest.skip("EDGECOMP_DATA is not set")
    from edgecomp.frontend import read_model
    from edgecomp.passes import run_passes

    folder = Path(root)
    graph = run_passes(read_model(folder / "models/vww_mobilenetv1_025/vww_mobilenetv1_025.onnx"))
    pictures = np.load(folder / "datasets/cifar10_train20k.npz")["x"][:48]
    x = np.repeat(np.repeat(pictures, 3, 1), 3, 2).astype(np.float32)[:, None] / 255
    before, _ = quantize_model(graph, {graph.inputs[0]: x[:32]})
    after, report = remove_dead_channels(before)
    assert report.macs_before == 7_489_664
    assert report.macs_after < 3_800_000
    assert report.weights_bytes_after < 34_000
    qparams = before.tensors[before.inputs[0]].qparams
    codes = random_codes(before, 8)[before.inputs[0]]
    codes = np.concatenate([codes, qparams.quantize(x[32:]).astype(np.int8)])
    got = [run_int(g, {before.inputs[0]: codes})[before.outputs[0]] for g in (before, after)]
    assert np.array_equal(*got)


def test_a_graph_without_dead_channels_is_returned_as_it_is():
    net = Network()
    graph = quantized(net.graph(net.conv(net.input(6, 6, 3), 4, clamp=NO_CLAMP)))
    after, report = remove_dead_channels(graph)
    assert after is graph
    assert report == replace(report, channels={}, macs_after=report.macs_before)
