"""`edgecomp boards`: what can be built for, and what is plugged in."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from edgecomp.cli import options
from edgecomp.errors import UserError

if TYPE_CHECKING:
    from edgecomp.targets.boards import Board

NAME = "boards"


def command(
    name: Annotated[str | None, typer.Argument(help="Show this board alone.")] = None,
    detect: Annotated[
        bool, typer.Option("--detect", help="List what is plugged in and which board it may be.")
    ] = False,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """List the boards, show one, or look for attached ones."""
    from edgecomp.report.render import print_board, print_boards
    from edgecomp.targets.boards import get_board, load_boards

    boards = load_boards(boards_file)
    if detect:
        if name:
            raise UserError("--detect looks for every board: leave the name out")
        _detect(boards, json)
        return
    chosen = [get_board(name, boards_file)] if name else list(boards.values())
    if json:
        values = [
            {**dataclasses.asdict(board), "core": board.core.name, "verified": board.verified}
            for board in chosen
        ]
        options.print_json(values[0] if name else values)
    elif name:
        print_board(chosen[0])
    else:
        print_boards(chosen)


def _detect(boards: Mapping[str, "Board"], json: bool) -> None:
    """Print what is plugged in."""
    from edgecomp.device.flash.attached import attached

    found = attached(boards)
    if json:
        options.print_json([dataclasses.asdict(one) for one in found])
    elif not found:
        typer.echo(
            "nothing is plugged in: no serial port on USB, no drive of a probe or boot loader"
        )
    for one in () if json else found:
        typer.echo(f"{one.where}  {one.usb}  {one.what}".rstrip())
        if one.by == "board id":
            typer.echo(f"  is {one.boards[0]}, by its probe's board id")
        elif one.by == "same probe":
            typer.echo(f"  is likely {one.boards[0]}: the only probe's drive with such an id")
        elif one.boards:
            typer.echo(f"  has the USB id of: {', '.join(one.boards)}")
        else:
            typer.echo("  is no board of the table")
