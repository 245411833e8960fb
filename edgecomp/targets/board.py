"""What a board is: memories, console, boot header, and how images reach it.

The types only; `edgecomp.targets.boards` reads them from `boards.yaml`, and
docs/adding-a-board.md explains every key.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

from edgecomp.targets.boot_headers import BOOT_HEADERS, NO_HEADER, BootHeader
from edgecomp.targets.cores import Core

FlashMethod = Literal[
    "loader",  # edgecomp's own resident loader, over the console
    "an3155",  # the STM32's ROM, over one of its USARTs
    "samba",  # SAM-BA over USB
    "uf2",  # a file for the boot loader's drive
    "msd",  # a file for the debug probe's drive
    "swd",  # pyocd with a CMSIS-DAP or ST-LINK probe
    "bossac",
    "picotool",
    "dfu-util",
    "teensy_loader_cli",
    "blhost",
    "jlink",
    "vendor",  # the vendor's own tool, which `notes` names
]

_VECTOR_TABLE_ALIGNMENT = 512  # VTOR of every core here: table size rounded up to a power of two


class _Entry:
    """Base of what `boards.yaml` holds: a key that is not a field is an error."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True)
class Region(_Entry):
    """A piece of the address space; `origin` is an address, `size` counts bytes.

    `arena` says whether an arena may lie there: not in code memory, nor in what must be clocked or
    powered first.
    """

    name: str
    origin: int
    size: int
    note: str = ""
    arena: bool = True

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.origin + self.size

    def overlaps(self, other: "Region") -> bool:
        """Whether the two regions share an address."""
        return self.origin < other.end and other.origin < self.end


@dataclass(frozen=True)
class RegisterBits(_Entry):
    """Bits to set in a register before the UART is used, such as a clock enable."""

    register: int
    mask: int
    what: str


@dataclass(frozen=True)
class RegisterWrite(_Entry):
    """A value to write right after reset, before anything else: watchdogs cannot wait."""

    register: int
    value: int
    what: str
    bits: Literal[8, 16, 32] = 32


@dataclass(frozen=True)
class Pin(_Entry):
    """One UART line: the base address of what connects it, its number there, its function."""

    name: str
    gpio: int
    pin: int
    af: int = 0


@dataclass(frozen=True)
class Button(_Entry):
    """A button that keeps the resident loader waiting where it is held during a reset.

    `active` is the level of its pin when pressed; the loader pulls the pin to the other one.
    """

    name: str
    gpio: int
    pin: int
    active: Literal["low", "high"]
    enable: tuple[RegisterBits, ...] = ()


@dataclass(frozen=True)
class Option(_Entry):
    """A number that one family's port needs: `PORT_<NAME>` in `board_config.h`."""

    name: str
    value: int


@dataclass(frozen=True)
class Console(_Entry):
    """The UART over which the firmware image talks.

    `port` names a folder of `firmware/port/`; `clock_hz` is what clocks the UART once the port is
    ready. `usb` says whether the board's own USB socket leads to it.
    """

    port: str
    uart: str
    base: int
    clock_hz: int
    baud: int = 115200
    tx: Pin | None = None
    rx: Pin | None = None
    enable: tuple[RegisterBits, ...] = ()
    options: tuple[Option, ...] = ()
    route: str = ""
    usb: bool = True


@dataclass(frozen=True)
class Probe(_Entry):
    """How a plugged-in board shows itself on the host.

    `usb` are VID:PID pairs in hex, of the debug probe or of the microcontroller itself;
    `board_ids` the first four digits of the id that a probe's drive states in MBED.HTM or
    DETAILS.TXT, which alone tell boards with the same probe apart.
    """

    usb: tuple[str, ...] = ()
    board_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class RomUart(_Entry):
    """The pins of the STM32's ROM loader (AN3155), and whether the console's are among them."""

    pins: tuple[str, ...]
    over_console: Literal["impossible", "likely", "unknown"]


