"""Sizes of an image whose every byte is known."""

from pathlib import Path

import pytest

from edgecomp.build.board_files import render_link_script
from edgecomp.build.placement import Placement
from edgecomp.build.sizes import Symbol, fit_problems, measure, symbol_at
from edgecomp.build.toolchain import run_tool
from edgecomp.errors import InternalError
from edgecomp.targets.boards import get_board

SOURCE = """
#define IN(name) __attribute__((section(name), used))
const unsigned vectors[16] IN(".vectors") = {1};
const signed char weights[101] IN(".rodata.ec_weights.w") = {1};
const signed char table[30] IN(".rodata.table") = {2};
unsigned counter IN(".data.counter") = 7;
unsigned char zeros[10] IN(".bss.zeros");
unsigned char arena[1000] __attribute__((section(".bss.arena"), used, aligned(16)));
void Reset_Handler(void) { for (;;) {} }
"""


def link(tmp_path: Path, name: str, stack_bytes: int = 256) -> Path:
    board = get_board(name)
    (tmp_path / "code.c").write_text(SOURCE)
    placement = Placement(board.arenas[1 if name == "nucleo_h743zi2" else 0])
    (tmp_path / "link.ld").write_text(render_link_script(board, stack_bytes, placement))
    flags = [*board.core.gcc_flags, "-Os", "-nostdlib", "-Wl,--build-id=none", "-Tlink.ld"]
    run_tool(["arm-none-eabi-gcc", *flags, "code.c", "-o", "code.elf"], tmp_path)
    run_tool(["arm-none-eabi-objcopy", "-O", "binary", "code.elf", "code.bin"], tmp_path)
    return tmp_path / "code.elf"


# One RAM for everything, and two: data in DTCM, the arena in AXI SRAM.
@pytest.mark.parametrize("name", ["mps2-an386", "nucleo_h743zi2"])
def test_every_byte_is_counted_once(tmp_path, name):
    sizes = measure(link(tmp_path, name))
    assert sizes.flash_bytes == (tmp_path / "code.bin").stat().st_size
    assert sizes.weights_bytes == 101
    assert sizes.code_bytes == sizes.flash_bytes - 101
    assert sizes.arena_bytes == 1000
    assert sizes.stack_bytes == 256
    padding = 12 if name == "mps2-an386" else 0  # before an arena that is aligned to 16
    assert sizes.static_bytes == 4 + padding + 12
    assert sizes.ram_bytes == 1000 + 256 + sizes.static_bytes
    assert [s.name for s in sizes.symbols[:3]] == ["arena", "weights", "vectors"]


def test_fit_is_decided_to_the_byte(tmp_path):
    board = get_board("microbit")
    sizes = measure(link(tmp_path, "microbit"))
    room = board.data.size - sizes.arena_bytes - sizes.static_bytes
    assert fit_problems(sizes, board, room) == ()
    (problem,) = fit_problems(sizes, board, room + 1)
    assert problem == "RAM (ram): needs 16,385 bytes, has 16,384, 1 too many"


def test_two_rams_are_decided_apart(tmp_path):
    board = get_board("nucleo_h743zi2")
    sizes = measure(link(tmp_path, board.id))
    (problem,) = fit_problems(sizes, board, board.data.size)
    assert problem.startswith("RAM for stack and data (dtcm): needs 131,")


def test_stack_must_keep_eight_bytes_alignment():
    with pytest.raises(InternalError, match="not a multiple of 8"):
        render_link_script(get_board("microbit"), 100)


def test_symbols_are_found_by_address():
    symbols = (Symbol("run", 0x101, 16), Symbol("table", 0x200, 4))
    assert symbol_at(symbols, 0x10F) == "run+0xf"
    assert symbol_at(symbols, 0x110) == ""
