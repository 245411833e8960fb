"""What the loader decides after a reset; that every loader links, and with its board's button."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgecomp.build import verify_isa
from edgecomp.build.loader import button_driver, loader_elf, loader_layout, render_loader_config
from edgecomp.errors import UserError
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import load_boards
from edgecomp.targets.flash_memory import LOADER_BYTES, loader_obstacle

HERE = Path(__file__).parent
BOARDS = load_boards()
WITH_LOADER = [name for name, board in BOARDS.items() if loader_obstacle(board) is None]
WITH_BUTTON = [name for name in WITH_LOADER if BOARDS[name].button is not None]
NEVER = -1
START = "starts 0x8004000"


@pytest.fixture(scope="session")
def boot_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that runs the decision for a board, as a program of this host."""

    @cache
    def build(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        board = BOARDS[name]
        (folder / "loader_config.h").write_text(render_loader_config(board))
        loader = firmware_dir() / "loader"
        subprocess.run(
            [
                *("gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"),
                *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
                *("-Wno-unused-variable", "-Wno-unused-function"),  # of what the model may need
                *(f"-I{folder}", f"-I{loader}", f"-I{firmware_dir() / 'port'}"),
                *(str(HERE / "boot_model.c"), str(loader / "boot.c")),
                *(str(loader / f"button_{button_driver(board)}.c"), "-o", str(folder / "boot")),
            ],
            check=True,
        )
        return folder / "boot"

    def run(name: str, *, called=0, whole=1, pressed=(NEVER, NEVER), knock=NEVER) -> str:
        arguments = [str(number) for number in (called, whole, *pressed, knock)]
        done = subprocess.run(
            [build(name), *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    ("what", "decision"),
    [
        ({}, f"{START} at 100"),
        ({"whole": 0}, "waits at 0"),
        ({"called": 1}, "waits at 0"),
        ({"knock": 60}, "serves, greeted, at 60"),
        ({"knock": 100}, f"{START} at 100"),
    ],
)
def test_no_button_leaves_call_image_and_knock(what, decision, boot_of):
    assert boot_of("mps2-an386", **what) == decision


@pytest.mark.parametrize("name", ["nucleo_f446re", "nucleo_l4r5zi", "nucleo_g071rb", "nrf52840dk"])
@pytest.mark.parametrize(
    ("what", "decision"),
    [
        ({}, f"{START} at 100"),
        ({"pressed": (0, 9999)}, "waits at 20"),
        (
            {"pressed": (0, 5)},
            f"{START} at 120",
        ),  # a capacitor that charges, a contact that bounces
        ({"pressed": (50, 9999)}, f"{START} at 100"),
        ({"pressed": (0, 9999), "called": 1}, "waits at 0"),
        ({"pressed": (0, 9999), "whole": 0}, "waits at 0"),
        ({"pressed": (0, 5), "knock": 3}, "serves, greeted, at 3"),
        ({"pressed": (0, 5), "knock": 60}, "serves, greeted, at 60"),
    ],
)
def test_a_held_button_keeps_the_loader_waiting(name, what, decision, boot_of):
    assert boot_of(name, **what) == decision


@pytest.mark.parametrize("name", WITH_LOADER)
def test_every_loader_links_and_reads_its_button(name, tmp_path):
    board = BOARDS[name]
    elf = loader_elf(board, tmp_path)
    image = (tmp_path / "loader.bin").read_bytes()
    assert len(image) <= LOADER_BYTES <= loader_layout(board).loader_end
    verify_isa(elf, board.core)
    with elf.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        sizes = {symbol.name: symbol["st_size"] for symbol in table.iter_symbols()}
    assert "Reset_Handler" in sizes
    assert (sizes["button_is_pressed"] > 4) == (board.button is not None)  # 4: "no", and back


def test_most_boards_with_a_loader_have_a_button():
    hardware = {name for name in WITH_LOADER if BOARDS[name].kind == "hardware"}
    assert hardware - set(WITH_BUTTON) == {"nucleo_f767zi"}  # sources differ on its level


def test_a_button_that_cannot_be_read_is_refused():
    board = replace(BOARDS["mps2-an386"], button=BOARDS["nucleo_f446re"].button)
    with pytest.raises(UserError, match="leave `button` out"):
        button_driver(board)
