"""A board in QEMU with its console as a port of this machine."""

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgecomp.device.engine import MESSAGES_FILE, last_messages
from edgecomp.device.qemu import qemu_command
from edgecomp.errors import DeviceError, LinkTimeout
from edgecomp.targets.boards import Board

_START_S = 20.0
_POLL_S = 0.02
_PTY = re.compile(rb"char device redirected to (\S+)")
_LOCALHOST = "127.0.0.1"


@dataclass(frozen=True)
class VirtualBoard:
    """A running emulator; `port` is what to give to `--port`."""

    board: Board
    port: str
    process: subprocess.Popen[bytes]
    folder: Path

    def wait(self) -> None:
        """Wait until the emulator ends, which it does only where something goes wrong.

        Raises:
            DeviceError: it ended; with what it said.
        """
        status = self.process.wait()
        raise DeviceError(
            f"{self.board.id}: QEMU ended with status {status}{last_messages(self.folder)}"
        )


@contextmanager
def virtual_board(
    board: Board, elf: Path, *, tcp: bool = False, extra: Sequence[str] = ()
) -> Iterator[VirtualBoard]:
    """Run `elf` on the emulated `board` as long as the block lasts.

    Args:
        board: an emulated board.
        elf: its image.
        tcp: offer the console as `socket://`, not as a pseudo-terminal.
        extra: more arguments for QEMU.

    Raises:
        DeviceError: QEMU ended, or did not open the console.
    """
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as name, ExitStack() as stack:
        folder = Path(name)
        uart = "pty"
        if tcp:
            number = _free_port()
            uart = f"tcp:{_LOCALHOST}:{number},server=on,wait=off,nodelay=on"
        with (folder / MESSAGES_FILE).open("wb") as messages:
            process = subprocess.Popen(
                qemu_command(board, elf, "-serial", uart, *extra),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
            )
        stack.callback(process.wait)
        stack.callback(process.kill)
        if tcp:
            port = f"socket://{_LOCALHOST}:{number}"
            _wait_until_open(board, process, folder, number)
        else:
            port = _wait_for_pty(board, process, folder)
            _hold_open(port, stack)
        yield VirtualBoard(board, port, process, folder)


def _free_port() -> int:
    with socket.create_server((_LOCALHOST, 0)) as server:
        return int(server.getsockname()[1])


def _wait_for_pty(board: Board, process: subprocess.Popen[bytes], folder: Path) -> str:
    for _ in _until(board, process, folder):
        found = _PTY.search((folder / MESSAGES_FILE).read_bytes())
        if found:
            return found[1].decode()
    return ""


def _wait_until_open(
    board: Board, process: subprocess.Popen[bytes], folder: Path, number: int
) -> None:
    for _ in _until(board, process, folder):
        try:
            socket.create_connection((_LOCALHOST, number), 1).close()
            return
        except OSError:
            continue


def _until(board: Board, process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """Yield until the emulator is ready for what the caller waits for."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise DeviceError(
                f"{board.id}: QEMU ended with status {process.returncode}{last_messages(folder)}"
            )
        yield
        time.sleep(_POLL_S)
    raise LinkTimeout(f"{board.id}: QEMU did not open its console in {_START_S:g} s")


def _hold_open(port: str, stack: ExitStack) -> None:
    """Keep the terminal open: without a reader QEMU looks at it only once a second."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
    stack.callback(os.close, fd)
