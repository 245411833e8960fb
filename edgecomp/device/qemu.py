"""The check image in QEMU, with its streams as files by semihosting.

The exit code is the harness's or a fault's own; nothing is read from the console but the text of
a lockup, which QEMU can report in no other way.
"""

import json
import re
import socket
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgecomp.build import Symbol, find_tool, measure, symbol_at
from edgecomp.device.engine import MESSAGES_FILE, last_messages, status_meaning
from edgecomp.device.faults import FAULT_KINDS, decode_fault
from edgecomp.errors import UserError
from edgecomp.targets.boards import Board, Emulator

MONITOR = "monitor.sock"
MONITOR_OPTION = ("-qmp", f"unix:{MONITOR},server=on,wait=off")
_PC = re.compile(r"R15=([0-9a-f]{8})")
_LOCKUP = "Lockup:"


def emulator_of(board: Board) -> Emulator:
    """Return how QEMU runs `board`.

    Raises:
        UserError: it does not.
    """
    if board.emulator is None:
        raise UserError(
            f"{board.name} is not emulated, so nothing can be run or checked on it here\n"
            "  `edgecomp boards` lists which ones are"
        )
    return board.emulator


def qemu_command(board: Board, elf: Path, *extra: str) -> list[str]:
    """Return the command that starts `elf` on the emulated `board`.

    An image that was linked behind the resident loader brings the loader's file beside it.
    """
    emulator = emulator_of(board)
    loader = elf.resolve().parent / "loader.bin"
    behind = board.link_offset and loader.exists()
    raw = f"loader,file={loader},addr={board.flash.origin:#x},force-raw=on"
    return [
        str(find_tool("qemu-system-arm").path),
        *("-M", emulator.machine, "-display", "none", "-monitor", "none"),
        *("-semihosting-config", "enable=on,target=native"),
        *emulator.args,
        *extra,
        *(("-device", raw) if behind else ()),
        *("-kernel", str(elf.resolve())),
    ]


@dataclass(frozen=True)
class QemuEngine:
    """Runs the check image `elf` on an emulated `board`."""

    board: Board
    elf: Path

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.board.id} in QEMU"

    @cached_property
    def _symbols(self) -> tuple[Symbol, ...]:
        return measure(self.elf).symbols

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start QEMU in `folder`, which semihosting's file names are relative to."""
        command = qemu_command(self.board, self.elf, "-serial", "null", *MONITOR_OPTION)
        with (folder / MESSAGES_FILE).open("wb") as messages:
            return subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
            )

    def explain(self, folder: Path, status: int) -> str:
        """Say why QEMU ended with `status`: a fault, a lockup or an early end."""
        record = folder / "fault.bin"
        fault = decode_fault(record.read_bytes()) if record.exists() else None
        if fault is not None:
            return fault.describe(self._where)
        if status in FAULT_KINDS:
            return FAULT_KINDS[status]
        messages = (folder / MESSAGES_FILE).read_text(errors="replace")
        if _LOCKUP in messages:
            return "lockup (a fault inside a fault handler)" + self._pc(messages)
        meaning = status_meaning(status) or f"it ended early with status {status}"
        return meaning + last_messages(folder)

    def is_at(self, folder: Path, function: str) -> bool:
        """Whether the running QEMU is inside `function` at this moment."""
        try:
            found = _PC.search(_query_registers(folder / MONITOR))
        except (OSError, ValueError, KeyError):
            return False
        return found is not None and self._where(int(found[1], 16)).startswith(f"{function}+")

    def explain_hang(self, folder: Path) -> str:
        """Ask the running QEMU for its program counter."""
        try:
            return self._pc(_query_registers(folder / MONITOR)).strip()
        except (OSError, ValueError, KeyError):
            return ""

    def _where(self, addr: int) -> str:
        return symbol_at(self._symbols, addr)

    def _pc(self, registers: str) -> str:
        found = _PC.search(registers)
        if not found:
            return ""
        where = self._where(int(found[1], 16))
        return f"\n  PC 0x{found[1]}" + (f" in {where}" if where else "")


def _query_registers(path: Path) -> str:
    """Return what the monitor of a running QEMU says of its registers."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(path))
        with link.makefile("rw", encoding="utf-8") as stream:
            stream.readline()  # the greeting
            for request in (
                {"execute": "qmp_capabilities"},
                {
                    "execute": "human-monitor-command",
                    "arguments": {"command-line": "info registers"},
                },
            ):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
            return str(answer["return"])
