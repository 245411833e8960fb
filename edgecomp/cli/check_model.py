"""`edgecomp check-model`: can this model run on that board, asked before there is any data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edgecomp.cli import options

NAME = "check-model"
EXIT_CODES = {"ok": 0, "refused": 2, "does not fit": 3}


def command(
    model: options.Model,
    board: Annotated[str, typer.Option(help="Board; see `edgecomp boards`.")],
    input_shape: options.InputShape = None,
    optimize: Annotated[
        str, typer.Option(help="What matters most: balanced, speed, size or ram.")
    ] = "balanced",
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Tell which layers of MODEL cannot be compiled and why, and whether it fits a board.

    No data is needed: calibration is done with random samples. What passes is compiled and linked.
    """
    from edgecomp.feasibility import check_model

    found = check_model(
        str(model),
        board,
        input_shapes=options.input_shapes(input_shape),
        optimize=options.choice("--optimize", optimize, ("balanced", "speed", "size", "ram")),  # type: ignore[arg-type]
        boards_file=boards_file,
        say=options.progress(quiet=json),
    )
    if json:
        options.print_json(found)
    else:
        _print(found)
    raise typer.Exit(EXIT_CODES[found["verdict"]])


def _print(found: dict[str, Any]) -> None:
    print(f"model     {Path(found['model']).name}, {found['layers'] or '?'} layers")
    print(f"board     {found['board']} ({found['core']})")
    same: dict[tuple[str, str, str], list[str]] = {}
    for refusal in found["refused"]:
        key = refusal["op"], refusal["reason"], refusal["suggestion"]
        same.setdefault(key, []).append(refusal["layer"])
    for (op, reason, suggestion), (first, *others) in same.items():
        more = f" and {len(others)} more" if others else ""
        where = f" in layer {first!r}{more}" if first else ""
        print(f"refused   {op}{where}: {reason}\n          instead: {suggestion}")
    if "macs" in found:
        flash, ram = found["flash"], found["ram"]
        if "bytes" in flash:
            print(
                f"flash     {flash['bytes']:,} of {flash['board_bytes']:,} bytes, "
                f"weights {flash['weights_bytes']:,}"
            )
            print(f"RAM       {ram['bytes']:,} bytes, arena {ram['arena_bytes']:,}")
        else:
            print(f"arena     {ram['arena_bytes']:,} bytes")
        guessed = found["unmeasured_layers"]
        note = f" ({guessed} of {found['stages']} stages by a guess)" if guessed else ""
        print(
            f"cycles    about {found['modelled_cycles']:,} modelled{note}, MACs {found['macs']:,}"
        )
    if found.get("does_not_fit"):
        print(found["does_not_fit"])
    print(f"verdict   {found['verdict']}")
