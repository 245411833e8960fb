"""PyTorch models on the command line: a factory in a file, and a saved program."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import BOARD
from tests.cli.support import FAST, call, refused

NETWORK = """
from torch import nn


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    ).eval()


def not_a_network():
    return "hello"


def broken():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    path = tmp_path / "nets.py"
    path.write_text(NETWORK)
    x = np.random.default_rng(0).normal(size=(24, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    return path


@pytest.mark.device
def test_factory_with_the_input_shape_as_an_option(factory: Path, tmp_path: Path) -> None:
    answer = call(
        "build", f"{factory}:network", "--input-shape", "1,1,8,8", "--board", BOARD,
        "--data", tmp_path / "x.npz", *FAST, "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["bit_exact"]["mismatches"] == 0
    assert [layer["ops"] for layer in report["layers"]] == [["conv2d"], ["dense"]]
    assert len(report["model"]["sha256"]) == 64


def test_what_a_factory_may_do_wrong(factory: Path) -> None:
    refused(call("show", f"{factory}:network"), "input", "--input-shape")
    refused(call("show", f"{factory}:netwrok"), "'netwrok'", "'network'")
    refused(call("show", f"{factory}:not_a_network"), "nn.Module")
    refused(call("show", f"{factory}:broken"), "RuntimeError", "no weights here")
    refused(call("show", f"{factory}:network", "--input-shape", "1,1,5"), "nets.py:network")
    refused(call("show", f"{factory.with_name('absent.py')}:network"), "absent.py", "no such file")


def test_saved_program_that_is_cut(factory: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pt2").write_bytes(b"PK\x03\x04")
    refused(call("show", tmp_path / "cut.pt2"), "cut.pt2")
    (tmp_path / "weights.pt").write_bytes(b"PK")
    refused(call("show", tmp_path / "weights.pt"), "weights.pt", "load_state_dict")
