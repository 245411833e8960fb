"""`edgecomp export`: a built network in the file of another runtime."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "export"


def command(
    folder: Annotated[Path, typer.Argument(help="Folder that `edgecomp build` made.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Output file, .onnx or .tflite.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="tflite or qdq  [default: as the file is named]")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write the quantized network of FOLDER as TFLite or QDQ ONNX.

    It is the network that the firmware computes: channels that never change are gone.
    """
    from edgecomp.exporting import SUFFIXES, export_built

    wanted = file_format and options.choice("--format", file_format, tuple(SUFFIXES))
    export_built(folder, out, wanted or None)
    if json:
        options.print_json({"output": out.name, "bytes": out.stat().st_size})
    else:
        print(f"wrote {out}, {out.stat().st_size:,} bytes")
