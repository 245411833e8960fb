"""The demo: the whole way on real handwritten digits, in a minute."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.cli.support import call
from tests.cli.test_commands import validate

LIMIT_S = 90
LEAST_ACCURACY = 0.95


@pytest.mark.device
def test_demo(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    wall, processor = time.monotonic(), sum(os.times()[:4])
    answer = call("demo", "-o", tmp_path / "demo", "--json")
    wall, processor = time.monotonic() - wall, sum(os.times()[:4]) - processor
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    validate(report)
    accuracy = report["accuracy"]
    assert report["board"] == "mps2-an386"
    assert accuracy["samples"] == accuracy["device_samples"] == 350
    assert accuracy["device"] == accuracy["int8"] >= LEAST_ACCURACY
    assert abs(accuracy["int8"] - accuracy["float"]) <= 0.01
    assert report["bit_exact"]["mismatches"] == 0
    assert min(wall, processor) < LIMIT_S
