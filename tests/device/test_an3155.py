"""The AN3155 host against a fake of ST's ROM."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgecomp.device.flash import METHODS, FlashJob, FlashResult, serial_loaders
from edgecomp.device.flash.an3155 import An3155, with_check
from edgecomp.errors import DeviceError, FlashError, LinkTimeout
from edgecomp.targets.boards import get_board
from edgecomp.targets.flash_memory import flash_layout
from tests.device.fake_rom import BASE, FakeRom

BOARD = get_board("nucleo_f446re")
IMAGE = bytes(range(256)) * 160  # 40 KiB: three sectors


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake answers at once, so nobody needs patience."""
    for name, value in (("_ANSWER_S", 0.05), ("_KNOCK_EVERY_S", 0.002), ("_ERASE_S", 0.05)):
        monkeypatch.setattr(f"edgecomp.device.flash.an3155.{name}", value)
    monkeypatch.setattr("edgecomp.device.flash.an3155.drain", lambda line, quiet=0: line.read(999))
    for name in ("_FIRST_S", "_BUTTON_S", "_AFTER_ERASE_S"):
        monkeypatch.setattr(f"edgecomp.device.flash.serial_loaders.{name}", 0.05)


def chip(**options) -> FakeRom:
    layout = flash_layout(BOARD)
    assert layout is not None
    return FakeRom(layout, BOARD.flash.size, **options)


def flash(rom: FakeRom, monkeypatch: pytest.MonkeyPatch, image=IMAGE, **options) -> FlashResult:
    @contextmanager
    def fake_line(port: str, baud: int, parity: str) -> Iterator[FakeRom]:
        assert parity == "even", "the ROM wants even parity"
        yield rom

    monkeypatch.setattr(serial_loaders, "open_line", fake_line)
    return METHODS["an3155"].run(FlashJob(BOARD, image, BASE, port="COM1", **options))


@pytest.mark.parametrize("is_extended", [True, False])
@pytest.mark.parametrize("busy", [0, 3])
def test_image_is_written_compared_and_started(is_extended, busy, monkeypatch):
    rom = chip(is_extended=is_extended, busy=busy)
    rom.flash[:] = b"\0" * len(rom.flash)
    result = flash(rom, monkeypatch)
    assert rom.flash[: len(IMAGE)] == IMAGE
    assert rom.erased == [0, 1, 2]
    assert rom.flash[3 * 16384 :] == b"\0" * (len(rom.flash) - 3 * 16384)
    assert rom.started_at == 0
    assert (result.written_bytes, result.erased_sectors) == (len(IMAGE), 3)
    assert result.verified == "read-back"


def test_only_sectors_that_differ_are_erased(monkeypatch):
    rom = chip()
    rom.flash[: len(IMAGE)] = IMAGE
    rom.flash[0x8001] ^= 1
    result = flash(rom, monkeypatch)
    assert rom.erased == [0, 2]
    assert rom.flash[: len(IMAGE)] == IMAGE
    assert result.erased_sectors == 2


def test_nothing_is_done_where_all_is_there(monkeypatch):
    rom = chip()
    rom.flash[: len(IMAGE)] = IMAGE
    assert flash(rom, monkeypatch).written_bytes == 0
    assert rom.erased == []


def test_first_block_is_written_last(monkeypatch):
    rom = chip()
    order = []
    write = An3155.write

    def spy(self, addr, data):
        order.append(addr)
        write(self, addr, data)

    monkeypatch.setattr(An3155, "write", spy)
    flash(rom, monkeypatch)
    assert order[-1] == BASE
    assert sorted(order) == list(range(BASE, BASE + len(IMAGE), 256))


def test_open_session_is_taken_over(monkeypatch):
    rom = chip()
    rom.write(b"\x7f")
    rom.read(9)
    flash(rom, monkeypatch)
    assert rom.flash[: len(IMAGE)] == IMAGE


@pytest.mark.parametrize("first", [21, 418, 1609, 2801])
def test_flipped_and_lost_bytes_are_repaired(first, monkeypatch):
    # Well apart from each other: a fault during the repair of a fault may end the attempt.
    flipped = frozenset(range(first, 400_000, 20_011))
    lost = frozenset(range(first + 9_973, 400_000, 20_011))
    rom = chip(flipped=flipped, lost=lost)
    flash(rom, monkeypatch)
    assert rom.flash[: len(IMAGE)] == IMAGE
    assert rom.started_at == 0


def test_pulled_cable_is_reported_and_the_command_can_be_repeated(monkeypatch):
    rom = chip()
    rom.silent_after = 20_000
    with pytest.raises(LinkTimeout):
        flash(rom, monkeypatch)
    rom.silent_after = None
    rom.reset()
    flash(rom, monkeypatch)
    assert rom.flash[: len(IMAGE)] == IMAGE


def test_wrong_chip_is_refused_before_anything_is_erased(monkeypatch):
    other = flash_layout(get_board("nucleo_f411re"))
    assert other is not None
    rom = FakeRom(other, 512 * 1024)
    with pytest.raises(FlashError, match=r"0x431.*0x421"):
        flash(rom, monkeypatch)
    assert rom.erased == []


def test_protected_chip_is_left_alone_unless_asked(monkeypatch):
    rom = chip(is_read_protected=True)
    rom.flash[:16] = b"someone's secret"
    with pytest.raises(FlashError, match="--unprotect read --yes"):
        flash(rom, monkeypatch)
    assert rom.flash[:16] == b"someone's secret"
    flash(rom, monkeypatch, unprotect="read")
    assert rom.flash[: len(IMAGE)] == IMAGE
    assert rom.resets == 1


def test_write_protected_sector_is_left_alone_unless_asked(monkeypatch):
    rom = chip(write_protected=frozenset({1}))
    rom.flash[:] = b"\0" * len(rom.flash)
    with pytest.raises(FlashError, match="--unprotect write"):
        flash(rom, monkeypatch)
    assert rom.flash[16384:32768] == b"\0" * 16384
    flash(rom, monkeypatch, unprotect="write")
    assert rom.flash[: len(IMAGE)] == IMAGE


def test_silence_is_explained(monkeypatch):
    with pytest.raises(LinkTimeout, match="BOOT0"):
        flash(chip(silent_after=0), monkeypatch)


def test_worn_flash_is_noticed(monkeypatch):
    rom = chip()
    write = FakeRom._write

    def stuck(self):
        yield from write(self)
        self.flash[0x5000] &= 0xFE

    monkeypatch.setattr(FakeRom, "_write", stuck)
    with pytest.raises(FlashError, match="differs from the image"):
        flash(rom, monkeypatch, image=b"\xff" * 20480 + b"\x01" * 512)


def test_no_command_writes_option_bytes():
    """Write Protect, Readout Protect and Special are not among the commands that are known."""
    source = An3155.__init__.__globals__
    codes = set(source["_NAMES"])
    assert codes == {0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x43, 0x44, 0x73, 0x92, 0xA1}


def test_garbage_is_no_loader():
    class Noise:
        def read(self, size: int = 1) -> bytes:
            return b"\x55"

        def write(self, data: bytes, /) -> int:
            return len(data)

        def reset_input_buffer(self) -> None:
            pass

    with pytest.raises(DeviceError):
        An3155(Noise()).open(0.05)


def test_check_byte_is_the_xor():
    assert with_check(b"\x01\x02\x04") == b"\x01\x02\x04\x07"
