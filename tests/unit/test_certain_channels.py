"""Channels that are dead with any samples: what is found, and what is left alone."""

import numpy as np
import pytest

from edgecomp.ir import NO_CLAMP
from edgecomp.passes.certain_channels import certain_channels
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.unit.test_dead_channels import assert_same_codes
from tests.witness.networks import Network, samples_of

SIZES = (1e-3, 1.0, 300.0)


def with_samples(graph, size):
    samples = {name: array * np.float32(size) for name, array in samples_of(graph).items()}
    return quantize_model(graph, samples, QuantizeOptions(calibration="minmax"))


def certain(graph, size=1.0):
    """What is removed for certain, and the integers of the network before and after."""
    quantized, report = with_samples(graph, size)
    after, removed = remove_dead_channels(quantized, certain_channels(report.reference, quantized))
    return removed.channels, quantized, after


def shrunk(net, name, channels, size):
    """Make weights small, as weight decay does."""
    weights = net.tensors[net.nodes[-1].inputs[1]].value
    weights[channels] = np.float32(size) * weights[channels]
    net.tensors[net.nodes[-1].inputs[2]].value[channels] = 0.0
    return name


def decayed(size):
    """Three channels of the first layer are small, one of the second."""
    net = Network(4)
    a = shrunk(net, net.conv(net.input(8, 8, 3), 8), [1, 4, 5], size)
    b = net.conv(a, 8, depthwise=True)
    net.tensors[net.nodes[-1].inputs[2]].value[[1, 4, 5]] = 0.0
    c = shrunk(net, net.conv(b, 6, kernel=1), [2], size)
    d = net.conv(c, 4, kernel=1, clamp=NO_CLAMP)
    return net.graph(d), (a, b, c)


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_weights_that_decayed_take_their_channels_along(size):
    graph, (a, b, c) = decayed(size)
    for scale in SIZES:
        channels, before, after = certain(graph, scale)
        assert channels == {a: 3, b: 3, c: 1}
        assert_same_codes(before, after)


def test_what_is_only_small_stays():
    graph, _ = decayed(1e-5)
    assert any(remove_dead_channels(with_samples(graph, size)[0])[1].channels for size in SIZES)
    assert all(certain(graph, size)[0] == {} for size in SIZES)


def test_a_channel_that_only_these_samples_keep_below_zero_stays():
    net = Network(5)
    a = net.conv(net.input(8, 8, 3), 6)
    net.tensors[net.nodes[-1].inputs[2]].value[2] = -40.0
    graph = net.graph(net.conv(a, 4, kernel=1, clamp=NO_CLAMP))
    quantized, _ = with_samples(graph, 1.0)
    assert remove_dead_channels(quantized)[1].channels == {a: 1}
    assert certain(graph)[0] == {}


def test_a_constant_that_padding_borders_on_stays():
    net = Network(6)
    a = net.conv(net.input(8, 8, 3), 6)
    net.kill(a, [1], value=0.7)
    net.kill(a, [3], value=-0.7)
    graph = net.graph(net.conv(a, 4, clamp=NO_CLAMP))
    assert certain(graph)[0] == {a: 1}


@pytest.mark.parametrize("seed", range(6))
def test_no_samples_bring_them_to_life(seed):
    rng = np.random.default_rng(seed)
    net = Network(seed)
    x = net.input(8, 8, 3)
    for channels in (6, 8, 5):
        x = net.conv(x, channels, kernel=1 if rng.random() < 0.5 else 3)
        dead = np.flatnonzero(rng.random(channels) < 0.4)
        shrunk(net, x, dead[1:], rng.choice([0.0, 1e-25]))
    graph = net.graph(net.conv(x, 4, kernel=1, clamp=NO_CLAMP))
    found, before, after = certain(graph)
    assert_same_codes(before, after)
    for size in SIZES:
        lost = remove_dead_channels(with_samples(graph, size)[0])[1].channels
        assert all(lost.get(name, 0) >= count for name, count in found.items())
