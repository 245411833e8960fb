"""TFLite files that are ticks already, or 16x8 networks, with `--stream`."""

import json

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.pipeline import build
from edgecomp.request import Request, StreamRequest
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_file
from tests.support.tflite_variables import streaming_network

BOARD = "mps2-an386"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file with variables, and one with an LSTM of int16 codes."""
    made = tmp_path_factory.mktemp("ticks")
    (made / "variables.tflite").write_bytes(streaming_network(np.random.default_rng(0)))
    layer = LstmSpec(8, hidden=(1 / 32768, 0), magnitude=2.0)
    net = NetSpec(1, 6, 5, (layer,), x=(1 / 4096, 0), dtype="int16")
    (made / "lstm16.tflite").write_bytes(lstm_file(net))
    return made


def request(folder, name, out, stream):
    return Request(model=str(folder / f"{name}.tflite"), out=out, board=BOARD, stream=stream)


@pytest.mark.device
def test_a_file_with_variables_is_built_as_without(folder, tmp_path):
    said = []
    report = build(request(folder, "variables", tmp_path / "asked", StreamRequest()), said.append)
    assert report["bit_exact"]["mismatches"] == 0
    assert any("each run of it is a tick already" in line for line in said)
    build(request(folder, "variables", tmp_path / "plain", None))
    asked, plain = (
        (tmp_path / name / "src" / "variables.c").read_text().split("static", 1)[1]
        for name in ("asked", "plain")
    )
    assert asked == plain


@pytest.mark.parametrize("stream", [StreamRequest(axis=1), StreamRequest(frames=2)])
def test_its_ticks_are_not_chosen(stream, folder, tmp_path):
    with pytest.raises(UserError, match="leave out --stream-axis"):
        build(request(folder, "variables", tmp_path / "out", stream))


@pytest.mark.device
@pytest.mark.parametrize("frames", [1, 3])
def test_an_lstm_of_int16_codes_runs_tick_by_tick(frames, folder, tmp_path):
    report = build(request(folder, "lstm16", tmp_path / "out", StreamRequest(frames=frames)))
    assert report["bit_exact"]["mismatches"] == 0
    assert f"LSTM16_TICK_FRAMES {frames}" in (tmp_path / "out" / "src" / "lstm16.h").read_text()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["plan"]["state_bytes"] >= 2 * 2 * 8
