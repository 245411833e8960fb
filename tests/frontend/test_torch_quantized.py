"""Networks that PyTorch quantized (PT2E) keep their scales, codes and outputs."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import Graph, QParams
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import from_device, ops, to_device

torch = pytest.importorskip("torch")

SAMPLES = 64

FACTORY = """
import torch
from tests.frontend.test_torch_quantized import quantized_network


def model():
    return quantized_network(), torch.zeros(1, 3, 13, 9)
"""


class Network(torch.nn.Module):
    """Convolution with batch norm, depthwise, a residual, a mean, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.depthwise = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = torch.nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.norm(self.stem(x)))
        x = x + torch.relu(self.depthwise(x))
        return self.head(x.mean((2, 3)))


def quantized_network() -> Any:
    """The network after torchao's PT2E flow, weights per channel.

    The mean is over 35 elements: an even number would put many codes half-way between two.
    """
    pytest.importorskip("torchao")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.testing.pt2e._xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )

        torch.manual_seed(4)
        example = torch.randn(1, 3, 13, 9)
        network = Network()
        network.norm.running_mean.uniform_(-1, 1)
        network.norm.running_var.uniform_(0.5, 2)
        config = get_symmetric_quantization_config(is_per_channel=True)
        exported = torch.export.export(network.eval(), (example,)).module()
        prepared = prepare_pt2e(exported, XNNPACKQuantizer().set_global(config))
        for _ in range(8):
            prepared(torch.randn(1, 3, 13, 9))
        return convert_pt2e(prepared)


def scales_of(module: Any) -> list[tuple[float, int]]:
    """Scale and zero point of every activation, in the order of the program."""
    target = "quantized_decomposed.quantize_per_tensor.default"
    return [
        (float(np.float32(node.args[1])), int(node.args[2]))
        for node in module.graph.nodes
        if target in str(node.target)
    ]


def run_torch(module: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.stack([module(torch.from_numpy(sample)).numpy() for sample in x])


def run_codes(graph: Graph, x: np.ndarray) -> tuple[np.ndarray, QParams]:
    """Output codes of the integer network for real inputs, and what they mean."""
    integers, report = quantize_model(graph, None)
    assert {c.method for c in report.tensors.values()} == {"preset"}
    (name,), (output,) = integers.inputs, integers.outputs
    q, result = integers.tensor(name).qparams, integers.tensor(output).qparams
    assert q is not None
    assert result is not None
    codes = run_int(integers, {name: q.quantize(to_device(graph, name, x)).astype(np.int8)})
    return from_device(graph, output, codes[output].astype(np.int64)), result


@pytest.mark.parametrize("way", ["program", pytest.param("module", marks=pytest.mark.slow)])
def test_scales_codes_and_outputs_of_torchao(way: str, tmp_path: Path) -> None:
    module = quantized_network()
    if way == "program":
        path = tmp_path / "net.pt2"
        torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 13, 9),)), path)
        source = str(path)
    else:
        (tmp_path / "net.py").write_text(FACTORY)
        source = f"{tmp_path / 'net.py'}:model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = run_passes(read_model(source))
    assert ops(graph) == ["conv2d", "conv2d", "add", "reduce_mean", "dense"]
    activations = [t for t in graph.tensors.values() if not t.is_const]
    own = [(t.qparams.scalar, t.qparams.zero_point) for t in activations if t.qparams]
    assert sorted(own) == sorted(scales_of(module))
    state = {**dict(module.named_buffers()), **dict(module.named_parameters())}
    stored = [v.numpy() for name, v in state.items() if name.startswith("_frozen_param")]
    scales = [v.numpy() for name, v in state.items() if name.startswith("_scale")]
    linear = [node for node in graph.nodes if node.op in {"conv2d", "dense"}]
    for node, codes, scale in zip(linear, stored, scales, strict=True):
        weights = graph.node_inputs(node)[1]
        assert weights.qparams is not None
        np.testing.assert_array_equal(np.float32(weights.qparams.scale), np.float32(scale))
        moved = codes.transpose(0, 2, 3, 1) if codes.ndim == 4 else codes
        np.testing.assert_array_equal(weights.qparams.quantize(weights.value), moved)
    x = np.random.default_rng(1).normal(0, 1, (SAMPLES, 1, 3, 13, 9)).astype(np.float32)
    ours, q = run_codes(graph, x)
    theirs = np.rint(run_torch(module, x) / q.scalar) + q.zero_point
    assert np.ptp(ours) > 50
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 0.02


def test_codes_that_end_before_their_type(tmp_path: Path) -> None:
    """Quantizers for x86 leave the upper half of uint8 alone; no torchao is needed for this one."""
    import torch.ao.quantization.fx._decomposed

    library = torch.ops.quantized_decomposed
    settings = (0.02, 20, 0, 127, torch.uint8)

    class Narrow(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            codes = library.quantize_per_tensor.default(x, *settings)
            y = torch.tanh(library.dequantize_per_tensor.default(codes, *settings))
            result = library.quantize_per_tensor.default(y, *settings)
            return library.dequantize_per_tensor.default(result, *settings)

    path = tmp_path / "narrow.pt2"
    torch.export.save(torch.export.export(Narrow(), (torch.zeros(1, 6),)), path)
    graph = run_passes(read_model(path))
    assert graph.tensor(graph.inputs[0]).qparams is not None
    x = np.linspace(-2, 4, 40 * 6).reshape(40, 1, 6).astype(np.float32)
    ours, q = run_codes(graph, x)
    theirs = np.rint(run_torch(Narrow(), x) / q.scalar) + q.zero_point
    assert theirs.max() == np.rint(np.tanh(0.02 * 107) / 0.02) + 20 - 128
    np.testing.assert_array_equal(ours, theirs)
