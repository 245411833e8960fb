"""The manual's page of the boards, generated from the table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from edgecomp.targets.boards import Board, load_boards
from edgecomp.targets.flash_memory import loader_obstacle

_HEAD = """\
# Boards

Generated from `boards.yaml` by `python -m edgecomp.report.boards_manual docs/boards.md`;
do not edit.

How far a board was verified, and never more than was done:

- *runs in the emulator*: images run in QEMU and are compared with the host, bit for bit.
- *links, pins checked*: images link, their layout is tested (vector table, boot headers, memory
  regions), and the console's pins were looked up in the vendor's or a board support file.
- *links, facts unconfirmed*: the same, but what stands under *unconfirmed* was not looked up.

No image of a hardware board has run on its silicon here. Boards with a Cortex-M85 are built as
Cortex-M55, since gcc 12 does not know the M85.
"""


def render_boards(boards: Sequence[Board]) -> str:
    """Return the page as Markdown: a table of all boards, then more of each hardware board."""
    lines = [_HEAD, *_table(boards), ""]
    for board in boards:
        if board.kind == "hardware":
            lines += _paragraph(board)
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(boards: Sequence[Board]) -> list[str]:
    rows = ["| board | core | flash for images | RAM | verified |", "|---|---|---|---|---|"]
    for board in boards:
        ram = sum(region.size for region in board.ram)
        rows.append(
            f"| `{board.id}` | {board.core.name} | {_size(board.image.size)} | {_size(ram)} "
            f"| {board.verified} |"
        )
    return rows


def _size(size: int) -> str:
    return f"{size // 1024:,} K"


def _paragraph(board: Board) -> list[str]:
    """Return five lines or so: console, memories, image, how it is flashed, what is not known."""
    console = board.console
    pins = ", ".join(
        f"{line} {pin.name}" for line, pin in (("TX", console.tx), ("RX", console.rx)) if pin
    )
    memories = ", ".join(f"{region.name} {_size(region.size)}" for region in board.ram)
    arenas = " or ".join(region.name for region in board.arenas)
    lines = [
        f"## {board.name}",
        "",
        f"- `{board.id}`: {board.mcu}, {board.core.title} at {board.clock_hz / 1e6:g} MHz",
        f"- console: {console.uart} ({pins}), {console.baud} baud; {console.route}",
        f"- memories: {memories}; stack and data in {board.data.name}, arena in {arenas}",
        f"- image: {_image(board)}",
        f"- flashing, best first: {', '.join(board.flash_methods)}{_rom(board)}",
        f"- resident loader: {loader_text(board)}",
    ]
    if board.unconfirmed:
        lines.append(f"- unconfirmed: {', '.join(board.unconfirmed)}")
    if board.notes:
        lines.append(f"- {board.notes}")
    return [*lines, ""]


def loader_text(board: Board) -> str:
    """Return whether a board can have the resident loader, and what holds it."""
    obstacle = loader_obstacle(board)
    if obstacle is not None:
        return f"no, and no updates in slots: {obstacle}"
    button = board.button
    held = f"; {button.name} held {button.active} at reset keeps it waiting" if button else ""
    return f"yes, and updates in two slots{held}"


def _image(board: Board) -> str:
    text = f"from {board.image.origin:#010x}"
    if board.link_offset:
        text += f", behind a bootloader of {_size(board.link_offset)}"
    if board.boot_header:
        text += f", with the boot header of {board.boot_header}"
    return text + f", vector table at {board.vectors_addr:#010x}"


def _rom(board: Board) -> str:
    if board.rom_uart is None:
        return ""
    reach = {
        "impossible": "not over the console",
        "likely": "over the console as well, most likely",
        "unknown": "over the console perhaps",
    }[board.rom_uart.over_console]
    return f"; the ROM listens on {' or '.join(board.rom_uart.pins)}, {reach}"


if __name__ == "__main__":
    page = render_boards(tuple(load_boards().values()))
    Path(sys.argv[1]).write_text(page, encoding="utf-8", newline="\n")
