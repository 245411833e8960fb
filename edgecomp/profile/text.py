"""A profile as a table for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

_SHOWN_FUNCTIONS = 8
_NAME_WIDTH = 28


def layer_table(profile: Mapping[str, Any]) -> Table:
    """The layers with what each cost, and the total."""
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "kernel"):
        table.add_column(title)
    for title in ("MACs", "instructions", "per MAC", "modelled cycles", "per MAC", "share"):
        table.add_column(title, justify="right")
    total = profile["modelled_cycles"]
    for index, layer in enumerate(profile["layers"]):
        table.add_row(
            escape(f"L{index:02d} {_shortened(layer['name'])}"),
            layer["kernel"],
            *_numbers(layer),
            f"{100 * layer['modelled_cycles'] / max(1, total):.1f} %",
        )
    table.add_row("one inference", "", *_numbers(profile), "", style="bold")
    return table


def _shortened(name: str) -> str:
    """The end of a long name, which tells layers apart better than its beginning."""
    return name if len(name) <= _NAME_WIDTH else "…" + name[1 - _NAME_WIDTH :]


def _numbers(entry: Mapping[str, Any]) -> tuple[str, ...]:
    macs = entry["macs"]

    def per_mac(number: int) -> str:
        return f"{number / macs:.2f}" if macs else "-"

    return (
        f"{macs:,}" if macs else "-",
        f"{entry['instructions']:,}",
        per_mac(entry["instructions"]),
        f"{entry['modelled_cycles']:,}",
        per_mac(entry["modelled_cycles"]),
    )


def summary(profile: Mapping[str, Any]) -> str:
    """What stands below the table: classes, functions, time, and where the numbers come from."""
    timing, counted = profile["timing"], profile["counted"]
    rough = " (ROUGH: a sketch of the pipeline)" if timing["rough"] else ""
    lines = [
        f"classes   {_shares(profile['classes'].items(), profile['instructions'])}",
        "functions "
        + _shares(
            [(f["name"], f["instructions"]) for f in profile["functions"][:_SHOWN_FUNCTIONS]],
            profile["instructions"],
        ),
        f"time      {profile['modelled_ms']:.3f} ms modelled at {profile['clock_hz'] / 1e6:g} MHz "
        f"({profile['board']})",
        f"cycles    modelled, not measured: {timing['model']}{rough}, memory without wait states",
        f"          {timing['source']}",
        f"sample    {profile['sample']}",
    ]
    if boot := profile["boot"]:
        lines.append(
            f"boot      {boot['instructions']:,} instructions, {boot['modelled_cycles']:,} cycles "
            f"modelled, {boot['modelled_ms']:.3f} ms: once, weights are decoded"
        )
    if profile["emulated_board"] != profile["board"]:
        lines.append(f"counted   on {profile['emulated_board']}, linked for it from the same C")
    if counted["layers"] == "stages" and profile["layers"]:
        lines.append("layers    each run by itself, some ten instructions of dispatch included")
    if counted["note"]:
        lines.append(f"note      {counted['note']}")
    return escape("\n".join(lines))


def _shares(entries: Sequence[tuple[str, int]] | Any, total: int) -> str:
    return ", ".join(f"{name} {100 * number / max(1, total):.1f} %" for name, number in entries)
