"""SAM-BA, UF2, drives and programs of others, each against a fake of the other side."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgecomp.device.flash import METHODS, FlashJob, msd, samba, touch
from edgecomp.device.flash.uf2 import decode_uf2, encode_uf2
from edgecomp.errors import BadFrame, FlashError, LinkTimeout, ToolError
from edgecomp.targets.board import FlashMethod
from edgecomp.targets.boards import load_boards

BOARDS = load_boards()
IMAGE = bytes(range(256)) * 40 + b"end."


class FakeSamba:
    """The loader of a SAMD21: 256 KiB of flash, of which the first 8 hold itself."""

    def __init__(self, *, is_arduino: bool = True, is_deaf: bool = False) -> None:
        self.flash = bytearray(b"\0" * 256 * 1024)
        self.ram = bytearray(32 * 1024)
        self.is_arduino = is_arduino
        self.is_deaf = is_deaf
        self.was_reset = False
        self._out = b""
        self._in = b""
        self._data_for: tuple[int, int] | None = None
        self._source = 0

    def read(self, size: int = 1) -> bytes:
        data, self._out = self._out[:size], self._out[size:]
        return data

    def reset_input_buffer(self) -> None:
        self._out = b""

    def write(self, data: bytes, /) -> int:
        if self.is_deaf:
            return len(data)
        self._in += data
        while self._in:
            if self._data_for is not None:
                addr, size = self._data_for
                if len(self._in) < size:
                    break
                self.ram[addr - 0x20000000 : addr - 0x20000000 + size] = self._in[:size]
                self._in, self._data_for = self._in[size:], None
            elif b"#" in self._in:
                command, _, self._in = self._in.partition(b"#")
                self._do(command.decode())
            else:
                break
        return len(data)

    def _do(self, command: str) -> None:
        first, _, second = command[1:].partition(",")
        a, b = int(first or "0", 16), int(second or "0", 16)
        match command[0]:
            case "N":
                self._out += b"\n\r"
            case "V":
                name = b"v2.0 [Arduino:XYZ] " if self.is_arduino else b"v1.1 "
                self._out += name + b"Apr 19 2019 14:38:48\n\r"
            case "X":
                assert a >= 0x2000, "that is where the loader lies"
                self.flash[a:] = b"\xff" * (len(self.flash) - a)
                self._out += b"X\n\r"
            case "S":
                self._data_for = (a, b)
            case "Y" if b == 0:
                self._source = a - 0x20000000
                self._out += b"Y\n\r"
            case "Y":
                for i in range(b):
                    self.flash[a + i] &= self.ram[self._source + i]
                self._out += b"Y\n\r"
            case "R":
                self._out += bytes(self.flash[a : a + b])
            case "W":
                self.was_reset = (a, b) == (0xE000ED0C, 0x05FA0004)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba, "_ANSWER_S", 0.05)
    monkeypatch.setattr(samba, "drain", lambda line: line.reset_input_buffer())


def flash_samba(monkeypatch: pytest.MonkeyPatch, ports: dict[str, FakeSamba]) -> None:
    @contextmanager
    def fake_line(port: str, baud: int) -> Iterator[FakeSamba]:
        yield ports[port]

    monkeypatch.setattr(samba, "open_line", fake_line)
    board = BOARDS["arduino_zero"]
    METHODS["samba"].run(FlashJob(board, IMAGE, 0x2000, port="COM1"))


def test_samba_erases_writes_compares_and_resets(monkeypatch):
    chip = FakeSamba()
    flash_samba(monkeypatch, {"COM1": chip})
    assert chip.flash[0x2000 : 0x2000 + len(IMAGE)] == IMAGE
    assert chip.flash[:0x2000] == b"\0" * 0x2000
    assert chip.was_reset


def test_samba_touches_an_application_first(monkeypatch):
    chip = FakeSamba()
    monkeypatch.setattr(samba, "touch", lambda port: "COM2" if port == "COM1" else "")
    flash_samba(monkeypatch, {"COM1": FakeSamba(is_deaf=True), "COM2": chip})
    assert chip.flash[0x2000 : 0x2000 + len(IMAGE)] == IMAGE


def test_samba_without_flash_commands_is_refused(monkeypatch):
    with pytest.raises(FlashError, match="bossac"):
        flash_samba(monkeypatch, {"COM1": FakeSamba(is_arduino=False)})


def test_samba_notices_flash_that_does_not_hold(monkeypatch):
    chip = FakeSamba()
    monkeypatch.setattr(chip, "_do", lambda command: lossy(chip, command))
    with pytest.raises(FlashError, match="differs"):
        flash_samba(monkeypatch, {"COM1": chip})


def lossy(chip: FakeSamba, command: str) -> None:
    FakeSamba._do(chip, command)
    chip.flash[0x2101] = 0


def test_touch_finds_the_port_that_appears(monkeypatch):
    class Port:
        dtr = True

        def __init__(self, port, baud, **options):
            assert baud == 1200

        def close(self):
            assert self.dtr is False

    monkeypatch.setattr("serial.Serial", Port)
    states = iter([{"A": "1"}, {"A": "1"}, {}, {"B": "2"}])
    assert touch.touch("A", lambda: next(states)) == "B"
    states = iter([{"A": "1"}, {}, {"A": "1"}])
    assert touch.touch("A", lambda: next(states)) == "A"
    monkeypatch.setattr(touch, "_RESET_S", 0.2)
    with pytest.raises(LinkTimeout, match="reset button twice"):
        touch.touch("A", lambda: {"A": "1"})


def test_uf2_is_read_back_as_it_was():
    image, addr, family = decode_uf2(encode_uf2(IMAGE, 0x10000000, 0xE48BFF56))
    assert (image[: len(IMAGE)], addr, family) == (IMAGE, 0x10000000, 0xE48BFF56)
    assert len(image) - len(IMAGE) < 256
    content = bytearray(encode_uf2(IMAGE, 0x10000000, 0xE48BFF56))
    # The first block as the format's own description writes it down.
    assert content[:4] == b"UF2\n"
    assert content[508:512] == b"\x30\x6f\xb1\x0a"
    content[512 + 20] ^= 1
    with pytest.raises(BadFrame, match="block 1"):
        decode_uf2(bytes(content))


def test_uf2_goes_to_the_drive_of_the_loader(tmp_path):
    board = BOARDS["rpi_pico"]
    job = FlashJob(board, IMAGE, board.flash.origin, drive=tmp_path)
    with pytest.raises(FlashError, match="BOOTSEL"):
        METHODS["uf2"].run(job)
    (tmp_path / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\n")
    METHODS["uf2"].run(job)
    image, addr, _ = decode_uf2((tmp_path / "edgecomp.uf2").read_bytes())
    assert (image[: len(IMAGE)], addr) == (IMAGE, board.flash.origin)
    with pytest.raises(FlashError, match="no UF2"):
        METHODS["uf2"].run(replace(job, board=BOARDS["nucleo_f411re"]))


def probe_drive(folder: Path, board_id: str) -> Path:
    folder.mkdir()
    page = f'<meta http-equiv="refresh" content="0; url=http://x/device/?code={board_id}55"/>'
    (folder / "MBED.HTM").write_text(page)
    return folder


def test_drive_takes_the_image_or_says_why_not(tmp_path, monkeypatch):
    monkeypatch.setattr(msd, "_SETTLE_S", 0.05)
    board = BOARDS["nucleo_f411re"]
    drive = probe_drive(tmp_path / "NODE", board.probe.board_ids[0])
    job = FlashJob(board, IMAGE, board.flash.origin, drive=drive)
    assert msd.flash_by_msd(job, 0.05).verified == "tool"
    assert (drive / "edgecomp.bin").read_bytes() == IMAGE
    (drive / "FAIL.TXT").write_text("The application file format is unknown\r\n")
    with pytest.raises(FlashError, match="format is unknown"):
        msd.flash_by_msd(job, 0.05)


def test_image_behind_a_loader_goes_as_hex(tmp_path):
    board = BOARDS["nucleo_f411re"]
    drive = probe_drive(tmp_path / "NODE", board.probe.board_ids[0])
    (tmp_path / "firmware.hex").write_text(":00000001FF\n")
    job = FlashJob(board, IMAGE, board.flash.origin + 0x4000, drive=drive)
    with pytest.raises(FlashError, match="start of the flash"):
        msd.flash_by_msd(job, 0.05)
    msd.flash_by_msd(replace(job, files={"hex": tmp_path / "firmware.hex"}), 0.05)
    assert (drive / "edgecomp.hex").read_text() == ":00000001FF\n"


def test_drive_of_the_right_board_is_chosen(tmp_path, monkeypatch):
    board = BOARDS["nucleo_f411re"]
    right = probe_drive(tmp_path / "a", board.probe.board_ids[0])
    probe_drive(tmp_path / "b", "0000")
    monkeypatch.setattr("edgecomp.device.flash.drives.MOUNTS", (f"{tmp_path}/*",))
    monkeypatch.setattr(
        msd, "mounted", lambda marker: [p.parent for p in tmp_path.glob(f"*/{marker}")]
    )
    assert msd.probe_drives(board) == [right]


def test_programs_of_others_are_called_with_the_image(tmp_path, monkeypatch):
    board = BOARDS["arduino_nano_33_ble"]
    monkeypatch.setenv("PATH", str(tmp_path))
    job = FlashJob(board, IMAGE, board.image.origin, port="/dev/ttyACM0")
    with pytest.raises(ToolError, match="BOSSA"):
        METHODS["bossac"].run(job)
    program(tmp_path / "bossac", 'echo "$@" > "$0.said"; eval "last=\\${$#}"; exec </dev/null')
    METHODS["bossac"].run(job)
    said = (tmp_path / "bossac.said").read_text()
    assert "--port=/dev/ttyACM0 --offset=0x10000 -e -w -v -R" in said
    program(tmp_path / "bossac", "echo no device found; exit 1")
    with pytest.raises(FlashError, match="no device found"):
        METHODS["bossac"].run(job)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    assert os.access(path, os.X_OK)


def test_methods_are_those_of_the_board_table():
    known = set(FlashMethod.__args__)
    assert set(METHODS) <= known
    assert known - set(METHODS) == {"blhost", "jlink", "vendor"}, "ways that edgecomp only names"
