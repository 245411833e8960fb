"""Boards on serial lines that run the firmware of a built folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgecomp.artifact import BuiltModel
from edgecomp.build import measure, symbol_at
from edgecomp.device.bench import SerialBench
from edgecomp.device.connection import RECONNECT_S
from edgecomp.device.journal import Journal
from edgecomp.device.serial_port import open_port
from edgecomp.device.serial_session import SerialSession
from edgecomp.errors import UserError
from edgecomp.plan.planner import macs_of

JOURNAL = "check.journal"
FIRMWARE = "firmware.elf"
_SLOW_CYCLES_PER_MAC = 100
"""No kernel on any core needs nearly as many."""


@dataclass(frozen=True)
class Lines:
    """How to reach boards.

    Attributes:
        ports: device files, or `socket://host:port`; all of them run the same firmware.
        baud: the rate to change to after the greeting; None stays at the board's own.
        journal: keep answers until all are there.
        journal_file: where; None for the folder itself.
        reconnect_s: how long to wait for a board that vanished.
        progress: called with the samples done and all of a run.
    """

    ports: tuple[str, ...]
    baud: int | None = None
    journal: bool = True
    journal_file: Path | None = None
    reconnect_s: float = RECONNECT_S
    progress: Callable[[int, int], None] = lambda done, total: None


@contextmanager
def open_bench(built: BuiltModel, lines: Lines) -> Iterator[SerialBench]:
    """Offer the boards as a place where samples run.

    Raises:
        UserError: a port is given twice, the journal cannot be used, or the firmware was built
            for another host.
        DeviceError: a board does not answer, or runs another build.
    """
    if len(set(lines.ports)) != len(lines.ports):
        raise UserError(f"a port is given twice: {', '.join(lines.ports)}")
    if built.manifest["options"].get("protocol") == "mlperf":
        raise UserError(
            f"the firmware of {built.folder} answers MLPerf Tiny's runner, not this program\n"
            "  build without --protocol mlperf to check it over a serial line"
        )
    baud = built.board.console.baud
    patience_s = macs_of(built.graph) * _SLOW_CYCLES_PER_MAC / built.board.clock_hz
    sessions = [
        (
            port,
            SerialSession(
                partial(open_port, port, baud),
                built.layout,
                baud,
                baud=lines.baud,
                patience_s=patience_s,
                reconnect_s=lines.reconnect_s,
                symbol_at=lambda addr: symbol_at(measure(built.folder / FIRMWARE).symbols, addr),
            ),
        )
        for port in lines.ports
    ]
    journal = None
    if lines.journal:
        journal = Journal(lines.journal_file or built.folder / JOURNAL, built.layout.build_id)
    bench = SerialBench(sessions, journal=journal, progress=lines.progress)
    try:
        bench.connect()
        yield bench
    finally:
        bench.close()
