"""Reports as text for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgecomp.report.boards_manual import loader_text
from edgecomp.targets.boards import Board

WIDTH = 120
_COUNTER_NAMES = {"dwt": "the DWT's cycle counter", "systick": "SysTick"}


def _console() -> Console:
    return Console(width=WIDTH, highlight=False)


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None, metric: str | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" if metric in {"accuracy", "top5"} else f"{value:.6g}"


def print_report(report: Mapping[str, Any], folder: Path) -> None:
    """Print what a build made and measured."""
    console = _console()
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "op", "kernel"):
        table.add_column(title)
    for title in ("MACs", "weights", "arena at", "SQNR dB"):
        table.add_column(title, justify="right")
    for layer in report["layers"]:
        table.add_row(
            escape(layer["name"][:36]),
            "+".join(layer["ops"]),
            layer["kernel"],
            _number(layer["macs"]),
            _number(layer["weights_bytes"]),
            _number(layer["arena_offset"]),
            _number(layer["sqnr_db"], 1),
        )
    console.print(table)
    _print_summary(console, report)
    console.print(f"written to {escape(str(folder))}/: src/, firmware.elf, check.elf, report.json")


def _print_summary(console: Console, report: Mapping[str, Any]) -> None:
    flash, ram = report["flash"], report["ram"]
    memories = ram["memories"]
    first, second = ram["arena_bytes"] - ram["second_arena_bytes"], ram["second_arena_bytes"]
    arena = f"arena {first:,} in {memories['arena']}"
    if second:
        arena += f" and {second:,} in {memories['second_arena']}"
    console.print(
        f"\nboard     {report['board']} ({report['core']})\n"
        f"MACs      {report['macs']:,}"
        + (f" (model: {report['macs_model']:,})" if report["macs"] != report["macs_model"] else "")
        + f"\nflash     {flash['total_bytes']:,} bytes: "
        f"weights {flash['weights_bytes']:,}, code {flash['code_bytes']:,} "
        f"(of which start-up, console and protocol {flash['application_bytes']:,})\n"
        f"RAM       {ram['total_bytes']:,} bytes: {arena}, "
        f"static {ram['static_bytes']:,}, stack {ram['stack_bytes']:,} (worst case)"
    )
    for entry in report["float_layers"]:
        asked = "" if entry["asked"] == entry["layer"] else f" (--float {entry['asked']})"
        console.print(f"float32   {escape(entry['layer'] + asked)} because asked")
    for entry in report["left_in_integers"]:
        console.print(f"integers  {escape(entry['layer'])}: {entry['reason']}")
    _print_measured(console, report)


def _print_measured(console: Console, report: Mapping[str, Any]) -> None:
    accuracy, bits = report["accuracy"], report["bit_exact"]
    metric = accuracy["metric"]
    if metric:
        console.print(
            f"{metric:9} float {_percent(accuracy['float'], metric)}, "
            f"{report['activations']} {_percent(accuracy['int8'], metric)} "
            f"({accuracy['samples']:,} samples), "
            f"device {_percent(accuracy['device'], metric)} "
            f"({_number(accuracy['device_samples'])} samples)"
        )
    if bits["mismatches"] is None:
        console.print(
            "bits      not run: the board is not emulated, or the harness does not fit beside the "
            "model;\n          `edgecomp check --engine host` compares on this machine"
        )
    elif bits["mismatches"] == 0:
        console.print(
            f"bits      equal to the host's: {bits['tensors']} tensors, {bits['samples']:,} samples"
        )
    else:
        console.print(f"bits      {bits['mismatches']:,} ELEMENTS DIFFER from the host's")


def print_check(report: Mapping[str, Any], folder: Path) -> None:
    """Print what a check compared."""
    console = _console()
    checked, observed = report["check"], report["observed"]
    console.print(f"checked   {escape(str(folder))} ({checked['engine']})")
    _print_measured(console, report)
    console.print(
        f"tensors   {checked['tensors_compared']} of each of {checked['tensor_samples']:,} samples"
    )
    if checked["few_codes"]:
        listed = ", ".join(f"{name} ({count})" for name, count in checked["few_codes"].items())
        console.print(f"          fewer than 10 different codes in: {escape(listed)}")
    if "ports" in checked:
        _print_boards_on_lines(console, checked)
    elif observed["stack_bytes"]:
        console.print(
            f"stack     {observed['stack_bytes']:,} bytes used by the check image; "
            f"arena {observed['arena_bytes']:,} bytes written, nothing outside it"
        )


def _print_boards_on_lines(console: Console, checked: Mapping[str, Any]) -> None:
    """Print time, memory and troubles of the boards that were asked over serial lines."""
    if checked["resumed_samples"]:
        console.print(f"resumed   {checked['resumed_samples']:,} samples were in the journal")
    for port in checked["ports"]:
        console.print(f"board     {escape(port['port'])}: {port['samples']:,} samples")
        if port["cycles"]:
            cycles = port["cycles"]
            console.print(
                f"latency   {cycles['median']:,} cycles ({cycles['min']:,} to {cycles['max']:,}) "
                f"by {_COUNTER_NAMES[port['counter']]}: {port['ms']:.3f} ms "
                f"at {port['counter_hz'] / 1e6:g} MHz"
            )
        elif port["samples"]:
            console.print(
                "latency   not known: "
                + (
                    "the board has no counter"
                    if port["counter"] == "none"
                    else f"{_COUNTER_NAMES[port['counter']]} of an emulator counts no cycles"
                )
            )
        if port["samples"]:
            console.print(
                f"memory    stack {port['stack_bytes']:,} of {port['stack_room_bytes']:,} bytes "
                f"used, arena {port['arena_bytes']:,} bytes"
            )
        console.print(
            f"line      {port['requests']:,} requests, {port['repeats']:,} repeated, "
            f"{port['damaged_frames']:,} damaged answers, {port['resets']:,} resets, "
            f"{port['reconnects']:,} reconnections"
        )
    for note in checked["notes"]:
        console.print(f"note      {escape(note)}")


def print_outputs(result: Mapping[str, Any]) -> None:
    """Print the outputs of a run, a line per sample."""
    for name, output in result["outputs"].items():
        for sample, (values, best) in enumerate(
            zip(output["values"], output["argmax"], strict=True)
        ):
            shown = " ".join(f"{value:.5g}" for value in values[:10])
            more = f" … ({len(values)} values)" if len(values) > 10 else ""
            print(f"{name}[{sample}] largest at {best}: {shown}{more}")


def print_boards(boards: Sequence[Board]) -> None:
    """Print the table of boards."""
    table = Table(box=None, pad_edge=False)
    for title in ("board", "core", "flash", "RAM", "verified", "name"):
        table.add_column(title, justify="right" if title in {"flash", "RAM"} else "left")
    for board in boards:
        table.add_row(
            board.id,
            board.core.name,
            f"{board.flash.size // 1024:,} K",
            f"{sum(region.size for region in board.ram) // 1024:,} K",
            board.verified,
            board.name,
        )
    _console().print(table)


def print_board(board: Board) -> None:
    """Print all that is known of one board."""
    lines = [
        f"{board.id}: {board.name}",
        f"  verified  {board.verified}",
        f"  core      {board.core.title} at {board.clock_hz / 1e6:g} MHz after reset",
        f"  mcu       {board.mcu or '-'}",
        f"  flash     {board.flash.size // 1024:,} K at {board.flash.origin:#010x}"
        + (f", image behind {board.link_offset:#x}" if board.link_offset else ""),
        *(
            f"  ram       {region.size // 1024:,} K at {region.origin:#010x} ({region.name})"
            for region in board.ram
        ),
        f"  console   {board.console.uart}, {board.console.baud} baud {board.console.route}",
    ]
    if board.flash_methods:
        lines.append(f"  flashing  {', '.join(board.flash_methods)}")
    lines.append(f"  loader    {loader_text(board)}")
    if board.unconfirmed:
        lines.append(f"  unsure    {', '.join(board.unconfirmed)}")
    if board.notes:
        lines.append(f"  notes     {board.notes}")
    print("\n".join(lines))
