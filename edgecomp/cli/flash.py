"""`edgecomp flash`: from a built folder onto a board."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edgecomp.cli import options

NAME = "flash"
_BAR = 30


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `build` made.")],
    image: Annotated[str, typer.Option(help="firmware, check or loader.")] = "firmware",
    port: Annotated[
        str | None, typer.Option(help="Serial port, socket://HOST:PORT, or for swd the probe's id.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="loader, an3155, samba, uf2, msd, swd, ...  [default: best]")
    ] = None,
    baud: Annotated[int | None, typer.Option(help="Rate of the port.  [default: board's]")] = None,
    drive: Annotated[Path | None, typer.Option(help="Where the board's drive is mounted.")] = None,
    verify: Annotated[bool, typer.Option(help="Compare the flash with the image.")] = True,
    start: Annotated[bool, typer.Option(help="Start the image at the end.")] = True,
    unprotect: Annotated[
        str, typer.Option(help="Protection that may be lifted: none, write or read.")
    ] = "none",
    yes: Annotated[bool, typer.Option("--yes", help="Erasing the whole chip is meant.")] = False,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="Refuse an update of more than the weights.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Return to the firmware in the other slot.")
    ] = False,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Flash an image of a built folder; only what differs is erased and written.

    An interrupted command can be repeated.
    """
    from edgecomp.flashing import FlashRequest, flash

    request = FlashRequest(
        folder=folder,
        image=options.choice("--image", image, ("firmware", "check", "loader")),  # type: ignore[arg-type]
        port=port,
        method=method,
        baud=baud,
        drive=drive,
        verify=verify,
        start=start,
        unprotect=options.choice("--unprotect", unprotect, ("none", "write", "read")),  # type: ignore[arg-type]
        yes=yes,
        weights_only=weights_only,
        rollback=rollback,
        boards_file=boards_file,
    )
    shows = sys.stderr.isatty() and not json
    result = flash(request, options.progress(quiet=json), _show if shows else _show_nothing)
    if json:
        options.print_json(result)
    else:
        print(_summary(result))


def _show(what: str, done: int, total: int) -> None:
    """Draw a bar that the next call replaces."""
    filled = _BAR * done // total if total else _BAR
    bar = "#" * filled + "." * (_BAR - filled)
    end = "\n" if done == total else ""
    print(f"\r  {what:<10} [{bar}] {done:>9,} of {total:,}", end=end, file=sys.stderr, flush=True)


def _show_nothing(what: str, done: int, total: int) -> None:
    """For pipes and files."""


def _summary(result: Mapping[str, Any]) -> str:
    if not result["written_bytes"]:
        done = "was there already"
    else:
        done = f"{result['written_bytes']:,} bytes in {result['seconds']:.1f} s"
        done += f" ({result['kib_per_s']} KiB/s)"
    verified = "not verified" if result["verified"] == "no" else f"verified ({result['verified']})"
    started = "started" if result["started"] else "not started"
    place = "" if result["slot"] is None else f" (version {result['version']})"
    return f"{result['image']}{place} on {result['board']}: {done}, {verified}, {started}"
