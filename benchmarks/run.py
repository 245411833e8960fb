"""Build the benchmark networks for every core, compare bits, count, and print the table.

    EDGECOMP_DATA=... python -m benchmarks.run [--boards B ...] [--models M ...] [--keep]
    EDGECOMP_DATA=... python -m benchmarks.run --boards mps2-an386 --compare

Calibration: 200 samples of each network's own data set (`tests/e2e/real_models.py` says which).
Every tensor of 20 random inputs is compared with the integer reference before anything is counted.
`--keep` writes RESULTS.md and results.json; `--compare` fails where a figure is more than 1 % worse
than the kept one.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.anchors import (
    TFLM_INSTRUCTIONS,
    TFLM_M4_ARENA_BYTES,
    TFLM_M4_CYCLES,
    TFLM_M4_FLASH_BYTES,
)
from edgecomp.errors import DoesNotFitError
from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from tests.e2e.real_models import BOARDS, MODELS, request

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
TABLE = HERE / "RESULTS.md"
HEAD = """\
# Results

Made by `python -m benchmarks.run --keep`. Instructions are counted in QEMU by the plugin of
`edgecomp profile`; cycles are *modelled* ([docs/cycles.md](../docs/cycles.md)), never measured.
Every tensor of 20 inputs was equal to the integer reference. One inference; sizes in bytes; per MAC
of the model as it came, dead channels included. "TFLM" is how many times fewer instructions these
are than those of TensorFlow Lite for Microcontrollers with CMSIS-NN (`anchors.py`).

| board | network | optimize | instructions | per MAC | TFLM | modelled cycles | per MAC \
| arena | static | stack | code | weights | flash |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""
OPTIMIZE = ("balanced",)
COMPARED = ("instructions", "modelled_cycles", "arena_bytes", "stack_bytes", "code_bytes")
TOLERANCE = 0.01


def measure(name: str, board: str, optimize: str, data_dir: Path, work: Path) -> dict[str, Any]:
    """Build one network for one board and count one inference.

    Raises:
        SystemExit: device and host differ.
    """
    asked = request(name, board, data_dir, work, optimize=optimize)
    report = build(replace(asked, data=None, calibration_data=asked.data, limit=20))
    if report["bit_exact"]["mismatches"] != 0:
        sys.exit(f"{name} on {board}: {report['bit_exact']}")
    profile = profile_folder(asked.out)
    return {
        "instructions": profile["instructions"],
        "modelled_cycles": profile["modelled_cycles"],
        "macs": report["macs"],
        "macs_model": report["macs_model"],
        **report["ram"],
        "code_bytes": report["flash"]["code_bytes"],
        "weights_bytes": report["flash"]["weights_bytes"],
        "flash_bytes": report["flash"]["total_bytes"],
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown, beside what others reach."""
    lines = [HEAD]
    for key, value in results.items():
        board, name, optimize = key.split("/")
        macs = value["macs_model"]
        tflm = TFLM_INSTRUCTIONS.get(board, {}).get(name)
        times = f"{tflm / value['instructions']:.2f}" if tflm else ""
        lines.append(
            f"| {board} | {name} | {optimize} | {value['instructions']:,} "
            f"| {value['instructions'] / macs:.2f} | {times} | {value['modelled_cycles']:,} "
            f"| {value['modelled_cycles'] / macs:.2f} | {value['arena_bytes']:,} "
            f"| {value['static_bytes']:,} | {value['stack_bytes']:,} | {value['code_bytes']:,} "
            f"| {value['weights_bytes']:,} | {value['flash_bytes']:,} |"
        )
    lines += [
        "",
        "TFLM with CMSIS-NN on the Cortex-M4, for comparison:",
        "",
        "| network | modelled cycles | arena | flash |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {TFLM_M4_CYCLES[name]:,} | {TFLM_M4_ARENA_BYTES[name]:,} "
        f"| {TFLM_M4_FLASH_BYTES[name]:,} |"
        for name in TFLM_M4_CYCLES
    ]
    return "\n".join(lines) + "\n"


def worse(found: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """Figures that are more than 1 % worse than the kept ones."""
    return [
        f"{key}: {found[key]:,} instead of {kept[key]:,} ({found[key] / kept[key] - 1:+.1%})"
        for key in COMPARED
        if found[key] > kept[key] * (1 + TOLERANCE)
    ]


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
    data_dir = Path(os.environ["EDGECOMP_DATA"])
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results = dict(kept)
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        for board in options.boards:
            for name in options.models:
                for optimize in options.optimize:
                    key = f"{board}/{name}/{optimize}"
                    try:
                        found = measure(name, board, optimize, data_dir, Path(temporary))
                    except DoesNotFitError as error:
                        print(f"{key}: {str(error).splitlines()[0]}")
                        continue
                    results[key] = found
                    print(f"{key}: {found['instructions']:,} instructions", flush=True)
                    if key in kept:
                        failures += [f"{key} {text}" for text in worse(found, kept[key])]
    print(table(results))
    if options.keep:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        TABLE.write_text(table(results))
    for failure in failures:
        print(f"worse: {failure}")
    return 1 if options.compare and failures else 0


if __name__ == "__main__":
    sys.exit(main())