@dataclass(frozen=True)
class Emulator(_Entry):
    """How QEMU runs the board."""

    machine: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board(_Entry):
    """One board: where code and data go, how to talk to it, how to flash or emulate it.

    `flash` is the whole device; the image starts `link_offset` bytes into it, right behind a
    bootloader, and leaves `reserved_end_bytes` free at its end. `ram` lists every region, the
    fastest first; the stack and the static data lie in `data_region` (the first unless named), the
    arena in the first that has the room, or in two of them if none has. Where writes below the RAM,
    and so a stack overflow, would go unnoticed, the MPU is told to forbid the `stack_guard_bytes`
    (a power of two) below it. `flash_methods` come best first. `pins_from` is the vendor's file in
    which the console's pins were looked up; `unconfirmed` lists what was not looked up anywhere.
    """

    id: str
    name: str
    kind: Literal["emulated", "hardware"]
    core: Core
    flash: Region
    ram: tuple[Region, ...]
    clock_hz: int
    console: Console
    mcu: str = ""
    link_offset: int = 0
    reserved_end_bytes: int = 0
    boot_header: str = ""
    reset_writes: tuple[RegisterWrite, ...] = ()
    data_region: str = ""
    emulator: Emulator | None = None
    trap_unaligned: bool = False
    stack_guard_bytes: int = 0
    button: Button | None = None
    probe: Probe = Probe()
    rom_uart: RomUart | None = None
    flash_methods: tuple[FlashMethod, ...] = ()
    pins_from: str = ""
    unconfirmed: tuple[str, ...] = ()
    notes: str = ""

    @property
    def verified(self) -> str:
        """What is known about images for this board, and never more than was tried."""
        if self.kind == "emulated":
            return "runs in the emulator"
        if self.unconfirmed:
            return "links, facts unconfirmed"
        return "links, pins checked" if self.pins_from else "links"

    @property
    def image(self) -> Region:
        """The part of the flash that an image may use."""
        start = self.flash.origin + self.link_offset
        size = self.flash.size - self.link_offset - self.reserved_end_bytes
        return Region(self.flash.name, start, size)

    @property
    def header(self) -> BootHeader:
        """What the ROM or the flash controller reads besides the vector table."""
        return BOOT_HEADERS[self.boot_header] if self.boot_header else NO_HEADER

    @property
    def vectors_addr(self) -> int:
        """Where the vector table lies."""
        return self.image.origin + self.header.vectors_at

    @property
    def data(self) -> Region:
        """The RAM that holds stack and static data."""
        return self._ram(self.data_region) if self.data_region else self.ram[0]

    @property
    def arenas(self) -> tuple[Region, ...]:
        """The regions that can hold an arena, the fastest first."""
        return tuple(region for region in self.ram if region.arena)

    def _ram(self, name: str) -> Region:
        return next(region for region in self.ram if region.name == name)

    def problems(self) -> list[str]:
        """Return what is wrong with the entry, each as "key: reason"."""
        if not self.ram:
            return ["ram: at least one region is needed"]
        found = [*self._region_problems(), *self._link_problems()]
        guard = self.stack_guard_bytes
        if not found and guard and (guard < 32 or guard & (guard - 1) or self.data.origin % guard):
            found.append("stack_guard_bytes: a power of two from 32 that the RAM is aligned to")
        if (self.kind == "emulated") != (self.emulator is not None):
            found.append("emulator: an emulated board has one, a hardware board has none")
        return found

    def _region_problems(self) -> list[str]:
        found = []
        names = [region.name for region in self.ram]
        if self.data_region and self.data_region not in names:
            found.append(
                f"data_region: no RAM region is called {self.data_region!r}, "
                f"there is {', '.join(names)}"
            )
        if not self.arenas:
            found.append("ram: no region may hold an arena")
        for one, other in combinations((self.flash, *self.ram), 2):
            if one.overlaps(other):
                found.append(f"ram: regions {one.name!r} and {other.name!r} overlap")
        return found

    def _link_problems(self) -> list[str]:
        found = []
        if not 0 <= self.link_offset < self.flash.size - self.reserved_end_bytes:
            found.append("link_offset: it must lie inside the flash")
        elif self.link_offset % _VECTOR_TABLE_ALIGNMENT:
            found.append(f"link_offset: the vector table needs {_VECTOR_TABLE_ALIGNMENT}")
        elif self.link_offset and not self.core.vtor:
            found.append(f"link_offset: {self.core.title} cannot move its vector table")
        if self.boot_header and self.boot_header not in BOOT_HEADERS:
            found.append(
                f"boot_header: unknown {self.boot_header!r}, there is {', '.join(BOOT_HEADERS)}"
            )
        return found
