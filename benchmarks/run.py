"""Build the benchmark networks for every core, compare bits, count, and print the table.

    EDGECOMP_DATA=... python -m benchmarks.run [--boards B ...] [--models M ...] [--keep]
    EDGECOMP_DATA=... python -m benchmarks.run --boards mps2-an386 --compare

Calibration: 200 samples of each network's own data set (`tests/e2e/real_models.py` says which).
Every tensor of 20 random inputs is compared with the integer reference before anything is counted.
Where figures differ from the kept ones, both are printed. `--keep` writes RESULTS.md and
results.json; `--compare` fails where a figure is more than 1 % worse than the best ever kept,
unless `trades.yaml` gives the reason.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from benchmarks.kept import Kept
from benchmarks.table import results_page
from edgecomp.artifact import open_artifact
from edgecomp.build.compile import Optimize
from edgecomp.errors import DoesNotFitError
from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from edgecomp.request import Request
from tests.e2e.real_models import BOARDS, MODELS, request

OPTIMIZE: tuple[str, ...] = get_args(Optimize)
SMALL = ("har", "mnist")
"""Networks that are measured with `balanced` only."""


def quantized(name: str, data_dir: Path, work: Path) -> tuple[Path, int]:
    """Quantize a network once; return its QDQ file and the MACs of the model as it came."""
    asked = request(name, BOARDS[-1], data_dir, work)
    report = build(replace(asked, data=None, calibration_data=asked.data, limit=1))
    return asked.out / "model_int8.onnx", int(report["macs_model"])


def measure(model: Path, macs: int, board: str, optimize: str, work: Path) -> dict[str, Any] | str:
    """Build one quantized network for one board and count one inference.

    Returns:
        The figures, or why the network does not fit.

    Raises:
        RuntimeError: device and host differ.
    """
    name = model.parent.name.partition("-")[0]
    out = work / f"{name}-{board}-{optimize}"
    try:
        report = build(Request(str(model), board, out, optimize=optimize, limit=20))  # type: ignore[arg-type]
    except DoesNotFitError as error:
        return str(error).splitlines()[0]
    if report["bit_exact"]["mismatches"] != 0:
        raise RuntimeError(f"{name} on {board}: {report['bit_exact']}")
    profile = profile_folder(out)
    bound = open_artifact(out).manifest["plan"]["lower_bound_bytes"]
    flash = report["flash"]
    return {
        "instructions": profile["instructions"],
        "modelled_cycles": profile["modelled_cycles"],
        "macs": report["macs"],
        "macs_model": macs,
        **report["ram"],
        "bound_bytes": bound,
        "code_bytes": flash["code_bytes"] - flash["application_bytes"],
        "application_bytes": flash["application_bytes"],
        "weights_bytes": flash["weights_bytes"],
        "flash_bytes": flash["total_bytes"],
    }


def jobs(
    boards: Sequence[str], models: Sequence[str], optimize: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """What is measured: board, network and goal, in the order of the table."""
    for board in boards:
        for name in models:
            for goal in optimize:
                if goal == "balanced" or name not in SMALL:
                    yield board, name, goal


def run(asked: Sequence[tuple[str, str, str]], data_dir: Path, kept: Kept) -> list[str]:
    """Measure, put the figures into `kept`, and return what became worse."""
    failures = []
    with tempfile.TemporaryDirectory() as temporary, ProcessPoolExecutor(2) as pool:
        work = Path(temporary)
        names = list(dict.fromkeys(name for _, name, _ in asked))
        first = {name: pool.submit(quantized, name, data_dir, work) for name in names}
        later = {
            (board, name, goal): pool.submit(measure, *first[name].result(), board, goal, work)
            for board, name, goal in asked
        }
        for (board, name, goal), future in later.items():
            key, found = f"{board}/{name}/{goal}", future.result()
            if isinstance(found, str):
                print(f"{key}: {found}", flush=True)
                continue
            print(
                f"{key}: {found['instructions']:,} instructions, "
                f"{found['modelled_cycles']:,} modelled cycles, arena {found['arena_bytes']:,}, "
                f"code {found['code_bytes']:,}, flash {found['flash_bytes']:,}",
                flush=True,
            )
            for change in kept.changes(key, found):
                print(f"  {change}", flush=True)
            failures += kept.worse(key, found)
            kept.put(key, found)
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--optimize", nargs="+", default=list(OPTIMIZE))
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args(arguments)
    if "EDGECOMP_DATA" not in os.environ:
        print("EDGECOMP_DATA is not set: the benchmark networks are not part of the repository")
        return 2
    kept = Kept.read()
    asked = list(jobs(options.boards, options.models, options.optimize))
    failures = run(asked, Path(os.environ["EDGECOMP_DATA"]), kept)
    if options.keep:
        kept.write()
        results_page(kept.figures)
    for failure in failures:
        print(f"worse: {failure}")
    return 1 if options.compare and failures else 0


if __name__ == "__main__":
    sys.exit(main())
