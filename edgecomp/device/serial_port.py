"""A serial line: a device file, a pseudo-terminal, or `socket://host:port`."""

import errno
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from edgecomp.errors import DeviceError

_POLL_S = 0.05
_CONNECT_S = 3.0
_WRITE_S = 10.0
_CHUNK_BYTES = 4096
_SOCKET = "socket://"


class Port(Protocol):
    """What a link needs of a line."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def read(self, timeout_s: float) -> bytes:
        """Return the bytes that have arrived, after `timeout_s` at most; perhaps none."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def set_baud(self, baud: int) -> None:
        """Change the rate of this end."""

    def close(self) -> None:
        """Give the line back."""


class LineLostError(DeviceError):
    """The line itself is gone: unplugged, or closed by the other end."""


def open_port(name: str, baud: int) -> Port:
    """Open a line, for ourselves alone.

    Args:
        name: a device file, or `socket://host:port`.
        baud: bits per second; without a meaning for sockets and pseudo-terminals.

    Raises:
        DeviceError: it cannot be opened; the message says why and what to do.
    """
    try:
        if name.startswith(_SOCKET):
            where = urlsplit(name)
            address = (where.hostname or "", where.port or 0)
            return SocketPort(name, socket.create_connection(address, _CONNECT_S))
        import serial

        # A write has an end, too: a hanging emulator takes no bytes.
        line = serial.Serial(name, baud, timeout=_POLL_S, write_timeout=_WRITE_S, exclusive=True)
        return SerialPort(name, line)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise DeviceError(why_not_open(name, error)) from error


class SocketPort:
    """The console of a virtual board, or of a board behind a network adapter."""

    def __init__(self, name: str, line: socket.socket) -> None:
        """Take over a connected socket."""
        self._name = name
        self._line = line
        line.settimeout(_WRITE_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    def read(self, timeout_s: float) -> bytes:
        """Return the bytes that have arrived, after `timeout_s` at most; perhaps none.

        Raises:
            LineLostError: the line is gone.
        """
        try:
            ready, _, _ = select.select([self._line], [], [], max(0.0, timeout_s))
            data = self._line.recv(_CHUNK_BYTES) if ready else b""
        except OSError as error:
            raise _lost(self._name, error) from error
        if ready and not data:
            raise _lost(self._name, None)
        return data

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            LineLostError: the line is gone.
        """
        try:
            self._line.sendall(data)
        except OSError as error:
            raise _lost(self._name, error) from error

    def set_baud(self, baud: int) -> None:
        """Do nothing: a socket has no rate."""

    def close(self) -> None:
        """Give the line back."""
        self._line.close()


class SerialPort:
    """A line through pyserial."""

    def __init__(self, name: str, line: Any) -> None:
        """Wrap an open pyserial object."""
        self._name = name
        self._line = line
        self._fd = line.fileno() if os.name == "posix" else -1

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._name

    def read(self, timeout_s: float) -> bytes:
        """Return the bytes that have arrived, after `timeout_s` at most; perhaps none.

        Raises:
            LineLostError: the line is gone.
        """
        try:
            if self._fd < 0:
                return self._read_anywhere(timeout_s)
            ready, _, _ = select.select([self._fd], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = os.read(self._fd, _CHUNK_BYTES)
        except OSError as error:
            raise _lost(self._name, error) from error
        if not data:
            raise _lost(self._name, None)
        return data

    def _read_anywhere(self, timeout_s: float) -> bytes:
        """Read where the system cannot wait for a file descriptor."""
        end = time.monotonic() + timeout_s
        while True:
            data = bytes(self._line.read(max(1, self._line.in_waiting)))
            if data or time.monotonic() >= end:
                return data

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            LineLostError: the line is gone.
        """
        try:
            self._line.write(data)
        except OSError as error:
            raise _lost(self._name, error) from error

    def set_baud(self, baud: int) -> None:
        """Change the rate after what was written has left."""
        if os.name != "posix":
            self._line.baudrate = baud
            return
        import termios

        try:
            self._line.flush()
            self._line.baudrate = baud
        except termios.error as error:  # what a pseudo-terminal says to settings it has no use for
            if error.args[0] != errno.EINVAL:
                raise _lost(self._name, error) from error
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self._name} cannot be set to {baud} baud: {error}") from error

    def close(self) -> None:
        """Give the line back."""
        self._line.close()


def _lost(name: str, error: Exception | None) -> LineLostError:
    reason = f" ({error})" if error else ""
    return LineLostError(
        f"{name} is gone{reason}: was the cable pulled, or the board switched off?"
    )


def why_not_open(name: str, error: Exception) -> str:
    """Say why a line could not be opened, and what helps."""
    number = getattr(error, "errno", None)
    text = str(error)
    if name.startswith(_SOCKET):
        return f"nothing listens at {name} ({text})\n  is the virtual board running?"
    if number in {errno.EACCES, errno.EPERM}:
        return (
            f"no permission to open {name}: it belongs to the group {_group_of(name)}\n"
            f"  join it, then log in again: sudo usermod -aG {_group_of(name)} $USER"
        )
    if number in {errno.EBUSY, errno.EAGAIN}:
        return (
            f"{name} is in use by another program\n"
            f"  close it (a serial monitor?), or find it: fuser {name}"
        )
    if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV}:
        found = attached_ports()
        here = f"attached: {', '.join(found)}" if found else "no serial port is attached"
        return (
            f"there is no port {name}; {here}\n"
            "  is the board plugged in? `edgecomp boards --detect` lists what is there"
        )
    return f"{name} cannot be opened as a serial port: {text}"


def _group_of(name: str) -> str:
    try:
        return Path(name).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"


def attached_ports() -> Sequence[str]:
    """Return the serial ports that the system lists."""
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())
