"""`edgecomp emulate`: a virtual board with a serial port, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "emulate"


def command(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="An emulated board.")],
    firmware: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A built folder whose firmware it runs.")
    ] = None,
    loader: Annotated[
        bool, typer.Option("--loader", help="Start with the resident loader alone, to be flashed.")
    ] = False,
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Offer a socket:// port instead of a terminal's.")
    ] = False,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Run a virtual board in QEMU and print its serial port.

    `edgecomp check DIR --port PORT`, `run`, `flash` and `monitor` treat it as a real board.
    """
    from edgecomp.device.qemu import emulator_of
    from edgecomp.device.virtual import virtual_board
    from edgecomp.emulation import image_for
    from edgecomp.targets.boards import get_board

    entry = get_board(board, boards_file)
    emulator_of(entry)
    with (
        image_for(entry, firmware, loader=loader, boards_file=boards_file) as elf,
        virtual_board(entry, elf, tcp=tcp) as virtual,
    ):
        if json:
            options.print_json({"board": entry.id, "port": virtual.port})
        else:
            print(virtual.port, flush=True)
            print(f"{entry.name} runs until Ctrl-C")
        virtual.wait()
