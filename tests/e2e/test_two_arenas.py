"""A model for which no memory of the board has the room gets two arenas, and the same bits."""

import json
from pathlib import Path

import pytest

from tests.cli.support import FAST, call, tiny_model, tiny_samples

BOARDS = """
boards:
  - id: pieces
    name: AN386 with little RAM in two places
    kind: emulated
    core: cortex-m4f
    flash: {name: ssram1, origin: 0x00000000, size: 4M}
    ram:
      - {name: near, origin: 0x20000000, size: %s}
      - {name: far, origin: 0x21000000, size: %s}
    clock_hz: 25000000
    console: {port: cmsdk_uart, uart: UART0, base: 0x40004000, clock_hz: 25000000}
    emulator: {machine: mps2-an386}
"""


def build(tmp_path: Path, near: int, far: int, *more: str):
    boards = tmp_path / "boards.yaml"
    boards.write_text(BOARDS % (near, far))
    model, data = tiny_model(tmp_path / "tiny.onnx"), tiny_samples(tmp_path / "tiny.npz")
    out = tmp_path / "out"
    options = ("--boards-file", boards, "--board", "pieces", "--data", data, *FAST, *more)
    return call("build", model, *options, "-o", out), out


@pytest.fixture
def arena_bytes(tmp_path):
    answer, out = build(tmp_path, 65536, 65536)
    assert answer.code == 0, answer.err
    report = json.loads((out / "report.json").read_text())
    assert report["ram"]["memories"]["arena"] == "near"
    assert report["ram"]["second_arena_bytes"] == 0
    return report["ram"]["arena_bytes"]


@pytest.mark.device
def test_the_bits_are_the_same_in_two_memories(arena_bytes, tmp_path):
    far = 400  # the convolution's output needs 384 of them
    assert far < arena_bytes
    answer, out = build(tmp_path, 2048 + 320, far)
    assert answer.code == 0, answer.err
    report = json.loads((out / "report.json").read_text())
    memories = report["ram"]["memories"]
    assert memories == {"stack_and_data": "near", "arena": "near", "second_arena": "far"}
    assert 0 < report["ram"]["second_arena_bytes"] <= far
    assert "bits      equal to the host's" in answer.out
    header = (out / "src" / "tiny.h").read_text()
    assert "int tiny_run(void *arena, void *second_arena);" in header
    assert f"#define TINY_SECOND_ARENA_BYTES {report['ram']['second_arena_bytes']}\n" in header
    boards = tmp_path / "boards.yaml"
    assert call("check", out, "--engine", "host", "--boards-file", boards).code == 0


@pytest.mark.device
def test_what_fits_no_two_memories_is_refused(arena_bytes, tmp_path):
    answer, out = build(tmp_path, 1024, arena_bytes - 8)
    assert answer.code == 3
    assert "does not fit" in answer.err
    assert "--optimize ram" in answer.err
    kept = json.loads((out / "report.json").read_text())
    assert kept["ram"]["arena_bytes"] == arena_bytes  # the build before is still there
