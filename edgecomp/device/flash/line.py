"""Opening a serial port for flashing: real ports, pseudo terminals, `socket://host:port`.

A pseudo terminal knows neither parity nor modem lines: asking for parity fails the second time
(EINVAL), touching DTR at once (ENOTTY). Both are left alone there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from edgecomp.device.serial_port import why_not_open
from edgecomp.errors import FlashError, LinkTimeout

Parity = Literal["none", "even"]
_POLL_S = 0.02
_WRITE_S = 10.0


class Line(Protocol):
    """The part of a pyserial port that flashing uses."""

    def read(self, size: int = 1) -> bytes:
        """Return up to `size` bytes, fewer (or none) where they do not come at once."""

    def write(self, data: bytes, /) -> int | None:
        """Send `data`."""

    def reset_input_buffer(self) -> None:
        """Forget what has arrived."""


def is_virtual(port: str) -> bool:
    """Whether `port` has no parity and no modem lines: a pseudo terminal or a socket."""
    return port.startswith("/dev/pts/") or "://" in port


@contextmanager
def open_line(port: str, baud: int, parity: Parity = "none") -> Iterator[Line]:
    """Offer an open port.

    Raises:
        FlashError: it is not there, is in use or may not be opened; or it went away meanwhile.
    """
    import serial

    even = parity == "even" and not is_virtual(port)
    try:
        line: Any = serial.serial_for_url(
            port,
            baud,
            parity=serial.PARITY_EVEN if even else serial.PARITY_NONE,
            timeout=_POLL_S,
            # A second program would eat answers. A write has an end, too.
            **({} if "://" in port else {"exclusive": True, "write_timeout": _WRITE_S}),
        )
    except (OSError, ValueError) as error:
        raise FlashError(why_not_open(port, error)) from error
    try:
        yield line
    except OSError as error:  # pyserial's own exception is one as well
        raise FlashError(
            f"{port} went away while the board was being flashed ({error})\n"
            "  plug it in again and repeat the command: what is there already is kept"
        ) from error
    finally:
        link = getattr(line, "_socket", None)
        line.close()
        if link is not None:
            link.close()  # pyserial forgets it where the other end has gone first


def read_exactly(line: Line, size: int, limit_s: float, what: str) -> bytes:
    """Return `size` bytes of `line`.

    Raises:
        LinkTimeout: they do not come within `limit_s` seconds.
    """
    got = b""
    end = time.monotonic() + limit_s
    while len(got) < size:
        got += line.read(size - len(got))
        if len(got) < size and time.monotonic() > end:
            raise LinkTimeout(f"{what}: {len(got)} of {size} bytes came within {limit_s:g} s")
    return got


def drain(line: Line, quiet_s: float = 0.06) -> None:
    """Throw away what arrives until the line is silent for `quiet_s`."""
    quiet_from = time.monotonic()
    end = quiet_from + 2.0
    while time.monotonic() < min(quiet_from + quiet_s, end):
        if line.read(256):
            quiet_from = time.monotonic()
