"""`edgecomp check`: run samples on the device and compare with the host, bit for bit."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "check"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `build` made.")],
    data: options.Data = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Samples that run on the device; 0 for all.")
    ] = 100,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Compare every tensor of every sample.")
    ] = False,
    engine: Annotated[str, typer.Option(help="Where to run: qemu or host.")] = "qemu",
    port: options.Ports = None,
    baud: options.Baud = None,
    journal: Annotated[
        Path | None, typer.Option(help="Where answers of boards are kept until all are there.")
    ] = None,
    layout: options.Layout = None,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Compare the device with the host, bit for bit.

    The integer reference says what every tensor must be; the accuracy of the device is measured.
    With --port the firmware on real boards is asked, or on virtual ones (`edgecomp emulate`); a
    check that was cut short goes on where it stopped.
    """
    from edgecomp.checking import check
    from edgecomp.report.render import print_check

    report = check(
        folder,
        data,
        limit=limit,
        all_tensors=tensors,
        engine=options.choice("--engine", engine, ("qemu", "host")),
        lines=options.lines(port, baud, quiet=json, journal_file=journal),
        layout=layout,
        boards_file=boards_file,
    )
    if json:
        options.print_json(report)
    else:
        print_check(report, folder)
