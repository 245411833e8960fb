"""Erasing, writing and comparing over a loader: only what differs, so that it can be repeated.

The order makes an interruption harmless. The sector with the vector table and the seal goes first,
so that the resident loader no longer takes the image for whole; the first block is written last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edgecomp.build.seal import words_crc
from edgecomp.device.flash.an3155 import BLOCK_BYTES, CHECKSUM, An3155, Capabilities
from edgecomp.device.flash.job import FlashJob
from edgecomp.errors import BadFrame, FlashError, LinkTimeout
from edgecomp.targets.flash_memory import FlashLayout, Sector

_T = TypeVar("_T")
_ATTEMPTS = 4
_BLANK = 0xFF


@dataclass(frozen=True)
class Programmed:
    """Bytes written, sectors erased, and how it was compared."""

    written_bytes: int
    erased_sectors: int
    verified: str


@dataclass(frozen=True)
class Target:
    """A board's flash behind an open loader.

    `trusted_crc` tells that Get Checksum is the resident loader's, whose CRC is known here.
    """

    device: An3155
    capabilities: Capabilities
    layout: FlashLayout
    flash_addr: int
    trusted_crc: bool

    @property
    def has_crc(self) -> bool:
        """Whether contents can be compared without reading them."""
        return self.trusted_crc and CHECKSUM in self.capabilities.commands

    def protocol_addr(self, addr: int) -> int:
        """What the loader calls the address `addr`."""
        return addr - self.flash_addr + self.layout.protocol_base


def program(target: Target, job: FlashJob) -> Programmed:
    """Bring the image of `job` into the flash.

    Raises:
        FlashError: the loader refused, or what it wrote is not what was sent.
        LinkTimeout: it went silent.
    """
    image = _padded(job.image, target.layout.write_bytes)
    start = job.addr - target.flash_addr
    sectors = target.layout.covering(start, start + len(image))
    changed = []
    for number, sector in enumerate(sectors):
        job.progress("comparing", number, len(sectors))
        if not _is_equal(target, job.addr, image, *_part(sector, start, image)):
            changed.append(sector)
    if changed and changed[0] is not sectors[0]:
        changed.insert(0, sectors[0])  # it holds what makes the image valid
    job.progress("comparing", len(sectors), len(sectors))
    for number, sector in enumerate(changed):
        job.progress("erasing", number, len(changed))
        _erase(target, sector)
    job.progress("erasing", len(changed), len(changed))
    written = _write_sectors(target, job, image, changed)
    verified = "no"
    if job.verify:
        verified = "crc" if target.has_crc else "read-back"
        for number, sector in enumerate(sectors):
            job.progress("verifying", number, len(sectors))
            low, high = _part(sector, start, image)
            if not _is_equal(target, job.addr, image, low, high):
                raise FlashError(
                    f"what lies at {job.addr + low:#010x} to {job.addr + high:#010x} differs from "
                    "the image after writing\n  repeat the command; if it stays, the flash is worn"
                )
        job.progress("verifying", len(sectors), len(sectors))
    return Programmed(written, len(changed), verified)


def _erase(target: Target, sector: Sector) -> None:
    _again(target, lambda: target.device.erase([sector.number], target.capabilities))


def _read(target: Target, addr: int, size: int) -> bytes:
    return _again(target, lambda: target.device.read(target.protocol_addr(addr), size))


def _padded(image: bytes, unit: int) -> bytes:
    return image + bytes([_BLANK]) * (-len(image) % unit)


def _part(sector: Sector, start: int, image: bytes) -> tuple[int, int]:
    """The offsets in the image of what lies in `sector`."""
    return max(sector.offset - start, 0), min(sector.end - start, len(image))


def _is_equal(target: Target, addr: int, image: bytes, low: int, high: int) -> bool:
    """Whether the flash has image[low:high] already."""
    if target.has_crc:
        found = _again(
            target,
            lambda: target.device.checksum(target.protocol_addr(addr + low), high - low),
        )
        return found == words_crc(image[low:high])
    for at in range(low, high, BLOCK_BYTES):
        size = min(BLOCK_BYTES, high - at)
        if _read(target, addr + at, size) != image[at : at + size]:
            return False
    return True


def _blocks(sectors: list[Sector], start: int, image: bytes) -> list[tuple[int, bytes]]:
    """What is to be written, with its offset in the image; the first block comes last."""
    found = []
    for sector in sectors:
        low, high = _part(sector, start, image)
        for at in range(low, high, BLOCK_BYTES):
            block = image[at : min(at + BLOCK_BYTES, high)]
            if block.count(_BLANK) != len(block):
                found.append((at, block))
    return found[1:] + found[:1]


def _write_sectors(target: Target, job: FlashJob, image: bytes, sectors: list[Sector]) -> int:
    start = job.addr - target.flash_addr
    blocks = _blocks(sectors, start, image)
    total = sum(len(block) for _, block in blocks)
    written = 0
    for at, block in blocks:
        job.progress("writing", written, total)
        _write_block(target, target.protocol_addr(job.addr + at), block)
        written += len(block)
    if total:
        job.progress("writing", total, total)
    return written


def _write_block(target: Target, addr: int, block: bytes) -> None:
    """Write one block; after a fault, look whether it arrived before writing again."""

    def write() -> None:
        if attempts:
            there = target.device.read(addr, len(block))
            if there == block:
                return
            if there.count(_BLANK) != len(there):
                raise FlashError(
                    f"the block at {addr:#010x} was written only in part\n"
                    "  repeat the command: its sector is erased and written again"
                )
        attempts.append(addr)
        target.device.write(addr, block)

    attempts: list[int] = []
    _again(target, write)


def _again(target: Target, action: Callable[[], _T]) -> _T:
    """Do `action`, and again where the line may have disturbed it."""
    left = _ATTEMPTS
    while True:
        try:
            return action()
        except (LinkTimeout, BadFrame, FlashError) as error:
            # A refusal may be a disturbed byte once; twice it is meant.
            left -= _ATTEMPTS // 2 if isinstance(error, FlashError) else 1
            if left <= 0:
                raise
        target.device.resume()
