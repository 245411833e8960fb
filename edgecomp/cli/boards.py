"""`edgecomp boards`: what can be built for."""

import dataclasses
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "boards"


def command(
    name: Annotated[str | None, typer.Argument(help="Show this board alone.")] = None,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """List the boards, or show one."""
    from edgecomp.report.render import print_board, print_boards
    from edgecomp.targets.boards import get_board, load_boards

    chosen = [get_board(name, boards_file)] if name else list(load_boards(boards_file).values())
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
