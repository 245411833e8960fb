"""The kept figures as Markdown, beside what others reach and what we aim for."""

from pathlib import Path
from typing import Any

from benchmarks.anchors import (
    GOALS,
    TFLM_INSTRUCTIONS,
    TFLM_M4_ARENA_BYTES,
    TFLM_M4_CYCLES,
    TFLM_M4_FLASH_BYTES,
)

PAGE = Path(__file__).parent / "RESULTS.md"
HEAD = """\
# Results

Made by `python -m benchmarks.run --keep`. Instructions are counted in QEMU by the plugin of
`edgecomp profile`; cycles are *modelled* ([docs/cycles.md](../docs/cycles.md)), never measured.
Every tensor of 20 inputs was equal to the integer reference. One inference; sizes in bytes; per MAC
of the model as it came, dead channels included. "TFLM" is how many times fewer instructions these
are than those of TensorFlow Lite for Microcontrollers with CMSIS-NN (`anchors.py`). "code" is what
the model takes beside its weights; "app" is what the firmware has around it: start-up, console and
protocol. The bound is what no plan of these stages can go below.

| board | network | optimize | instructions | per MAC | TFLM | modelled cycles | per MAC \
| arena | bound | static | stack | code | app | weights | flash |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


def row(key: str, value: dict[str, Any]) -> str:
    """One line of the table."""
    board, name, optimize = key.split("/")
    macs = value["macs_model"]
    tflm = TFLM_INSTRUCTIONS.get(board, {}).get(name)
    times = f"{tflm / value['instructions']:.2f}" if tflm else ""
    return (
        f"| {board} | {name} | {optimize} | {value['instructions']:,} "
        f"| {value['instructions'] / macs:.2f} | {times} | {value['modelled_cycles']:,} "
        f"| {value['modelled_cycles'] / macs:.2f} | {value['arena_bytes']:,} "
        f"| {value['bound_bytes']:,} | {value['static_bytes']:,} | {value['stack_bytes']:,} "
        f"| {value['code_bytes']:,} | {value['application_bytes']:,} "
        f"| {value['weights_bytes']:,} | {value['flash_bytes']:,} |"
    )


def goals(figures: dict[str, dict[str, Any]]) -> list[str]:
    """Every goal with what was reached, the missed ones marked."""
    lines = ["", "Goals:", "", "| what | network | reached | goal | |", "|---|---|--:|--:|---|"]
    for what, (key, figure, wanted) in GOALS.items():
        for name, goal in wanted.items():
            found = figures.get(key.format(name), {}).get(figure)
            if found is not None:
                mark = "met" if found <= goal else f"{found / goal - 1:+.0%}"
                lines.append(f"| {what} | {name} | {found:,} | {goal:,} | {mark} |")
    return lines


def results_page(figures: dict[str, dict[str, Any]], page: Path = PAGE) -> None:
    """Write RESULTS.md."""
    lines = [HEAD, *(row(key, value) for key, value in figures.items()), *goals(figures)]
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
    page.write_text("\n".join(lines) + "\n")
