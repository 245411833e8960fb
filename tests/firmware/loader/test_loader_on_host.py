"""The loader as a program of this host, on models of each family's flash controller.

Compiled with both compilers and with sanitizers; flashed by the product's own host; and every
single step of a flash cut short by a power failure.
"""

import os
import random
import re
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from edgecomp.build.loader import loader_layout, render_loader_config
from edgecomp.build.seal import seal
from edgecomp.build.toolchain import PACKAGES
from edgecomp.device.flash.an3155 import An3155
from edgecomp.device.flash.job import FlashJob
from edgecomp.device.flash.program import Target, program
from edgecomp.errors import FlashError
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import get_board as read_board

get_board = cache(read_board)
HERE = Path(__file__).parent
BOARDS = (
    "mps2-an386",
    "nucleo_f411re",
    "nucleo_f767zi",
    "nucleo_l476rg",
    "nucleo_l4r5zi",
    "nucleo_g071rb",
    "nrf52840dk",
)
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
WARNINGS += ["-Wno-unused-function", "-Wno-unused-variable"]  # a model needs not all of the file
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_loader(
    folder: Path, board_name: str, main: str, *flags: str, compiler: str = "gcc"
) -> Path:
    board = get_board(board_name)
    driver = loader_layout(board).driver
    assert driver is not None
    (folder / "loader_config.h").write_text(render_loader_config(board))
    loader = firmware_dir() / "loader"
    sources = [HERE / main, HERE / "model.c"]
    sources += [loader / f"{name}.c" for name in ("commands", "image", f"flash_{driver}")]
    output = folder / main.removesuffix(".c")
    subprocess.run(
        [
            *(compiler, "-std=gnu99", "-O1", "-g", *WARNINGS, *SANITIZERS, *flags),
            *(f"-DMODEL_{driver.upper()}", f"-I{folder}", f"-I{loader}", f"-I{HERE}"),
            *map(str, sources),
            *("-o", str(output)),
        ],
        check=True,
    )
    return output


@pytest.fixture(scope="session")
def program_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that compiles the loader of a board as a program of this host."""

    @cache
    def build(name: str) -> Path:
        compiler = "clang" if BOARDS.index(name) % 2 else "gcc"
        folder = tmp_path_factory.mktemp(name)
        return compile_loader(folder, name, "serve.c", compiler=compiler)

    return build


class Pipe:
    """The line of a process; keeps what was sent."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.sent = b""

    def read(self, size: int = 1) -> bytes:
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        return os.read(number, size) if select.select([number], [], [], 0.02)[0] else b""

    def write(self, data: bytes, /) -> int:
        assert self.process.stdin is not None
        self.sent += data
        self.process.stdin.write(data)
        return len(data)

    def reset_input_buffer(self) -> None:
        """Nothing is kept here."""


