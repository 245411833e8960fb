"""A board in QEMU whose flash outlives it: killed like a power cut, started again from a dump."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecomp.build.toolchain import find_tool
from edgecomp.device.qemu import emulator_of
from edgecomp.targets.boards import Board

_PTY = re.compile(r"redirected to (/dev/pts/\d+)")
_START_S = 20.0


@dataclass
class VirtualBoard:
    """A running QEMU.

    Attributes:
        port: what a host opens: a pseudo terminal or a socket:// address.
        monitor: QEMU's control socket.
    """

    board: Board
    process: subprocess.Popen[bytes]
    port: str
    monitor: socket.socket
    replies: Any = field(repr=False)

    def tell(self, command: str, **arguments: Any) -> Any:
        """Run one command of QEMU's monitor protocol and return its answer."""
        self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.replies.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"])
            if "return" in answer:
                return answer["return"]

    def reset(self) -> None:
        """Press the reset button. What `-kernel` loaded is loaded anew, all else is kept."""
        self.tell("system_reset")

    def cut_power(self, dump: Path, size: int) -> None:
        """Stop between two instructions, keep `size` bytes of the flash in `dump`, kill."""
        self.tell("stop")
        self.tell("pmemsave", val=self.board.flash.origin, size=size, filename=str(dump))
        self.process.kill()
        self.process.wait()

    def flash(self, folder: Path, size: int) -> bytes:
        """Return the first `size` bytes of the flash."""
        dump = folder / "peek.bin"
        self.tell("pmemsave", val=self.board.flash.origin, size=size, filename=str(dump))
        return dump.read_bytes()


@contextmanager
def virtual_board(
    board: Board,
    folder: Path,
    *,
    elf: Path | None = None,
    dump: Path | None = None,
    tcp: bool = False,
) -> Iterator[VirtualBoard]:
    """Start `board` with `elf` in its flash, or with the flash that `cut_power` left in `dump`."""
    sockets = folder / f"qmp-{time.monotonic_ns()}.sock"
    free = _free_port() if tcp else 0
    serial = f"tcp:127.0.0.1:{free},server=on,wait=off,nodelay=on" if tcp else "pty"
    contents = ["-kernel", str(elf)] if elf else []
    if dump is not None:
        origin = board.flash.origin
        contents = ["-device", f"loader,file={dump},addr={origin:#x},force-raw=on"]
    command = [
        str(find_tool("qemu-system-arm").path),
        *("-M", emulator_of(board).machine, "-display", "none", "-monitor", "none", "-S"),
        *("-semihosting-config", "enable=on,target=native"),
        *("-qmp", f"unix:{sockets},server=on,wait=off", "-serial", serial),
        *contents,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder
    )
    held = -1
    try:
        port = f"socket://127.0.0.1:{free}"
        if not tcp:
            assert process.stdout is not None
            found = _PTY.search(process.stdout.readline().decode())
            assert found, "QEMU named no pseudo terminal"
            port = found[1]
            # QEMU looks for a new reader only once a second; one that stays spares that.
            held = os.open(port, os.O_RDWR | os.O_NOCTTY)
        monitor = _connect(sockets)
        with monitor, monitor.makefile("r") as replies:
            replies.readline()
            running = VirtualBoard(board, process, port, monitor, replies)
            running.tell("qmp_capabilities")
            running.tell("cont")
            yield running
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if held >= 0:
            os.close(held)


def _connect(path: Path) -> socket.socket:
    end = time.monotonic() + _START_S
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(path))
        except OSError:
            link.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            link.settimeout(_START_S)
            return link


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
