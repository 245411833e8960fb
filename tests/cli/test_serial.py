"""Boards on serial lines from the command line: virtual ones, and what is wrong with real ones."""

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import serial

from edgecomp.device.journal import Journal
from edgecomp.lines import JOURNAL
from tests.cli.conftest import BOARD
from tests.cli.support import call, command, refused

pytestmark = pytest.mark.device


@pytest.fixture(scope="module")
def emulated(pristine: Path):
    """Start `edgecomp emulate` in a process of its own; yield its port."""
    arguments = command("emulate", BOARD, "--firmware", pristine)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 128 + signal.SIGINT
    if port.startswith("/dev/"):
        assert not Path(port).exists(), "the emulator is still there"


def test_check_run_and_monitor_over_a_port(emulated: str, built: Path, tmp_path: Path) -> None:
    answer = call("check", built, "--port", emulated, "--limit", "30", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] == 30
    assert report["check"]["engine"] == "serial"
    (board,) = report["check"]["ports"]
    assert (board["port"], board["ms"], board["cycles"]) == (emulated, None, None)
    assert 0 < board["stack_bytes"] <= board["stack_room_bytes"]
    assert not (built / JOURNAL).exists()

    shown = call("check", built, "--port", emulated, "--limit", "4", "--baud", "460800")
    assert shown.code == 0, shown.err
    for words in ("(serial)", "equal to the host's", "latency   not known", "of an emulator"):
        assert words in shown.out

    x = np.random.default_rng(1).random((3, 1, 8, 8), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    outputs = []
    for options in (("--port", emulated), ("--engine", "reference")):
        file = tmp_path / f"{options[0]}.npz"
        answer = call("run", built, "--input", tmp_path / "x.npz", "--output", file, *options)
        assert answer.code == 0, answer.err
        outputs.append(np.load(file))
    for name in outputs[1].files:
        np.testing.assert_array_equal(outputs[0][name], outputs[1][name])

    answer = call("monitor", emulated, "--hello", "--seconds", "1")
    assert answer.code == 0, answer.err
    assert "HELLO answer #1: build 0x" in answer.out


def test_a_board_of_another_build_is_refused(emulated: str, built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["layout"]["build_id"] ^= 1
    (built / "manifest.json").write_text(json.dumps(manifest))
    refused(
        call("check", built, "--port", emulated),
        f"the folder holds {manifest['layout']['build_id']:#010x}",
        "flash the folder's firmware",
        code=5,
    )


def test_a_journal_of_another_build_is_refused(emulated: str, built: Path) -> None:
    Journal(built / JOURNAL, build_id=5).close()
    refused(
        call("check", built, "--port", emulated), "has answers of build 0x00000005", "--journal"
    )
    (built / JOURNAL).write_text("my notes\n")
    refused(call("check", built, "--port", emulated), "is not a journal of edgecomp")
    assert (built / JOURNAL).read_text() == "my notes\n"


@pytest.fixture
def line():
    """A terminal at whose other end nobody answers."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_nothing_answers(line: str, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecomp.device.connection.HELLO_ATTEMPTS", 2)
    answer = call("check", built, "--port", line)
    refused(answer, f"{line}: nothing answers at 115200 baud", "edgecomp monitor", code=5)


def test_the_port_is_in_use(line: str, built: Path) -> None:
    with open(line, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(call("check", built, "--port", line), f"{line} is in use by another", code=5)


def test_no_permission_names_the_group(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *options: object, **more: object) -> None:
        raise serial.SerialException(13, f"could not open port {name}: Permission denied")

    monkeypatch.setattr(serial, "Serial", refuse)
    monkeypatch.setattr(Path, "group", lambda self: "dialout")
    answer = call("check", built, "--port", "/dev/ttyACM7")
    refused(answer, "belongs to the group dialout", "sudo usermod -aG dialout", code=5)


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("/dev/ttyNone", "there is no port /dev/ttyNone"),
        ("socket://127.0.0.1:1", "nothing listens at socket://127.0.0.1:1"),
        ("socket://nowhere", "nothing listens at socket://nowhere"),
        ("/dev/null", "/dev/null cannot be opened as a serial port"),
    ],
)
def test_ports_that_are_none(port: str, words: str, built: Path) -> None:
    refused(call("check", built, "--port", port), words, code=5)
    refused(call("monitor", port), words, code=5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "{built}", "--baud", "9600"), "go with a --port"),
        (("check", "{built}", "--port", "a", "--port", "a"), "a port is given twice: a, a"),
        (("emulate", BOARD), "either --firmware DIR or --loader"),
        (("emulate", BOARD, "--loader", "--firmware", "{built}"), "either --firmware DIR or"),
        (("emulate", "microbit", "--firmware", "{built}"), f"was built for {BOARD}"),
        (("emulate", "nucleo_f446re", "--loader"), "is not emulated"),
        (("emulate", "nothing"), "unknown board 'nothing'"),
    ],
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], words: str, built: Path) -> None:
    refused(call(*(part.format(built=built) for part in arguments)), words)


def test_a_lost_firmware_is_named(built: Path) -> None:
    (built / "firmware.elf").unlink()
    refused(call("emulate", BOARD, "--firmware", built), "has lost its firmware.elf")
    shutil.rmtree(built)