@contextmanager
def session(executable: Path, flash: Path) -> Iterator[tuple[An3155, Pipe]]:
    process = subprocess.Popen(
        [executable, "serve", flash], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    with process:
        line = Pipe(process)
        device = An3155(line, is_eager=True)
        device.open(5.0)
        try:
            yield device, line
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
    assert process.returncode in {0, 42}, "the loader or its model gave up"


def slot_addr(board_name: str, slot: int) -> int:
    board = get_board(board_name)
    layout = loader_layout(board)
    return board.flash.origin + (layout.second_slot if slot else layout.loader_end)


def image_of(board_name: str, seed: str, size: int, slot: int = 0, version: int = 0) -> bytes:
    addr = slot_addr(board_name, slot)
    vectors = (0x20001000).to_bytes(4, "little") + (addr + 0x41).to_bytes(4, "little")
    return seal(vectors + random.Random(seed).randbytes(size - 8), version)


def empty_flash(board_name: str, path: Path) -> Path:
    path.write_bytes(b"\xff" * get_board(board_name).flash.size)
    return path


def write(device: An3155, board_name: str, image: bytes, slot: int = 0) -> None:
    board = get_board(board_name)
    layout = loader_layout(board)
    origin = board.flash.origin
    target = Target(device, device.get(), layout, origin, trusted_crc=True)
    job = FlashJob(board, image, slot_addr(board_name, slot))
    assert program(target, job).verified == "crc"
    device.go(target.protocol_addr(job.addr))


@pytest.mark.parametrize("name", BOARDS)
def test_every_driver_takes_one_image_after_the_other(name, program_of, tmp_path):
    flash = empty_flash(name, tmp_path / "flash.bin")
    offset = loader_layout(get_board(name)).loader_end
    for number, size in enumerate((20_004, 9_000)):
        image = image_of(name, str(number), size)
        with session(program_of(name), flash) as (device, _):
            assert device.get_id() == loader_layout(get_board(name)).product_id
            write(device, name, image)
        content = flash.read_bytes()
        assert content[offset : offset + size] == image
        assert content[:offset] == b"\xff" * offset


@pytest.mark.parametrize("name", BOARDS)
def test_every_driver_reaches_the_last_sector_of_each_bank(name, program_of, tmp_path):
    layout = loader_layout(get_board(name))
    flash = empty_flash(name, tmp_path / "flash.bin")
    flash.write_bytes(b"\0" * get_board(name).flash.size)
    last = len(layout.sectors) - 1
    with session(program_of(name), flash) as (device, _):
        for number in sorted({last, *range(layout.bank_sectors - 1, last, layout.bank_sectors)}):
            sector = layout.sectors[number]
            before = flash.read_bytes()
            device.erase([number], device.get())
            addr = layout.protocol_base + sector.end - 64
            device.write(addr, b"edgecomp" * 8)
            assert device.read(addr, 64) == b"edgecomp" * 8
            after = flash.read_bytes()
            assert after[sector.offset : sector.end - 64] == b"\xff" * (sector.size - 64)
            assert after[: sector.offset] == before[: sector.offset]
            assert after[sector.end :] == before[sector.end :]
        with pytest.raises(FlashError, match="Erase"):
            device.erase([last + 1], device.get())


@pytest.mark.parametrize("name", ["mps2-an386", "nucleo_f411re", "nucleo_g071rb", "nrf52840dk"])
def test_power_cut_at_every_step_leaves_old_new_or_loader(name, program_of, tmp_path):
    flash = empty_flash(name, tmp_path / "flash.bin")
    old, new = image_of(name, "old", 5_000), image_of(name, "new", 5_800)
    with session(program_of(name), flash) as (device, _):
        write(device, name, old)
    shutil.copyfile(flash, tmp_path / "old.bin")
    with session(program_of(name), flash) as (device, line):
        write(device, name, new)
    (tmp_path / "stream.bin").write_bytes(line.sent)
    done = subprocess.run(
        [program_of(name), "cut", tmp_path / "old.bin", flash, tmp_path / "stream.bin"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps, starts_old, starts_new, starts_loader = map(int, done.stdout.split())
    units = 5_800 // loader_layout(get_board(name)).write_bytes
    assert steps >= units, "not every write was cut short"
    assert starts_old >= 1
    assert starts_new >= 1
    assert starts_old + starts_new + starts_loader == steps + 1


@pytest.mark.parametrize("name", ["nucleo_f411re", "nucleo_g071rb"])
def test_power_cut_at_every_step_of_an_update_keeps_the_running_slot(name, program_of, tmp_path):
    """Versions wrap from 65535 to 1; the loader never waits here, as the old stays whole."""
    flash = empty_flash(name, tmp_path / "flash.bin")
    with session(program_of(name), flash) as (device, _):
        write(device, name, image_of(name, "stale", 3_000, slot=1, version=65534), slot=1)
    with session(program_of(name), flash) as (device, _):
        write(device, name, image_of(name, "old", 3_000, version=65535))
    shutil.copyfile(flash, tmp_path / "old.bin")
    with session(program_of(name), flash) as (device, line):
        write(device, name, image_of(name, "new", 3_200, slot=1, version=1), slot=1)
    (tmp_path / "stream.bin").write_bytes(line.sent)
    done = subprocess.run(
        [program_of(name), "cut", tmp_path / "old.bin", flash, tmp_path / "stream.bin"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps, starts_old, starts_new, starts_loader = map(int, done.stdout.split())
    assert steps >= 3_200 // loader_layout(get_board(name)).write_bytes
    assert starts_loader == 0
    assert starts_old == steps
    assert starts_new == 1


def test_ecc_flash_refuses_to_be_written_twice(program_of, tmp_path):
    name = "nucleo_g071rb"
    flash = empty_flash(name, tmp_path / "flash.bin")
    with session(program_of(name), flash) as (device, _):
        device.write(0x08001000, b"\x0f" * 8)
        with pytest.raises(FlashError, match="Write"):
            device.write(0x08001000, b"\x00" * 8)
        device.erase([2], device.get())
        device.write(0x08001000, b"\x00" * 8)
        assert device.read(0x08001000, 8) == b"\x00" * 8


def test_what_follows_a_refused_part_is_no_command(program_of, tmp_path):
    """The data of a refused block is the very command that erases everything."""
    name = "nucleo_g071rb"
    flash = empty_flash(name, tmp_path / "flash.bin")
    image = image_of(name, "a", 4_096)
    with session(program_of(name), flash) as (device, _):
        for at in range(0, len(image), 256):
            device.write(0x08001000 + at, image[at : at + 256])
        for addr in (0x08000000, 0x07000000):
            with pytest.raises(FlashError, match="Write"):
                device.write(addr, b"\x44\xbb\xff\xff\x00" * 8)
        assert device.read(0x08001000, 256) == image[:256]


def test_image_with_too_long_a_length_is_no_image(program_of, tmp_path):
    """The length is not believed before it is known to lie in the flash."""
    name = "nucleo_g071rb"
    flash = empty_flash(name, tmp_path / "flash.bin")
    image = bytearray(image_of(name, "a", 4_096))
    image[0x24:0x28] = (0x7FFFFFFC).to_bytes(4, "little")
    with session(program_of(name), flash) as (device, _):
        for at in range(0, len(image), 256):
            device.write(0x08001000 + at, bytes(image[at : at + 256]))
        with pytest.raises(FlashError, match="Go"):
            device.go(0x08001000)


@pytest.fixture(scope="session")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the fuzzing program."""
    if shutil.which("clang") is None:
        pytest.skip(f"clang is not installed ({PACKAGES['clang']})")
    folder = tmp_path_factory.mktemp("fuzz")
    return compile_loader(folder, "nucleo_g071rb", "fuzz.c", "-fsanitize=fuzzer", compiler="clang")


def fuzz(executable: Path, tmp_path: Path, *options: str) -> None:
    shutil.copytree(HERE / "corpus", tmp_path / "corpus")
    done = subprocess.run(
        [executable, tmp_path / "corpus", "-max_len=1024", "-print_final_stats=1", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (executed,) = re.findall(r"stat::number_of_executed_units: *(\d+)", done.stderr)
    print(f"{executed} inputs")


def test_any_bytes_are_survived(fuzzer, tmp_path):
    fuzz(fuzzer, tmp_path, "-runs=3000", "-seed=1")


@pytest.mark.slow
def test_any_bytes_are_survived_for_ten_minutes(fuzzer, tmp_path):
    fuzz(fuzzer, tmp_path, "-max_total_time=600")
