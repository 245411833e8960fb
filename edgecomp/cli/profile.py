"""`edgecomp profile`: what one inference costs, layer by layer."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "profile"
_WIDTH = 128


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `build` made.")],
    data: options.Data = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page with a chart of the layers.")
    ] = None,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Count the instructions of one inference, and model its cycles, per layer."""
    from rich.console import Console

    from edgecomp.paths import write_atomically
    from edgecomp.profile.chart import profile_page
    from edgecomp.profile.text import layer_table, summary
    from edgecomp.profiling import profile_folder

    profile = profile_folder(folder, data, boards_file=boards_file)
    if html is not None:
        write_atomically(html, profile_page(profile))
    if json:
        options.print_json(profile)
        return
    console = Console(width=_WIDTH, highlight=False)
    console.print(layer_table(profile))
    console.print(f"\n{summary(profile)}", soft_wrap=True)
    if html is not None:
        console.print(f"written to {html}", soft_wrap=True, markup=False)
