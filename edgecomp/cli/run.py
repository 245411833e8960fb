"""`edgecomp run`: give a built model inputs and take its outputs."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "run"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `build` made.")],
    input: Annotated[
        Path, typer.Option(help="FILE.npz or .npy: x = real values, or x_q = raw codes.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where to write y_q (codes) and y (real values), .npz.")
    ] = None,
    engine: Annotated[str, typer.Option(help="qemu, host or reference.")] = "qemu",
    port: options.Ports = None,
    baud: options.Baud = None,
    dump_tensors: Annotated[
        Path | None, typer.Option(help="Write every stored tensor, codes and real values, .npz.")
    ] = None,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Run a built model on inputs of yours."""
    from edgecomp.checking import run
    from edgecomp.report.render import print_outputs

    result = run(
        folder,
        input,
        output,
        engine=options.choice("--engine", engine, ("qemu", "host", "reference")),
        lines=options.lines(port, baud, quiet=json, journal=False),
        dump_tensors=dump_tensors,
        boards_file=boards_file,
    )
    if json:
        options.print_json(result)
    else:
        print_outputs(result)
