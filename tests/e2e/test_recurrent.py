"""Recurrent classifiers from PyTorch: floats as torch, bits on every core."""

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_float, run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences

torch = pytest.importorskip("torch")

SOURCE = """
import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.layers = getattr(nn, kind)(6, 16, batch_first=True, **options)
        self.head = nn.Linear(32 if options.get("bidirectional") else 16, 5)

    def forward(self, x):
        return self.head(self.layers(x)[0][:, -1])


class Kept(nn.Module):
    \"\"\"The caller hands the states in and gets them back.\"\"\"

    def __init__(self):
        super().__init__()
        self.layers = nn.LSTM(6, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x, h, c):
        y, (h, c) = self.layers(x, (h, c))
        return self.head(y), h, c


def _of(module):
    torch.manual_seed(0)
    return module().eval(), (torch.randn(1, 20, 6),)


def lstm():
    return _of(lambda: Classifier("LSTM"))


def gru_of_two_layers():
    return _of(lambda: Classifier("GRU", num_layers=2))


def lstm_both_ways():
    return _of(lambda: Classifier("LSTM", bidirectional=True))


def rnn_both_ways():
    options = {"bidirectional": True, "num_layers": 2, "nonlinearity": "relu"}
    return _of(lambda: Classifier("RNN", **options))


def kept():
    module, (x,) = _of(Kept)
    return module, (x, torch.zeros(1, 1, 16), torch.zeros(1, 1, 16))
"""
NAMES = ("lstm", "gru_of_two_layers", "lstm_both_ways", "rnn_both_ways", "kept")
ERROR = 0.03
"""Of int8, as a share of the outputs' standard deviation."""
FLOAT_ERROR = 1e-6
"""Of the float graph from torch's outputs, both in float32."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Each network's float graph, samples by input, and torch's outputs."""
    path = tmp_path_factory.mktemp("recurrent") / "networks.py"
    path.write_text(SOURCE)
    scope = {}
    exec(compile(SOURCE, str(path), "exec"), scope)
    rng = np.random.default_rng(0)
    made = {}
    for name in NAMES:
        module, examples = scope[name]()
        samples = [
            rng.normal(0, 1 if index == 0 else 0.3, (32, *example.shape)).astype(np.float32)
            for index, example in enumerate(examples)
        ]
        with torch.no_grad():
            found = [module(*(torch.tensor(x[i]) for x in samples)) for i in range(32)]
        outputs = [one if isinstance(one, tuple) else (one,) for one in found]
        graph = run_passes(read_model(f"{path}:{name}"))
        wanted = [np.stack([o[i].numpy() for o in outputs]) for i in range(len(outputs[0]))]
        shaped = [
            x.reshape(32, *graph.tensors[n].shape)
            for n, x in zip(graph.inputs, samples, strict=True)
        ]
        made[name] = graph, dict(zip(graph.inputs, shaped, strict=True)), wanted
    return made


def quantized(network):
    graph, samples, _ = network
    result, _ = quantize_model(graph, samples)
    codes = {
        name: result.tensors[name].qparams.quantize(x).astype(np.int8)
        for name, x in samples.items()
    }
    return result, codes


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_torchs_and_codes_are_near(networks, name):
    graph, samples, wanted = networks[name]
    assert {"lstm", "gru", "rnn"} & {node.op for node in graph.nodes}
    found = run_float(graph, samples)
    result, codes = quantized(networks[name])
    outputs = run_int(result, codes)
    for output, real in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[output].reshape(real.shape), real, atol=FLOAT_ERROR)
        near = result.tensors[output].qparams.dequantize(outputs[output]).reshape(real.shape)
        assert np.sqrt(((near - real) ** 2).mean()) < ERROR * real.std(), output


def models(networks):
    for name in NAMES:
        result, codes = quantized(networks[name])
        yield Model(name, result, {n: x[:12] for n, x in codes.items()})


@pytest.mark.slow
def test_host_c_computes_the_same(networks, tmp_path):
    found = host_differences(list(models(networks)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(networks, board, tmp_path):
    found = board_differences(list(models(networks)), tmp_path, board)
    assert not found, one_line_each(found)
