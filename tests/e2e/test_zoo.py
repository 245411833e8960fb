"""Every network of the zoo, at two widths, from its module to the bits of emulated cores."""

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from edgecomp.zoo import ZOO
from tests.support.bundle import Model
from tests.support.proof import board_differences

pytest.importorskip("torch")

SAMPLES = 2
LEAST_SPREAD = 10
"""A comparison of bits says little about a tensor with fewer codes."""

SIZES = {
    "lenet-300-100": ("width=0.1", "width=0.3"),
    "lenet-5": ("width=0.2", "width=0.5"),
    "ds-cnn": ("width=0.25&input=1,25,10", "width=0.5&depth=0.5"),
    "resnet8": ("width=0.25&input=3,16,16", "width=0.5&depth=2"),
    "autoencoder": ("width=0.25", "width=0.5&depth=0.5"),
    "mobilenet-v1": ("width=0.125&input=3,32,32", "width=0.25&input=3,64,64&depth=0.5"),
    "mobilenet-v2": ("width=0.125&input=3,32,32", "width=0.25&input=3,32,32&depth=0.5"),
    "mobilenet-v3-small": ("width=0.25&input=3,32,32", "width=0.5&input=3,64,64"),
    "squeezenet": ("width=0.125&input=3,32,32", "width=0.25&input=3,64,64"),
    "efficientnet-lite": ("width=0.125&input=3,32,32", "width=0.25&input=3,32,32&depth=0.5&se=1"),
    "bc-resnet": ("width=0.5&input=1,20,32", "input=1,40,49"),
    "cnn-1d": ("width=0.5", "width=1.5&depth=1.5"),
}
"""Two sizes of each, small enough to be emulated quickly."""

QUICK = (("cnn-1d", 0), ("ds-cnn", 0))


def model(name, size):
    """A quantized network with random weights, and random samples."""
    graph = run_passes(read_model(f"zoo:{name}?{SIZES[name][size]}"))
    shape = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (16, *shape)).astype(np.float32)
    quantized, _ = quantize_model(graph, {graph.inputs[0]: samples})
    qparams = quantized.tensors[graph.inputs[0]].qparams
    codes = qparams.quantize(samples[:SAMPLES]).astype(np.int8)
    return Model(f"{name}-{size}", quantized, {graph.inputs[0]: codes})


def spreads(made):
    """Number of different codes by stored tensor, for those that have at least 40 elements."""
    return {
        name: len(np.unique(array))
        for name, array in made.expected().items()
        if array.size >= 40 * SAMPLES and not made.graph.tensors[name].is_const
    }


def test_every_network_has_sizes():
    assert set(SIZES) == set(ZOO)


@pytest.mark.device
def test_networks_of_the_zoo_keep_their_bits(tmp_path):
    models = [model(name, size) for name, size in QUICK]
    assert all(min(spreads(made).values()) >= LEAST_SPREAD for made in models)
    assert not board_differences(models, tmp_path, "mps2-an386")


@pytest.fixture(scope="module")
def every_model():
    return [model(name, size) for name in SIZES for size in (0, 1)]


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547", "mps2-an385-v6m"])
def test_every_network_of_the_zoo_keeps_its_bits_at_two_widths(board, every_model, tmp_path):
    for start in range(0, len(every_model), 6):
        found = board_differences(every_model[start : start + 6], tmp_path / str(start), board)
        assert not found, "\n".join(found)
