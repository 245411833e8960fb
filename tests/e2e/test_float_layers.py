"""A network with float32 layers, built: the same bits on soft-float cores and on FPUs."""

import json

import numpy as np
import pytest

from edgecomp.pipeline import build
from edgecomp.request import Request

torch = pytest.importorskip("torch")

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = x + torch.relu(self.depthwise(x))
        x = nn.functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        return self.head(self.norm(x).flatten(1)).softmax(-1)


def model():
    torch.manual_seed(3)
    return Net(), torch.zeros(1, 1, 8, 8)
"""
ASKED = ("stem", "depthwise", "norm", "head", "softmax")


@pytest.mark.device
@pytest.mark.parametrize(
    "board",
    ["mps2-an385-v6m", "mps2-an386", pytest.param("mps3-an547", marks=pytest.mark.slow)],
)
def test_build_with_float_layers(board, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    x = np.random.default_rng(0).normal(0, 1, (60, 8, 8, 1)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    report = build(
        Request(
            model=f"{tmp_path / 'net.py'}:model",
            board=board,
            out=tmp_path / "out",
            data=str(tmp_path / "data.npz"),
            calibration_samples=40,
            float_layers=ASKED,
        )
    )
    assert [entry["layer"] for entry in report["float_layers"]] == list(ASKED)
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] >= 20
    kernels = {layer["name"]: layer["kernel"] for layer in report["layers"]}
    assert all(kernels[name].endswith("_float32") for name in ASKED)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["options"]["float_layers"] == list(ASKED)
