"""Random networks, whatever their scales: integers can be made, and dead channels be removed."""

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.ir import NO_CLAMP
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.passes.dead_channels import remove_dead_channels
from edgecomp.quant import METHODS, QuantizeOptions, quantize_model
from tests.witness.networks import RELU, Network, random_codes, samples_of

UNARY = ("tanh", "sigmoid", "abs", "hard_swish")


def random_network(seed, decades):
    """A network of eight layers whose constants lie up to `decades` powers of ten from 1."""
    rng = np.random.default_rng(seed)
    net = Network(seed)

    def size():
        return np.float32(10 ** rng.uniform(-decades, decades))

    def vector():
        return net.const(rng.normal(0, 1, (1, 1, 1, 4)) * size())

    made = [net.conv(net.input(6, 6, 3), 4)]
    for _ in range(6):
        source, last = made[rng.integers(len(made))], made[-1]
        clamp = (RELU, NO_CLAMP)[rng.integers(2)]
        kinds = (
            lambda s=source, c=clamp: net.conv(s, 4, clamp=c),
            lambda s=source, c=clamp: net.conv(s, 4, depthwise=True, clamp=c),
            lambda s=source, b=last, c=clamp: net.add(s, b, c),
            lambda s=source, b=last: net.sub(s, b),
            lambda s=source, b=last: net.mul(s, b),
            lambda s=source: net.mul(s, vector()),
            lambda s=source: net.add(s, vector()),
            lambda s=source: net.unary(s, "mul", float(size())),
            lambda s=source: net.unary(s, UNARY[rng.integers(4)]),
        )
        kind = int(rng.integers(len(kinds)))
        made.append(kinds[kind]())
        if kind < 2:
            for name in net.nodes[-1].inputs[1:]:
                net.tensors[name].value[...] *= size()
            if rng.random() < 0.3:
                net.kill(made[-1], [0, 2], float(rng.normal()))
    outputs = net.dense(net.flatten(net.average_pool(made[-1])), 5), made[-1]
    graph = net.graph(*outputs)
    factor = size()
    samples = {name: x * factor for name, x in samples_of(graph, 8, seed).items()}
    options = QuantizeOptions(
        calibration=METHODS[rng.integers(5)],
        equalize=bool(rng.integers(2)),
        bias_correction=bool(rng.integers(2)),
        symmetric=bool(rng.integers(2)),
        numerics=("edgecomp", "tflite")[rng.integers(2)],
    )
    return graph, samples, options


@pytest.mark.parametrize("decades", [0, 2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_any_network_becomes_integers(seed, decades):
    graph, samples, options = random_network(seed, decades)
    integers, _ = quantize_model(graph, samples, options)
    verify(integers, OPS)
    smaller, report = remove_dead_channels(integers)
    verify(smaller, OPS)
    assert report.macs_after <= report.macs_before
    codes = random_codes(integers, 6)
    before, after = run_int(integers, codes), run_int(smaller, codes)
    for name in integers.outputs:
        assert np.array_equal(before[name], after[name])
