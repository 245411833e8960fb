"""The host of ST's USART loader protocol (application note AN3155).

Spoken by the ROM of every STM32 (8 bits, even parity) and by edgecomp's resident loader (no
parity). Option bytes are never written by this module.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

from edgecomp.build.seal import CRC_POLYNOMIAL, CRC_START
from edgecomp.device.flash.line import Line, drain, read_exactly
from edgecomp.errors import BadFrame, DeviceError, FlashError, LinkTimeout

ACK, NACK, BUSY, KNOCK = 0x79, 0x1F, 0x76, 0x7F
BLOCK_BYTES = 256
_ANSWER_S = 3.0
_GIVEN_UP_S = 1.2
_KNOCK_EVERY_S = 0.05
_ERASE_S = 30.0  # the slowest sector of any family, with room
_MOST_SECTORS = 64  # in one command

GET, GET_VERSION, GET_ID, READ, GO, WRITE = 0x00, 0x01, 0x02, 0x11, 0x21, 0x31
ERASE, EXTENDED_ERASE, CHECKSUM = 0x43, 0x44, 0xA1
WRITE_UNPROTECT, READOUT_UNPROTECT = 0x73, 0x92

_NAMES = {
    GET: "Get",
    GET_VERSION: "Get Version",
    GET_ID: "Get ID",
    READ: "Read Memory",
    GO: "Go",
    WRITE: "Write Memory",
    ERASE: "Erase",
    EXTENDED_ERASE: "Extended Erase",
    CHECKSUM: "Get Checksum",
    WRITE_UNPROTECT: "Write Unprotect",
    READOUT_UNPROTECT: "Readout Unprotect",
}


@dataclass(frozen=True)
class Capabilities:
    """What a loader answers to Get: its protocol version (0x31 is 3.1) and its commands."""

    version: int
    commands: frozenset[int]


def with_check(data: bytes) -> bytes:
    """Append the XOR of all bytes.

    >>> with_check(bytes([0x08, 0x00, 0x40, 0x00])).hex()
    '0800400048'
    """
    return data + bytes([reduce(xor, data, 0)])


class An3155:
    """A session with a loader."""

    def __init__(self, line: Line, *, is_eager: bool = False) -> None:
        """Talk over `line`; nothing is sent before `open`.

        Args:
            line: an open line.
            is_eager: send all parts of a block without waiting for the answers in between, which
                only the resident loader bears: it reads on before it refuses a part.
        """
        self.line = line
        self._is_eager = is_eager

    def open(self, patience_s: float) -> None:
        """Knock until the loader answers.

        A loader in the middle of a session takes 0x7f for half of a command and refuses the
        second one: that is an answer too.

        Raises:
            LinkTimeout: nothing answered within `patience_s`.
        """
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            self.line.write(bytes([KNOCK]))
            answered_by = time.monotonic() + _KNOCK_EVERY_S
            while time.monotonic() < answered_by:
                if self.line.read(1) in (bytes([ACK]), bytes([NACK])) and self._is_alive():
                    return
        raise LinkTimeout("no loader answered")

    def _is_alive(self) -> bool:
        """Whether a command is understood: an application may send anything."""
        drain(self.line)
        try:
            self.get()
        except DeviceError:
            return False
        return True

    def resume(self) -> None:
        """Bring both sides into step again after an error.

        The ROM waits for ever for the rest of a block, which it gets here and refuses; the resident
        loader gives up after a second.
        """
        self.line.write(bytes([KNOCK]) * (BLOCK_BYTES + 4))
        drain(self.line, _GIVEN_UP_S)
        self.open(_ANSWER_S)

    def _acknowledged(self, what: str, limit_s: float | None = None) -> bool:
        """Whether the answer is ACK; BUSY means that it is still to come."""
        while True:
            answer = read_exactly(self.line, 1, limit_s or _ANSWER_S, what)[0]
            if answer == ACK:
                return True
            if answer == NACK:
                return False
            if answer != BUSY:
                raise BadFrame(f"{what}: the loader answered {answer:#04x}")

    def _expect(self, what: str, limit_s: float | None = None) -> None:
        if not self._acknowledged(what, limit_s):
            raise FlashError(f"the loader refused: {what}")

    def _command(self, code: int) -> str:
        name = _NAMES[code]
        self.line.write(bytes([code, code ^ 0xFF]))
        self._expect(f"{name} (is the chip protected?)")
        return name

    def _send(self, part: bytes, what: str) -> None:
        self.line.write(with_check(part))
        self._expect(what)

    def _read(self, size: int, what: str) -> bytes:
        return read_exactly(self.line, size, _ANSWER_S, what)

    def get(self) -> Capabilities:
        """Ask for version and commands."""
        name = self._command(GET)
        count = self._read(1, name)[0]
        answer = self._read(count + 1, name)
        self._expect(name)
        return Capabilities(answer[0], frozenset(answer[1:]))

    def get_id(self) -> int:
        """Ask for the product id."""
        name = self._command(GET_ID)
        count = self._read(1, name)[0]
        answer = self._read(count + 1, name)
        self._expect(name)
        return int.from_bytes(answer, "big")

    def read(self, addr: int, size: int) -> bytes:
        """Read up to 256 bytes."""
        name = self._command(READ)
        self._send(addr.to_bytes(4, "big"), f"{name} at {addr:#010x}")
        self.line.write(bytes([size - 1, (size - 1) ^ 0xFF]))
        self._expect(f"{name} of {size} bytes at {addr:#010x}")
        return self._read(size, name)

    def write(self, addr: int, data: bytes) -> None:
        """Write up to 256 bytes to erased flash."""
        parts = (addr.to_bytes(4, "big"), bytes([len(data) - 1]) + data)
        what = f"{_NAMES[WRITE]} of {len(data)} bytes at {addr:#010x}"
        if self._is_eager:
            self.line.write(bytes([WRITE, WRITE ^ 0xFF]) + b"".join(map(with_check, parts)))
            for _ in range(1 + len(parts)):
                self._expect(what)
            return
        self._command(WRITE)
        for part in parts:
            self._send(part, what)

    def erase(self, sectors: Sequence[int], capabilities: Capabilities) -> None:
        """Erase sectors by their numbers, with the one of the two commands that is there."""
        extended = EXTENDED_ERASE in capabilities.commands
        width = 2 if extended else 1
        for first in range(0, len(sectors), _MOST_SECTORS):
            part = sectors[first : first + _MOST_SECTORS]
            name = self._command(EXTENDED_ERASE if extended else ERASE)
            numbers = b"".join(number.to_bytes(width, "big") for number in part)
            self.line.write(with_check((len(part) - 1).to_bytes(width, "big") + numbers))
            limit_s = _ERASE_S + 4.0 * len(part)
            self._expect(f"{name} of sectors {part[0]} to {part[-1]}", limit_s)

    def checksum(self, addr: int, size: int, start: int = CRC_START) -> int:
        """Return the CRC over `size` bytes, a multiple of 4; see `build.seal.words_crc`."""
        name = self._command(CHECKSUM)
        for number in (addr, size // 4, CRC_POLYNOMIAL):
            self._send(number.to_bytes(4, "big"), name)
        self.line.write(with_check(start.to_bytes(4, "big")))
        self._expect(name, _ERASE_S)
        answer = self._read(5, name)
        if with_check(answer[:4]) != answer:
            raise BadFrame(f"{name}: the answer's check byte is wrong")
        return int.from_bytes(answer[:4], "big")

    def go(self, addr: int) -> None:
        """Start the image at `addr`."""
        name = self._command(GO)
        self._send(addr.to_bytes(4, "big"), f"{name} to {addr:#010x}")

    def unprotect(self, code: int) -> None:
        """Lift a protection; the chip resets itself afterwards. 0x92 erases it first."""
        name = self._command(code)
        self._expect(name, _ERASE_S)
