"""What `check-model` says of flash, RAM and products is what `build` makes of the same network."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgecomp.feasibility import check_model
from edgecomp.pipeline import build
from edgecomp.request import Request
from tests.cli.support import call
from tests.e2e.real_models import request
from tests.frontend.onnx_cases import make_model, node, save

BOARD = "mps2-an386"
RNG = np.random.default_rng(7)
NEAR = 1.02
"""How far above what is built an estimate may lie."""


def figures(model, **options):
    found = check_model(model, BOARD, **options)
    return found["flash"]["bytes"], found["ram"]["bytes"], found["macs"]


def built_figures(asked):
    report = build(asked)
    return report["flash"]["total_bytes"], report["ram"]["total_bytes"], report["macs"]


def sparse_with_dead_channels(folder: Path) -> str:
    """A dense layer of many zeros and one that decayed, before a last one."""
    first = RNG.normal(size=(64, 256)) * (RNG.random((64, 256)) < 0.08)
    second = RNG.normal(size=(32, 64))
    second[5:] *= 1e-30
    last = RNG.normal(size=(4, 32))
    nodes = [
        node("Gemm", "x a", "p", transB=1),
        node("Gemm", "p b", "q", transB=1),
        node("Relu", "q", "r"),
        node("Gemm", "r c", "y", transB=1),
    ]
    constants = {"a": first, "b": second, "c": last}
    model = make_model(
        nodes,
        {"x": [1, 256]},
        ["y"],
        {name: value.astype(np.float32) for name, value in constants.items()},
    )
    return str(save(model, folder))


def test_zeros_and_dead_channels_are_seen(tmp_path):
    model = sparse_with_dead_channels(tmp_path)
    np.savez(tmp_path / "data.npz", x=RNG.normal(0, 3, (40, 256)).astype(np.float32))
    answer = call(
        "build", model, "--board", BOARD, "--data", tmp_path / "data.npz", "--limit", "1",
        "--optimize", "size", "-o", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    flash, ram, macs = figures(model, optimize="size")
    assert report["flash"]["total_bytes"] <= flash <= NEAR * report["flash"]["total_bytes"]
    assert ram == report["ram"]["total_bytes"]
    assert macs == report["macs"] == 256 * 64 + 64 * 5 + 5 * 4
    assert flash < 8_000 < 64 * 256


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad"])
def test_estimates_of_real_networks_are_near_and_never_below(name, data_dir, tmp_path):
    asked = request(name, BOARD, data_dir, tmp_path, limit=1)
    pairs = zip(figures(asked.model), built_figures(asked), strict=True)
    assert all(made <= estimate <= NEAR * made for estimate, made in pairs)


def test_a_quantized_file_is_as_it_is_built(data_dir, tmp_path):
    model = str(data_dir / "models" / "vww_mobilenetv1_025" / "vww_96_int8.tflite")
    asked = Request(model=model, board=BOARD, out=tmp_path / "out", limit=1)
    estimates, made = figures(model), built_figures(asked)
    assert estimates == made
    assert made[0] < 64_000
