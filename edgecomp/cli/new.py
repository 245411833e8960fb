"""`edgecomp new`: what a network of the zoo would cost on a board, before training."""

from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "new"


def command(
    architecture: Annotated[
        str, typer.Argument(metavar="ARCH", help="Network of the zoo: resnet8, ds-cnn ...")
    ],
    board: Annotated[str, typer.Option(help="Board; see `edgecomp boards`.")],
    shape: Annotated[
        str | None, typer.Option("--input", help="Channels, height, width: 3,32,32")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    width: Annotated[float | None, typer.Option(help="Factor of the channels.")] = None,
    depth: Annotated[float | None, typer.Option(help="Factor of the blocks.")] = None,
    optimize: Annotated[
        str, typer.Option(help="What matters most: balanced, speed, size or ram.")
    ] = "balanced",
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Tell flash, RAM and modelled cycles of a network before it is trained."""
    from edgecomp.draft import draft, zoo_source

    given = {"width": width, "depth": depth, "input": shape, "classes": classes}
    found = draft(
        zoo_source(architecture, given),
        board,
        optimize=options.choice("--optimize", optimize, ("balanced", "speed", "size", "ram")),  # type: ignore[arg-type]
        boards_file=boards_file,
        say=options.progress(quiet=json),
    )
    if json:
        options.print_json(found)
        return
    flash, ram = found["flash"], found["ram"]
    print(
        f"model     {found['model']}\n"
        f"board     {found['board']} ({found['core']})\n"
        f"MACs      {found['macs']:,}, {found['parameters']:,} parameters\n"
        f"flash     {flash['total_bytes']:,} bytes: weights {flash['weights_bytes']:,}, "
        f"code {flash['code_bytes']:,}\n"
        f"RAM       {ram['total_bytes']:,} bytes: arena {ram['arena_bytes']:,}\n"
        f"cycles    {found['modelled_cycles']:,} modelled, {found['instructions']:,} instructions"
    )
    print(
        f"\ntrain it: edgecomp compress '{found['model']}' --data train.npz --test test.npz "
        "-s train=30 -o trained"
    )
