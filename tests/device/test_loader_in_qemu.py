"""The resident loader in QEMU, flashed by the product's own host."""

import time
from contextlib import suppress

import pytest

from edgecomp.device.flash import METHODS, FlashJob, FlashResult
from edgecomp.device.flash.an3155 import An3155
from edgecomp.device.flash.line import Line, open_line
from edgecomp.errors import FlashError, LinkTimeout
from tests.device.applications import application, ask, get_board, name_of
from tests.device.virtual_board import VirtualBoard, virtual_board

pytestmark = pytest.mark.device

ORIGIN = 0x4000
PATIENCE_S = 6.0
LEAST_KIB_PER_S, MOST_TRIES = 15, 20
BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500")
OTHER_BOARDS = ("mps2-an505", "mps3-an547")


def flash(running: VirtualBoard, image: bytes, **options) -> FlashResult:
    addr = running.board.flash.origin + ORIGIN
    return METHODS["loader"].run(FlashJob(running.board, image, addr, port=running.port, **options))


@pytest.mark.parametrize(
    ("name", "tcp"),
    [
        *((name, tcp) for name in BOARDS for tcp in (False, True)),
        *((name, True) for name in OTHER_BOARDS),
    ],
)
def test_empty_board_takes_one_application_after_the_other(name, tcp, loader_of, tmp_path):
    with virtual_board(get_board(name), tmp_path, elf=loader_of(name), tcp=tcp) as running:
        first = flash(running, application(name, "A"))
        assert (first.written_bytes, first.verified, first.started) == (4096, "crc", True)
        assert name_of(running.port) == "A"
        running.reset()
        assert name_of(running.port) == "A"

        call_loader(running)
        second = flash(running, application(name, "B", 20000))
        assert (second.written_bytes, second.erased_sectors) == (20000, 2)
        assert name_of(running.port) == "B"
        running.reset()
        assert name_of(running.port) == "B"


def call_loader(running: VirtualBoard) -> None:
    with open_line(running.port, 115200) as line:
        line.write(b"L")


def test_only_sectors_that_differ_are_written(loader_of, tmp_path):
    name = "mps2-an386"
    image = application(name, "A", 40000)
    with virtual_board(get_board(name), tmp_path, elf=loader_of(name)) as running:
        assert flash(running, image, start=False).erased_sectors == 3
        again = flash(running, image, start=False)
        assert (again.written_bytes, again.erased_sectors) == (0, 0)
        # Bytes that differ in the last sector alone: it and the one with the seal are written.
        other = bytearray(image)
        other[-1] ^= 0xFF
        changed = flash(running, bytes(other), start=False)
        assert (changed.erased_sectors, changed.written_bytes) == (2, 16384 + 40000 - 32768)


def test_knock_after_reset_reaches_the_loader(loader_of, tmp_path):
    name = "mps2-an386"
    with virtual_board(get_board(name), tmp_path, elf=loader_of(name)) as running:
        flash(running, application(name, "A"))
        with open_line(running.port, 115200) as line:
            knock_after_reset(running, line)
        # A host that says nothing more is not waited for. The emulator's clock may be slow.
        for _ in range(6):
            time.sleep(PATIENCE_S)
            with open_line(running.port, 115200) as line:
                if ask(line, 0.5) == "A":
                    return
        pytest.fail("the loader waits for ever")


def knock_after_reset(running: VirtualBoard, line: Line) -> None:
    """Reset until a knock comes in time: a tenth of a second is short on a busy machine."""
    for _ in range(10):
        running.reset()
        with suppress(LinkTimeout):
            An3155(line).open(1.0)
            return
    pytest.fail("no knock is heard after a reset")


def test_damaged_application_is_not_started(loader_of, tmp_path):
    name = "mps2-an386"
    image = bytearray(application(name, "A"))
    image[-1] ^= 1
    with virtual_board(get_board(name), tmp_path, elf=loader_of(name)) as running:
        with pytest.raises(FlashError, match="Go"):
            flash(running, bytes(image))
        running.reset()
        with open_line(running.port, 115200) as line:
            An3155(line).open(5.0)


def test_loader_refuses_to_touch_itself(loader_of, tmp_path):
    name = "mps2-an386"
    elf = loader_of(name)
    own = elf.with_suffix(".bin").read_bytes()
    with virtual_board(get_board(name), tmp_path, elf=elf) as running:
        with open_line(running.port, 115200) as line:
            device = An3155(line)
            device.open(5.0)
            with pytest.raises(FlashError, match="Write"):
                device.write(0x08000000, b"\0" * 256)
            with pytest.raises(FlashError, match="Write"):
                device.write(0x08003F80, b"\0" * 256)
            with pytest.raises(FlashError, match="Erase"):
                device.erase([0], device.get())
            with pytest.raises(FlashError, match="Erase"):
                device.erase([1, 0], device.get())
            with pytest.raises(FlashError, match="Write"):
                device.write(0x08400000, b"\0" * 4)
            with pytest.raises(FlashError, match="Read"):
                device.read(0x0C000000, 4)
            with pytest.raises(FlashError, match="Go"):
                device.go(0x08000000)
        assert running.flash(tmp_path, len(own)) == own


@pytest.mark.slow
def test_64_kib_over_a_pseudo_terminal_are_quick_enough(loader_of, tmp_path):
    """At least 15 KiB/s with comparison; the best of five, or of more on a busy machine."""
    name = "mps2-an386"
    rates = []
    with virtual_board(get_board(name), tmp_path, elf=loader_of(name)) as running:
        for number in range(MOST_TRIES):
            begun = time.monotonic()
            result = flash(running, application(name, "AB"[number % 2], 65536), start=False)
            rates.append(result.written_bytes / 1024 / (time.monotonic() - begun))
            assert result.written_bytes == 65536
            if number >= 4 and max(rates) >= LEAST_KIB_PER_S:
                break
    print(f"64 KiB over a pseudo terminal, with comparison: {max(rates):.1f} KiB/s")
    assert max(rates) >= LEAST_KIB_PER_S, rates
