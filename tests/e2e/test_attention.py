"""A transformer block, written out and as PyTorch has it: floats as torch, bits on every core."""

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


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(16), nn.LayerNorm(16)
        self.mixed, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        b, t, c = x.shape
        parts = self.mixed(self.before(x)).chunk(3, -1)
        q, k, v = (part.reshape(b, t, 2, 8).transpose(1, 2) for part in parts)
        scores = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(b, t, c))
        x = x + self.narrow(nn.functional.gelu(self.wide(self.between(x))))
        return self.head(x.mean(1))


def written_out():
    torch.manual_seed(0)
    return Block().eval(), (torch.randn(1, 12, 16),)


class Causal(Block):
    def forward(self, x):
        b, t, c = x.shape
        parts = self.mixed(self.before(x)).chunk(3, -1)
        q, k, v = (part.reshape(b, t, 2, 8).transpose(1, 2) for part in parts)
        hidden = torch.triu(torch.full((t, t), float("-inf")), 1)
        scores = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5 + hidden, -1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(b, t, c))
        late = torch.arange(t) > 8
        scores = torch.softmax((q @ k.transpose(-1, -2)).masked_fill(late, float("-inf")), -1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(b, t, c))
        return self.head(x.mean(1))


def causal():
    torch.manual_seed(0)
    return Causal().eval(), (torch.randn(1, 12, 16),)


def of_torch():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
    return nn.Sequential(layer).eval(), (torch.randn(1, 12, 16),)
"""
NAMES = ("written_out", "of_torch", "causal")
ERROR = 0.03
"""Of int8, as a share of the outputs' standard deviation."""


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """Each block's float graph, samples, and torch's outputs."""
    path = tmp_path_factory.mktemp("attention") / "blocks.py"
    path.write_text(SOURCE)
    scope = {}
    exec(compile(SOURCE, str(path), "exec"), scope)
    x = np.random.default_rng(0).normal(0, 1, (32, 1, 12, 16)).astype(np.float32)
    made = {}
    for name in NAMES:
        module, _ = scope[name]()
        with torch.no_grad():
            wanted = np.stack([module(torch.tensor(sample)).numpy() for sample in x])
        made[name] = run_passes(read_model(f"{path}:{name}")), x, wanted
    return made


def quantized(block):
    graph, x, _ = block
    result, _ = quantize_model(graph, {graph.inputs[0]: x})
    qparams = result.tensors[result.inputs[0]].qparams
    return result, qparams.quantize(x).astype(np.int8)


@pytest.mark.parametrize("name", NAMES)
def test_floats_are_torchs_and_codes_are_near(blocks, name):
    graph, x, wanted = blocks[name]
    found = run_float(graph, {graph.inputs[0]: x})[graph.outputs[0]].reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    result, codes = quantized(blocks[name])
    outputs = run_int(result, {result.inputs[0]: codes})[result.outputs[0]]
    real = result.tensors[result.outputs[0]].qparams.dequantize(outputs).reshape(wanted.shape)
    assert np.sqrt(((real - wanted) ** 2).mean()) < ERROR * wanted.std()
    ops = {node.op for node in graph.nodes}
    assert {"layer_norm", "matmul", "softmax", "gather"} <= ops


def models(blocks):
    for name in NAMES:
        result, codes = quantized(blocks[name])
        yield Model(name, result, {result.inputs[0]: codes[:20]})


def test_host_c_computes_the_same(blocks, tmp_path):
    found = host_differences(list(models(blocks)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(blocks, board, tmp_path):
    found = board_differences(list(models(blocks)), tmp_path, board)
    assert not found, one_line_each(found)
