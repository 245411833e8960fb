"""The ROM loader of an STM32 as AN3155 describes it, with its protections and its moods.

Knows nothing of the product's code but the table of sectors. Behaves as the ROM does where it
hurts: it must be knocked at once and only once per reset, answers BUSY while it erases, refuses
what is protected, cannot set a bit that is 0, and loses step when a byte is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

from edgecomp.targets.flash_memory import FlashLayout

ACK, NACK, BUSY = 0x79, 0x1F, 0x76
BASE = 0x08000000
Machine = Iterator[None]


@dataclass
class FakeRom:
    """A chip; `read` and `write` are the host's end of its line.

    Attributes:
        layout: its sectors and product id.
        flash: its contents.
        is_extended: whether it erases by Extended Erase or by Erase.
        busy: how often it answers BUSY before the ACK of an erasure or a write.
        is_read_protected: all but Get, Get Version, Get ID and Readout Unprotect are refused.
        write_protected: numbers of the sectors that cannot be erased or written.
        lost: numbers of the bytes of the host, counted from 0, that never arrive.
        flipped: numbers of the bytes of the host of which a bit is flipped.
        silent_after: number of the byte of the host from which on nothing is heard any more.
    """

    layout: FlashLayout
    size: int
    is_extended: bool = True
    busy: int = 0
    is_read_protected: bool = False
    write_protected: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    flipped: frozenset[int] = frozenset()
    silent_after: int | None = None
    flash: bytearray = field(init=False)
    erased: list[int] = field(default_factory=list)
    started_at: int | None = None
    option_bytes_written: int = 0
    resets: int = 0

    def __post_init__(self) -> None:
        """Leave the factory: erased, in the ROM, waiting to be knocked at."""
        self.flash = bytearray(b"\xff" * self.size)
        self._out = bytearray()
        self._in = bytearray()
        self._heard = 0
        self._machine = self._rom()
        next(self._machine)

    # --- the host's end ---------------------------------------------------------------------------

    def read(self, size: int = 1) -> bytes:
        """Return what the chip has sent."""
        data = bytes(self._out[:size])
        del self._out[:size]
        return data

    def write(self, data: bytes, /) -> int:
        """Send to the chip, which acts at once."""
        for byte in data:
            number = self._heard
            self._heard += 1
            if number in self.lost or (
                self.silent_after is not None and number >= self.silent_after
            ):
                continue
            self._in.append(byte ^ 0x10 if number in self.flipped else byte)
            next(self._machine)
        return len(data)

    def reset_input_buffer(self) -> None:
        """Forget what the chip has sent."""
        self._out.clear()

    # --- the chip's end ---------------------------------------------------------------------------

    def reset(self) -> None:
        """Start again, with BOOT0 still set; the byte under way is lost."""
        self.resets += 1
        self._machine = self._rom()
        next(self._machine)

    def _say(self, *data: int) -> None:
        self._out += bytes(data)

    def _take(self, count: int) -> Iterator[None]:
        while len(self._in) < count:
            yield
        taken = bytes(self._in[:count])
        del self._in[:count]
        return taken  # type: ignore[return-value]

    def _rom(self) -> Machine:
        yield
        while (yield from self._take(1)) != b"\x7f":
            pass
        self._say(ACK)
        while True:
            command = yield from self._take(2)
            if command[0] ^ command[1] != 0xFF:
                self._say(NACK)
                continue
            handler = self._commands().get(command[0])
            open_always = {0x00, 0x01, 0x02, 0x92}
            if handler is None or (self.is_read_protected and command[0] not in open_always):
                self._say(NACK)
                continue
            self._say(ACK)
            yield from handler()

    def _commands(self):
        erase = {0x44: self._erase} if self.is_extended else {0x43: self._erase}
        return {
            0x00: self._get,
            0x01: self._get_version,
            0x02: self._get_id,
            0x11: self._read,
            0x21: self._go,
            0x31: self._write,
            0x73: self._write_unprotect,
            0x92: self._readout_unprotect,
            **erase,
        }

    def _get(self) -> Machine:
        commands = sorted(self._commands())
        self._say(len(commands), 0x31, *commands, ACK)
        yield from ()

    def _get_version(self) -> Machine:
        self._say(0x31, 0, 0, ACK)
        yield from ()

    def _get_id(self) -> Machine:
        number = self.layout.product_id
        self._say(1, number >> 8, number & 0xFF, ACK)
        yield from ()

    def _address(self) -> Iterator[None]:
        part = yield from self._take(5)
        address = int.from_bytes(part[:4], "big") - BASE
        good = reduce(xor, part) == 0 and 0 <= address < self.size
        self._say(ACK if good else NACK)
        return address if good else None  # type: ignore[return-value]

    def _read(self) -> Machine:
        address = yield from self._address()
        if address is None:
            return
        part = yield from self._take(2)
        if part[0] ^ part[1] != 0xFF:
            self._say(NACK)
            return
        self._say(ACK, *self.flash[address : address + part[0] + 1])

    def _sector_at(self, address: int) -> int:
        return next(s.number for s in self.layout.sectors if s.offset <= address < s.end)

    def _write(self) -> Machine:
        address = yield from self._address()
        if address is None:
            return
        count = yield from self._take(1)
        data = yield from self._take(count[0] + 2)
        good = reduce(xor, count + data) == 0
        if not good or self._sector_at(address) in self.write_protected:
            self._say(NACK)
            return
        for offset, byte in enumerate(data[:-1]):
            self.flash[address + offset] &= byte
        self._say(*[BUSY] * self.busy, ACK)

    def _erase(self) -> Machine:
        width = 2 if self.is_extended else 1
        head = yield from self._take(width)
        count = int.from_bytes(head, "big") + 1
        body = yield from self._take(count * width + 1)
        numbers = [
            int.from_bytes(body[i : i + width], "big") for i in range(0, count * width, width)
        ]
        known = {sector.number: sector for sector in self.layout.sectors}
        allowed = all(n in known and n not in self.write_protected for n in numbers)
        if reduce(xor, head + body) != 0 or not allowed:
            self._say(NACK)
            return
        for number in numbers:
            sector = known[number]
            self.flash[sector.offset : sector.end] = b"\xff" * sector.size
        self.erased += numbers
        self._say(*[BUSY] * self.busy, ACK)

    def _go(self) -> Machine:
        address = yield from self._address()
        if address is not None:
            self.started_at = address
            yield from self._take(1 << 30)  # the application runs, and the ROM hears nothing

    def _write_unprotect(self) -> Machine:
        self.write_protected = frozenset()
        self._say(ACK)
        self._in.clear()
        self.resets += 1
        yield from self._rom()

    def _readout_unprotect(self) -> Machine:
        self.is_read_protected = False
        self.flash[:] = b"\xff" * self.size
        self._say(ACK)
        self._in.clear()
        self.resets += 1
        yield from self._rom()
