"""`edgecomp flash` from built folders onto a virtual board, and what it says when that fails."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecomp.device.flash.line import open_line
from edgecomp.errors import FlashError
from edgecomp.paths import sha256_of
from edgecomp.targets.boards import load_boards
from tests.cli.support import call, refused, tiny_constants, tiny_model, tiny_samples
from tests.device.applications import build_id_of, build_id_on, get_board
from tests.device.virtual_board import virtual_board

NAME = "mps2-an386"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models built for the loader."""
    folder = tmp_path_factory.mktemp("built")
    samples = tiny_samples(folder / "samples.npz")
    out = []
    for number, name in enumerate(("a", "b")):
        model = tiny_model(folder / f"{name}.onnx", tiny_constants(number))
        answer = call(
            *("build", model, "--board", NAME, "--loader", "--data", samples, "--limit", "4"),
            *("-o", folder / name),
        )
        assert answer.code == 0, answer.err
        out.append(folder / name)
    return out[0], out[1]


@pytest.mark.device
def test_one_model_after_the_other_without_a_button(built, tmp_path):
    with virtual_board(get_board(NAME), tmp_path, elf=built[0] / "loader.elf") as running:
        for folder in built:
            answer = call("flash", folder, "--port", running.port, "--json")
            assert answer.code == 0, answer.err
            report = json.loads(answer.out)
            assert report["method"] == "loader"
            assert report["verified"] == "crc"
            assert report["written_bytes"] == report["image_bytes"] > 0
            assert build_id_on(running.port) == build_id_of(folder)
        again = json.loads(call("flash", built[1], "--port", running.port, "--json").out)
        assert again["written_bytes"] == 0


def test_silent_board_is_explained(built, monkeypatch):
    for name in ("_FIRST_S", "_AFTER_CALL_S", "_BUTTON_S"):
        monkeypatch.setattr(f"edgecomp.device.flash.serial_loaders.{name}", 0.2)
    nobody, terminal = os.openpty()
    try:
        answer = call("flash", built[0], "--port", os.ttyname(terminal))
        refused(answer, "no loader answered", "--image loader", "reset button", code=5)
    finally:
        os.close(terminal)
        os.close(nobody)


def test_port_in_use_is_not_shared(built):
    """The other program would eat the loader's answers."""
    nobody, terminal = os.openpty()
    try:
        with open(os.ttyname(terminal), "rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            answer = call("flash", built[0], "--port", os.ttyname(terminal))
            refused(answer, "is in use by another program", "fuser", code=5)
    finally:
        os.close(terminal)
        os.close(nobody)


def test_missing_port_is_explained(built):
    refused(call("flash", built[0], "--port", "/dev/ttyNOWHERE"), "plugged in", code=5)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--unprotect", "read"), ("erase everything", "--yes")),
        (("--method", "magic"), ("--method must be one of", "loader")),
        (("--image", "all"), ("--image must be one of",)),
        (("--image", "loader", "--method", "loader", "--port", "x"), ("built with --loader",)),
    ],
)
def test_wrong_options_are_refused(options, fragments, built):
    refused(call("flash", built[0], *options), *fragments)


def changed(folder: Path, target: Path, change: Callable[[bytes], bytes]) -> Path:
    """A copy of a built folder in which the firmware is another."""
    shutil.copytree(folder, target)
    image = target / "firmware.bin"
    image.write_bytes(change(image.read_bytes()))
    return target


def accepted(folder: Path) -> Path:
    """Let the manifest believe in the firmware that is there."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"]["firmware.bin"] = sha256_of(folder / "firmware.bin")
    path.write_text(json.dumps(manifest))
    return folder


def test_damaged_image_is_refused(built, tmp_path):
    folder = changed(built[0], tmp_path / "x", lambda image: image[:-1] + b"?")
    refused(call("flash", folder, "--port", "x"), "damaged or of another build")
    refused(call("flash", accepted(folder), "--port", "x"), "lacks the loader's seal")


def test_image_larger_than_the_flash_does_not_fit(built, tmp_path):
    folder = changed(built[0], tmp_path / "x", lambda image: image.ljust(4 * 1024 * 1024, b"\0"))
    refused(call("flash", accepted(folder), "--port", "x"), "4,194,304", "4,177,920", code=3)


def test_slots_are_refused_where_there_are_none(built):
    for option in ("--weights-only", "--rollback"):
        refused(call("flash", built[0], "--port", "x", option), "--weights-slot")


def test_folder_without_a_loader_says_how_to_get_one(built, tmp_path):
    folder = tmp_path / "x"
    shutil.copytree(built[0], folder)
    (folder / "loader.bin").unlink()
    refused(call("flash", folder, "--image", "loader"), "build the model with --loader")


def test_board_that_only_its_loader_flashes_says_so(tmp_path):
    model, samples = tiny_model(tmp_path / "a.onnx"), tiny_samples(tmp_path / "s.npz")
    asked = ("--board", NAME, "--data", samples, "--limit", "1", "-o", tmp_path / "out")
    assert call("build", model, *asked).code == 0
    refused(call("flash", tmp_path / "out"), "cannot flash", "build with --loader", code=5)


def test_boards_without_a_loader_say_why(tmp_path):
    model = tiny_model(tmp_path / "a.onnx")
    samples = tiny_samples(tmp_path / "s.npz")
    for board, reason in (("nucleo_h743zi2", "flash driver"), ("mps2-an385-v6m", "vector table")):
        answer = call("build", model, "--board", board, "--loader", "--data", samples)
        refused(answer, "cannot have the resident loader", reason)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "dialout"), (errno.EBUSY, "another program"), (errno.ENOENT, "plugged in")],
)
def test_ports_that_cannot_be_opened_say_why(number, remedy, monkeypatch):
    def cannot(*arguments, **options):
        raise OSError(number, "could not open port")

    monkeypatch.setattr("serial.serial_for_url", cannot)
    with pytest.raises(FlashError, match=remedy), open_line("COM1", 115200):
        pass


def test_port_that_goes_away_says_so(monkeypatch):
    class Port:
        def close(self) -> None:
            """Already closed."""

    monkeypatch.setattr("serial.serial_for_url", lambda *a, **k: Port())
    with pytest.raises(FlashError, match="repeat the command"), open_line("COM1", 115200):
        raise OSError(errno.EIO, "Input/output error")


def test_every_board_has_its_section_in_the_manual():
    text = (Path(__file__).parents[2] / "docs" / "flashing.md").read_text()
    for board in load_boards().values():
        if board.kind == "hardware":
            section = text.partition(f"(`{board.id}`)\n\n")[2].partition("\n\n")[0]
            assert len(section.strip().splitlines()) == 5, board.id
            offered = "--loader" in section
            assert offered == ("loader" in board.flash_methods), board.id
