"""`edgecomp tune`: measure every kernel again and keep the table."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "tune"
MEASURED = ("cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55")


def command(
    core: Annotated[
        list[str] | None, typer.Option(help="Core to measure; all six unless given.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for the tables; edgecomp's own unless given."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure what each kernel costs on each core, in the emulator.

    Builds choose kernels by these tables; `edgecomp build --tune` measures one model's own layers.
    """
    from edgecomp.paths import write_atomically
    from edgecomp.plan.costs import FOLDER, to_json
    from edgecomp.targets.cores import get_core
    from edgecomp.tuning import tune_core

    folder = out or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name in core or MEASURED:
        measured = get_core(name)
        table = tune_core(measured, options.progress(quiet=json))
        write_atomically(folder / f"{measured.name}.json", to_json(table, measured))
        counts[measured.name] = {kernel: len(found) for kernel, found in table.points.items()}
        if not json:
            print(f"{measured.title}: {len(table.points)} kernels -> {measured.name}.json")
    if json:
        options.print_json({"folder": str(folder), "points": counts})
