"""Build the int8 TFLite files for every core, compare bits, count, and print the table.

    EDGECOMP_DATA=... python -m benchmarks.tflite [--boards B ...] [--models M ...] [--keep]

The files are compiled as they are: TFLite's arithmetic, no calibration. Every tensor of 20 random
inputs is compared with the integer reference, whose outputs are those of PyPI's `tflite-micro`
(`tests/witness/test_tflite_micro.py`). `--keep` writes TFLITE.md and tflite.json; figures of other
boards and networks stay as they are there.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.anchors import (
    TFLM_ARENA_BYTES,
    TFLM_INSTRUCTIONS,
    TFLM_M4_CYCLES,
    TFLM_M4_FLASH_BYTES,
)
from benchmarks.run import measure

FILES = {
    "kws": "kws_dscnn/kws_ref_model_int8.tflite",
    "ic": "ic_resnet8/pretrainedResnet_int8.tflite",
    "vww": "vww_mobilenetv1_025/vww_96_int8.tflite",
    "ad": "ad_autoencoder/ad01_int8.tflite",
    "ic_large": "ic_resnet8_large/pretrainedResnet_large_int8.tflite",
}
BOARDS = (
    "mps2-an385-v6m",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
)
GOAL = "balanced"
KEPT = Path(__file__).parent / "tflite.json"
PAGE = Path(__file__).parent / "TFLITE.md"
HEAD = """\
# int8 TFLite files

Made by `python -m benchmarks.tflite --keep`. The files as they are, with TFLite's arithmetic
([docs/numerics.md](../docs/numerics.md)), `--optimize balanced`. Every stored tensor of 20 random
inputs was equal to the integer reference on every core, and the reference's outputs to those of
PyPI's `tflite-micro` (`tests/witness/test_tflite_micro.py`). Instructions are counted in QEMU;
cycles are *modelled* ([docs/cycles.md](../docs/cycles.md)), never measured. TFLM: the same file in
TensorFlow Lite for Microcontrollers with CMSIS-NN (`anchors.py`); where a figure of it is missing,
it was not measured on that core. Files that edgecomp itself writes:
[TFLITE-EXPORT.md](TFLITE-EXPORT.md).

| board | file | instructions | TFLM | times fewer | modelled cycles | TFLM | arena | TFLM \
| flash | TFLM |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def row(board: str, name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    tflm = TFLM_INSTRUCTIONS[board].get(name)
    m4 = board == "mps2-an386"
    cells = [
        board,
        name,
        _number(found["instructions"]),
        _number(tflm),
        f"{tflm / found['instructions']:.2f}" if tflm else "",
        _number(found["modelled_cycles"]),
        _number(TFLM_M4_CYCLES.get(name) if m4 else None),
        _number(found["arena_bytes"]),
        _number(TFLM_ARENA_BYTES.get(board, {}).get(name)),
        _number(found["flash_bytes"]),
        _number(TFLM_M4_FLASH_BYTES.get(name) if m4 else None),
    ]
    return f"| {' | '.join(cells)} |"


def page(figures: dict[str, Any]) -> str:
    """The table of all kept figures."""
    rows = [
        row(board, name, figures[f"{board}/{name}"])
        for board in BOARDS
        for name in FILES
        if f"{board}/{name}" in figures
    ]
    return "\n".join([HEAD, *rows]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    parser.add_argument("--models", nargs="+", default=list(FILES))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args(arguments)
    if "EDGECOMP_DATA" not in os.environ:
        print("EDGECOMP_DATA is not set: the benchmark networks are not part of the repository")
        return 2
    models = Path(os.environ["EDGECOMP_DATA"]) / "models"
    figures: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        for board in options.boards:
            for name in options.models:
                found = measure(models / FILES[name], 0, board, GOAL, Path(work) / name)
                if isinstance(found, str):
                    print(f"{board}/{name}: {found}", flush=True)
                    continue
                print(row(board, name, found), flush=True)
                figures[f"{board}/{name}"] = found
                if options.keep:
                    KEPT.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
                    PAGE.write_text(page(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
