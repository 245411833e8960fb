"""How the flash of a microcontroller is divided, and what its own loader calls itself.

One row per family. Sector sizes: the reference manuals' chapters on the embedded flash; product
ids: AN2606, "Device-dependent bootloader parameters"; nRF: Product Specifications, section NVMC.
"""

import re
from dataclasses import dataclass
from typing import Literal

from edgecomp.targets.boards import Board

Driver = Literal["ram", "stm32f4", "stm32l4", "nrf52"]
_K = 1024
_ST_FLASH = 0x08000000
LOADER_BYTES = 4 * _K
"""Room that the resident loader needs; it gets the whole sectors that this reaches into."""


@dataclass(frozen=True)
class SectorRun:
    """`count` sectors of `size` bytes each, one behind the other."""

    count: int
    size: int


@dataclass(frozen=True)
class Sector:
    """One sector: its number in erase commands, its offset in the flash, its size in bytes."""

    number: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first offset behind the sector."""
        return self.offset + self.size


@dataclass(frozen=True)
class FlashLayout:
    """The flash of one board.

    Attributes:
        family: name for messages.
        product_id: what Get ID answers.
        runs: its sectors, cut to the board's flash.
        write_bytes: how much is written at once, a power of two; blocks are padded to it.
        bank_sectors: sectors per bank, where pages are numbered within their bank.
        driver: `firmware/loader/flash_<driver>.c`, or None where the loader has none.
        protocol_base: where hosts believe the flash to begin.
    """

    family: str
    product_id: int
    runs: tuple[SectorRun, ...]
    write_bytes: int
    bank_sectors: int
    driver: Driver | None
    protocol_base: int

    @property
    def sectors(self) -> tuple[Sector, ...]:
        """Every sector in order."""
        found: list[Sector] = []
        offset = 0
        for run in self.runs:
            for _ in range(run.count):
                found.append(Sector(len(found), offset, run.size))
                offset += run.size
        return tuple(found)

    def covering(self, start: int, end: int) -> tuple[Sector, ...]:
        """The sectors that share a byte with [start, end), which are offsets in the flash."""
        return tuple(s for s in self.sectors if s.offset < end and start < s.end)

    @property
    def loader_end(self) -> int:
        """Offset of the first sector behind the resident loader."""
        return next(sector.offset for sector in self.sectors if sector.offset >= LOADER_BYTES)

    @property
    def second_slot(self) -> int:
        """Offset of the second of two slots behind the loader, the first sector past the middle."""
        middle = (self.loader_end + self.sectors[-1].end) // 2
        return next(sector.offset for sector in self.sectors if sector.end > middle)


@dataclass(frozen=True)
class _Family:
    mcu: str  # pattern that the microcontroller's name begins with
    name: str
    product_id: int
    runs: tuple[SectorRun, ...]  # the last is repeated as long as the flash goes on
    write_bytes: int
    driver: Driver | None = None
    bank_bytes: int = 0  # where pages are numbered within their bank


def _uniform(size: int) -> tuple[SectorRun, ...]:
    return (SectorRun(1, size),)


_F4 = (SectorRun(4, 16 * _K), SectorRun(1, 64 * _K), SectorRun(1, 128 * _K))
_F7 = (SectorRun(4, 32 * _K), SectorRun(1, 128 * _K), SectorRun(1, 256 * _K))

_FAMILIES = (
    _Family("STM32F0[35]", "STM32F05x", 0x440, _uniform(1 * _K), 4),
    _Family("STM32F07", "STM32F07x", 0x448, _uniform(2 * _K), 4),
    _Family("STM32F09", "STM32F09x", 0x442, _uniform(2 * _K), 4),
    _Family("STM32F100.[468B]", "STM32F100 medium density", 0x420, _uniform(1 * _K), 4),
    _Family("STM32F100", "STM32F100 high density", 0x428, _uniform(2 * _K), 4),
    _Family("STM32F10[123].[8B]", "STM32F1 medium density", 0x410, _uniform(1 * _K), 4),
    _Family("STM32F10[123]", "STM32F1 high density", 0x414, _uniform(2 * _K), 4),
    _Family("STM32F2", "STM32F2", 0x411, _F4, 4, "stm32f4"),
    _Family("STM32F401.[BC]", "STM32F401xB/C", 0x423, _F4, 4, "stm32f4"),
    _Family("STM32F401", "STM32F401xD/E", 0x433, _F4, 4, "stm32f4"),
    _Family("STM32F411", "STM32F411", 0x431, _F4, 4, "stm32f4"),
    _Family("STM32F446", "STM32F446", 0x421, _F4, 4, "stm32f4"),
    _Family("STM32F4[01][57]", "STM32F40x and F41x", 0x413, _F4, 4, "stm32f4"),
    _Family("STM32F7[45]", "STM32F74x and F75x", 0x449, _F7, 4, "stm32f4"),
    _Family("STM32F7[67]", "STM32F76x and F77x", 0x451, _F7, 4, "stm32f4"),
    _Family("STM32G0[78]", "STM32G07x", 0x460, _uniform(2 * _K), 8, "stm32l4"),
    _Family("STM32H7[45]", "STM32H74x and H75x", 0x450, _uniform(128 * _K), 32),
    _Family("STM32L05", "STM32L05x", 0x417, _uniform(128), 4),
    _Family("STM32L07", "STM32L07x", 0x447, _uniform(128), 4),
    _Family("STM32L4[78]", "STM32L47x", 0x415, _uniform(2 * _K), 8, "stm32l4", 512 * _K),
    _Family("STM32L4[RS]", "STM32L4Rx", 0x470, _uniform(4 * _K), 8, "stm32l4", 1024 * _K),
    _Family("STM32U5[78]", "STM32U57x and U58x", 0x482, _uniform(8 * _K), 16),
    _Family("nRF52", "nRF52", 0x052, _uniform(4 * _K), 4, "nrf52"),
)
# The MPS2 boards behave like an STM32F40x, so that hosts made for those can be tried on them.
_MPS = _Family("", "MPS2 code memory", 0x413, _F4, 4, "ram")


def flash_layout(board: Board) -> FlashLayout | None:
    """Return how the flash of `board` is divided, or None where this is not known here.

    >>> from edgecomp.targets.boards import get_board
    >>> [s.size // 1024 for s in flash_layout(get_board("nucleo_f411re")).sectors]
    [16, 16, 16, 16, 64, 128, 128, 128]
    """
    family = _family(board)
    if family is None:
        return None
    runs, left = [], board.flash.size
    for run in family.runs:
        last = run is family.runs[-1]
        count = left // run.size if last else min(run.count, left // run.size)
        runs.append(SectorRun(count, run.size))
        left -= count * run.size
    shown_as_st = family is _MPS
    return FlashLayout(
        family=family.name,
        product_id=family.product_id,
        runs=tuple(run for run in runs if run.count),
        write_bytes=family.write_bytes,
        bank_sectors=(family.bank_bytes or board.flash.size) // family.runs[-1].size,
        driver=family.driver,
        protocol_base=_ST_FLASH if shown_as_st else board.flash.origin,
    )


def _family(board: Board) -> _Family | None:
    if board.emulator is not None:
        return _MPS if board.emulator.machine.startswith("mps") else None
    return next((f for f in _FAMILIES if re.match(f.mcu, board.mcu)), None)


def loader_obstacle(board: Board) -> str | None:
    """Say why `board` cannot have the resident loader; None where it can."""
    if not board.core.vtor:
        return f"{board.core.title} cannot move its vector table behind a loader"
    if board.link_offset:
        return "another bootloader lies at the start of its flash"
    layout = flash_layout(board)
    if layout is None or layout.driver is None:
        what = board.mcu or "its microcontroller"
        return f"there is no flash driver of the resident loader for {what}"
    return None
