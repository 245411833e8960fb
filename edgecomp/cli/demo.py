"""`edgecomp demo`: the whole way on real data, in a minute."""

import time
from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "demo"
BOARD = "mps2-an386"
TEST_SHARE = 4
"""One digit in four is never trained on: those calibrate and measure."""


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("demo-out"),
    board: Annotated[str, typer.Option(help="An emulated board.")] = BOARD,
    json: options.Json = False,
) -> None:
    """Train, build, run and check a small network.

    It reads handwritten digits and takes about a minute.
    """
    import numpy as np

    from edgecomp.data.sources import read_arrays
    from edgecomp.paths import write_atomically
    from edgecomp.pipeline import build
    from edgecomp.report.render import print_report
    from edgecomp.request import Request
    from edgecomp.zoo.digits import INPUT_SCALE, train_digits

    begin = time.monotonic()
    say = options.progress(quiet=json)
    digits = read_arrays("digits")
    is_test = np.arange(len(digits["y"])) % TEST_SHARE == 0
    work = out.with_name(f"{out.name}-input")
    work.mkdir(parents=True, exist_ok=True)
    data = work / "digits_test.npz"
    say(f"training on {int((~is_test).sum())} digits of scikit-learn's set")
    train_digits(digits["x"][~is_test], digits["y"][~is_test], work / "digits.pt2")
    np.savez(data, x=digits["x"][is_test], y=digits["y"][is_test])
    write_atomically(work / "recipe.yaml", f"data: {{scale: {INPUT_SCALE}}}\n")
    report = build(
        Request(
            model=str(work / "digits.pt2"),
            board=board,
            out=out,
            data=str(data),
            recipe=work / "recipe.yaml",
            calibration_samples=100,
            limit=0,
        ),
        say,
    )
    if json:
        options.print_json(report)
        return
    print_report(report, out)
    print(f"took {time.monotonic() - begin:.0f} s")
