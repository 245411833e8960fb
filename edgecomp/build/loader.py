"""Building the resident loader, which lies in the first sectors of the flash.

It takes an application over the console's UART, speaks the commands of ST's AN3155 there, and
never writes to its own sectors. Applications are linked behind it (`behind_loader`) and sealed
(`build.seal`).
"""

import shutil
from dataclasses import replace
from pathlib import Path

from edgecomp.build.board_files import (
    render_board_config,
    render_board_template,
    render_link_script,
    render_startup,
)
from edgecomp.build.flags import FIRMWARE_FLAGS, WARNING_FLAGS
from edgecomp.build.toolchain import run_tool
from edgecomp.errors import UserError
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import Board, Region
from edgecomp.targets.flash_memory import Driver, FlashLayout, flash_layout, loader_obstacle

LOADER = "loader"
_STACK_BYTES = 512
_MAILBOX_BYTES = 8  # BOARD_MAILBOX in board_config.h
_SOURCES = ("main.c", "boot.c", "commands.c", "image.c", "line.c")
_HEADERS = (
    *("boot.h", "button.h", "commands.h", "flash.h", "idle.h", "image.h", "line.h"),
    "memory.h",
)
_BUTTONS: dict[Driver, str] = {"stm32f4": "stm32", "stm32l4": "stm32", "nrf52": "nrf52"}
"""By the driver of the flash: whose pins `firmware/loader/button_<name>.c` reads."""


def loader_layout(board: Board) -> FlashLayout:
    """Return the flash of a board that can have the loader.

    Raises:
        UserError: it cannot; the message says why.
    """
    layout, obstacle = flash_layout(board), loader_obstacle(board)
    if layout is None or obstacle is not None:
        raise UserError(
            f"{board.name} cannot have the resident loader: {obstacle}\n"
            "  build without --loader; docs/flashing.md says how the board is flashed then"
        )
    return layout


def behind_loader(board: Board) -> Board:
    """Return `board` with images linked behind the resident loader.

    Raises:
        UserError: it cannot have one.
    """
    return replace(board, link_offset=loader_layout(board).loader_end)


def in_slots(board: Board) -> tuple[Board, Board]:
    """Return `board` with images linked for the first and for the second slot behind the loader.

    Raises:
        UserError: it cannot have a loader.
    """
    layout = loader_layout(board)
    first = replace(
        board,
        link_offset=layout.loader_end,
        reserved_end_bytes=board.flash.size - layout.second_slot,
    )
    return first, replace(board, link_offset=layout.second_slot)


def button_driver(board: Board) -> str:
    """Return the name of `firmware/loader/button_<name>.c` for `board`.

    Raises:
        UserError: it has a button whose pin the loader cannot read.
    """
    if board.button is None:
        return "none"
    driver = loader_layout(board).driver
    if driver not in _BUTTONS:
        raise UserError(
            f"{board.name}: the resident loader cannot read a button of {board.mcu}\n"
            "  leave `button` out of the board's entry"
        )
    return _BUTTONS[driver]


def render_loader_config(board: Board) -> str:
    """Return `loader_config.h`: the flash of `board`, where the application lies, the button."""
    return render_board_template(
        "loader_config.h.j2",
        board=board,
        layout=loader_layout(board),
    )


def loader_elf(board: Board, folder: Path) -> Path:
    """Build the loader of `board` in `folder`.

    Args:
        board: as in the board table; not one that `behind_loader` returned.
        folder: gets loader.elf, loader.bin and loader.hex, and a folder loader/ with the sources.

    Returns:
        The path of loader.elf.

    Raises:
        UserError: the board cannot have a loader.
        ToolError: the toolchain is missing or failed, or the loader does not fit its sectors.
    """
    layout = loader_layout(board)
    work = folder / LOADER
    work.mkdir(parents=True, exist_ok=True)
    idle = "cmsdk" if board.console.port == "cmsdk_uart" else "poll"
    sources = [
        *_SOURCES,
        f"idle_{idle}.c",
        f"flash_{layout.driver}.c",
        f"button_{button_driver(board)}.c",
    ]
    for name in (*sources, *_HEADERS):
        shutil.copyfile(firmware_dir() / LOADER / name, work / name)
    port = firmware_dir() / "port"
    for path in (port / board.console.port / "port.c", port / "port_common.c", *port.glob("*.h")):
        shutil.copyfile(path, work / path.name)
    for name in ("startup.h", "attributes.h"):
        shutil.copyfile(firmware_dir() / "app" / name, work / name)
    own = _own_room(board, layout)
    for name, text in (
        ("startup.c", render_startup(own)),
        ("board_config.h", render_board_config(board)),
        ("loader_config.h", render_loader_config(board)),
        ("link.ld", render_link_script(own, _STACK_BYTES)),
    ):
        (work / name).write_text(text, encoding="utf-8", newline="\n")

    compiled = [f"{LOADER}/{name}" for name in (*sources, "port.c", "port_common.c", "startup.c")]
    command = ("arm-none-eabi-gcc", "-std=c99", *board.core.gcc_flags, "-Os")
    links = ("-nostdlib", f"-T{LOADER}/link.ld", "-Wl,--gc-sections", "-Wl,--build-id=none")
    flags = [flag.replace("$PWD", str(folder)) for flag in (*FIRMWARE_FLAGS, *WARNING_FLAGS)]
    run_tool(
        [*command, *flags, f"-I{LOADER}", *links, *compiled, "-lc", "-lgcc", "-o", "loader.elf"],
        folder,
    )
    for form, suffix in (("binary", "bin"), ("ihex", "hex")):
        run_tool(
            ["arm-none-eabi-objcopy", "-O", form, "loader.elf", f"loader.{suffix}"],
            folder,
        )
    return folder / "loader.elf"


def _own_room(board: Board, layout: FlashLayout) -> Board:
    """Return the board as the loader sees it: its own sectors, and the RAM below the mailbox."""
    flash = Region(board.flash.name, board.flash.origin, layout.loader_end)
    data = Region(board.data.name, board.data.origin, board.data.size - _MAILBOX_BYTES)
    return replace(
        board,
        flash=flash,
        ram=(data,),
        data_region="",
        link_offset=0,
        reserved_end_bytes=0,
    )
