"""A TFLite file with an LSTM, from the file to the emulator and back into a file."""

import json

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.exporting import export_built
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from edgecomp.pipeline import build
from edgecomp.request import Request, StreamRequest
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_file

NET = NetSpec(1, 6, 5, (LstmSpec(12, magnitude=2.0),), classes=4)
SAMPLES = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The file and sequences with labels."""
    made = tmp_path_factory.mktemp("lstm")
    (made / "net.tflite").write_bytes(lstm_file(NET))
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (SAMPLES, 6, 5)).astype(np.float32)
    np.savez(made / "data.npz", x=x, y=rng.integers(0, 4, SAMPLES))
    return made


def request(folder, out, **changes):
    given = {"data": str(folder / "data.npz"), "board": "mps2-an386"}
    return Request(model=str(folder / "net.tflite"), out=out, **{**given, **changes})


@pytest.mark.device
def test_states_are_kept_and_accuracy_is_that_of_single_sequences(folder, tmp_path):
    said = []
    report = build(request(folder, tmp_path / "out"), said.append)
    assert report["bit_exact"]["mismatches"] == 0
    assert any("reset begins a new sequence" in line for line in said)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["plan"]["state_bytes"] >= 3 * 12
    header = (tmp_path / "out" / "src" / "net.h").read_text()
    assert "void net_reset(void *state);" in header
    assert "TICK_FRAMES" not in header
    whole = load_graph(tmp_path / "out" / "whole.npz", PARAMS)
    assert not whole.states
    assert report["accuracy"]["samples"] == SAMPLES // 2  # the others calibrate
    export_built(tmp_path / "out", tmp_path / "again.tflite")
    assert b"TFL3" in (tmp_path / "again.tflite").read_bytes()[:8]
    assert not (tmp_path / "out" / "model_int8.onnx").exists()
    with pytest.raises(UserError, match="clips its cells"):
        export_built(tmp_path / "out", tmp_path / "again.onnx")


@pytest.mark.device
@pytest.mark.slow
def test_the_same_file_runs_tick_by_tick(folder, tmp_path):
    out = tmp_path / "ticks"
    report = build(request(folder, out, stream=StreamRequest(frames=2)), lambda text: None)
    assert report["bit_exact"]["mismatches"] == 0
    assert "NET_TICK_FRAMES 2" in (out / "src" / "net.h").read_text()
