"""Options that several commands share, and how their values are read."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecomp.errors import UserError

if TYPE_CHECKING:
    from edgecomp.lines import Lines
    from edgecomp.request import StreamRequest

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="model.onnx, model.pt2, file.py:factory or zoo:NAME")
]
ModelOrRecipe = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="model.onnx, model.pt2, file.py:factory or zoo:NAME; the recipe's unless given",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Data = Annotated[
    str | None,
    typer.Option("--data", help="Samples: FILE.npz, FILE.py:function, or digits."),
]
CalibrationData = Annotated[
    str | None,
    typer.Option(help="Another data set that calibrates, so that all of --data measures."),
]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="Recipe file (YAML).")]
InputShape = Annotated[
    list[str] | None,
    typer.Option(help="Shape of the input, as 1,28,28, or NAME=1,28,28 (may be repeated)."),
]
Calibration = Annotated[
    str | None, typer.Option(help="auto, minmax, percentile, mse or entropy  [default: auto]")
]
CalibrationSamples = Annotated[int, typer.Option(min=1, help="Samples that calibrate.")]
Numerics = Annotated[
    str | None,
    typer.Option(help="Integer arithmetic: edgecomp or tflite; a quantized file keeps its own."),
]
Activations = Annotated[
    str | None,
    typer.Option(help="Bits of activations: int8, or int16 for audio and other wide ranges."),
]
FloatLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--float", metavar="LAYER", help="Compute this layer in float32 (name or glob; repeatable)."
    ),
]
Layout = Annotated[str | None, typer.Option(help="How one sample lies: hwc, chw, hw, wc or cw.")]
Scale = Annotated[float | None, typer.Option(help="Preprocessing: real = (x*scale - mean) / std.")]
Mean = Annotated[str | None, typer.Option(help="Mean, one number or one per channel: 0.5,0.5,0.5")]
Std = Annotated[str | None, typer.Option(help="Standard deviation, one or one per channel.")]
Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--port", help="A board's serial port, or socket://host:port; several share the work."
    ),
]
Baud = Annotated[
    int | None, typer.Option(min=1200, help="Rate to change to after the greeting, bits/s.")
]
BoardsFile = Annotated[Path | None, typer.Option(help="A table of boards of your own (YAML).")]


@dataclass
class Interruption:
    """What a command leaves behind when it is interrupted, for people."""

    leaves: str = "nothing was changed"


interruption = Interruption()


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is allowed.

    Raises:
        UserError: it is not.
    """
    if value not in allowed:
        raise UserError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def given(name: str, value: str | None, of_recipe: str | None) -> str:
    """Return what a command was given, or what the recipe says.

    Raises:
        UserError: neither says anything.
    """
    found = value or of_recipe
    if found is None:
        key = {"MODEL": "model", "--board": "target: {board: ...}"}[name]
        raise UserError(f"give {name}, or a recipe with {key}")
    return found


def input_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """Read `--input-shape` values; an unnamed one has the key `""`.

    >>> input_shapes(["1,28,28"])
    {'': (1, 28, 28)}
    """
    if not texts:
        return None
    shapes = {}
    for text in texts:
        name, _, numbers = text.rpartition("=")
        try:
            shapes[name] = tuple(int(n) for n in numbers.replace("x", ",").split(","))
        except ValueError as error:
            raise UserError(f"--input-shape {text!r}: write it as 1,28,28") from error
        if min(shapes[name]) < 1:
            raise UserError(f"--input-shape {text!r}: sizes must be positive")
    return shapes


def preprocessing(
    scale: float | None, mean: str | None, std: str | None, layout: str | None
) -> dict[str, Any]:
    """Collect the preprocessing that was given by options."""
    given: dict[str, Any] = {"scale": scale, "layout": layout}
    for name, text in (("mean", mean), ("std", std)):
        if text is not None:
            try:
                numbers = tuple(float(n) for n in text.split(","))
            except ValueError as error:
                raise UserError(f"--{name} {text!r}: write numbers, as 0.5 or 0.5,0.5") from error
            given[name] = numbers[0] if len(numbers) == 1 else numbers
    return {name: value for name, value in given.items() if value is not None}


def stream(wanted: bool, axis: int | None, frames: int | None) -> "StreamRequest | None":
    """Read `--stream` and what goes with it.

    Raises:
        UserError: something goes with it, but it is not given.
    """
    from edgecomp.request import StreamRequest

    if wanted:
        return StreamRequest(axis, frames)
    if axis is not None or frames is not None:
        raise UserError("--stream-axis and --stream-frames go with --stream")
    return None


def progress(quiet: bool) -> Callable[[str], None]:
    """Return what is called with each line of progress; it goes to standard error."""

    def say(text: str) -> None:
        if not quiet:
            print(f"  {text}", file=sys.stderr, flush=True)

    return say


def lines(
    ports: Sequence[str] | None,
    baud: int | None,
    *,
    quiet: bool,
    journal: bool = True,
    journal_file: Path | None = None,
) -> "Lines | None":
    """Read `--port`, `--baud` and `--journal`; None without a port.

    Raises:
        UserError: a rate or a journal is given, but no port.
    """
    from edgecomp.lines import Lines

    if not ports:
        if baud is not None or journal_file is not None:
            raise UserError("--baud and --journal go with a --port")
        return None

    def show(done: int, total: int) -> None:
        if not quiet and sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r  {done:,} of {total:,} samples", end=end, file=sys.stderr, flush=True)

    return Lines(tuple(ports), baud, journal, journal_file, progress=show)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2))
