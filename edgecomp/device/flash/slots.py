"""Two applications in two slots behind the resident loader: an update, and the way back.

Each slot has an image of its own, linked for it; the loader starts the later of two whole ones. An
update goes into the slot that is not running, so that the running one stays until the new one is
whole, and can be returned to.
"""

from dataclasses import dataclass, replace

from edgecomp.build.seal import CRC_START, SEALED_HEAD_BYTES, read_seal, seal, words_crc
from edgecomp.device.flash.job import FlashJob, FlashResult, SlotImage
from edgecomp.device.flash.program import Target, program
from edgecomp.errors import FlashError, InternalError

_SEAL_AT = 0x20
_CRC_AT = SEALED_HEAD_BYTES - 4
_VERSIONS = 1 << 16


@dataclass(frozen=True)
class Slot:
    """A slot: its number, 0 or 1, where it begins, and the version of the whole image in it."""

    number: int
    addr: int
    version: int | None


def read_slots(target: Target) -> tuple[Slot, Slot]:
    """Ask the loader what lies in both slots; as it does, only whole images are believed in."""
    layout, origin = target.layout, target.flash_addr
    first, second = origin + layout.loader_end, origin + layout.second_slot
    end = origin + layout.sectors[-1].end
    return (
        Slot(0, first, _version(target, first, second, end)),
        Slot(1, second, _version(target, second, end, 0)),
    )


def _version(target: Target, addr: int, end: int, end_of_only: int) -> int | None:
    found = read_seal(target.device.read(target.protocol_addr(addr), SEALED_HEAD_BYTES))
    if found is None:
        return None
    version, length, crc = found
    room = (end if version else end_of_only) - addr
    if length % 4 or not SEALED_HEAD_BYTES < length <= room:
        return None
    head = target.device.checksum(target.protocol_addr(addr), _CRC_AT)
    head = words_crc(b"\xff" * 4, head)
    behind = target.protocol_addr(addr + SEALED_HEAD_BYTES)
    whole = target.device.checksum(behind, length - SEALED_HEAD_BYTES, head)
    return version if whole == crc else None


def running(slots: tuple[Slot, Slot]) -> Slot | None:
    """The slot that the loader starts: `image_find` of firmware/loader/image.c."""
    first, second = slots
    if first.version == 0 or second.version is None:
        return first if first.version is not None else None
    if first.version is None:
        return second
    return first if (second.version - first.version) % _VERSIONS >= _VERSIONS // 2 else second


def update(target: Target, job: FlashJob) -> FlashResult:
    """Write the image of the slot that is not running, one version later than the running one.

    Raises:
        FlashError: with `weights_only`, the running code is not that of the job's images.
    """
    slots = read_slots(target)
    now = running(slots)
    if job.weights_only:
        _require_same_code(target, job, now)
    if now is None or now.version is None or now.version == 0:
        goal, version = slots[0], 1
    else:
        goal, version = slots[1 - now.number], now.version % (_VERSIONS - 1) + 1
    if now is not None and now.version == 0 and slots[1].version is not None:
        _invalidate(target, slots[1])  # left over from before; it must not come up in between
    if now is not None and now.version and _is_there(target, now, job.slots[now.number]):
        return _result(target, job, now, now.version, 0, 0)
    job.say(f"writing version {version} into slot {goal.number}")
    image = seal(job.slots[goal.number].content, version)
    done = program(target, replace(job, image=image, addr=goal.addr))
    return _result(target, job, goal, version, done.written_bytes, done.erased_sectors)


def roll_back(target: Target, job: FlashJob) -> FlashResult:
    """Return to the application in the other slot: the running one is made invalid.

    Raises:
        FlashError: there is no other.
    """
    slots = read_slots(target)
    now = running(slots)
    other = slots[1 - now.number] if now is not None and now.version else None
    if now is None or other is None or other.version is None:
        raise FlashError("there is nothing to return to: the other slot holds no whole application")
    _invalidate(target, now)
    job.say(f"returning to version {other.version} in slot {other.number}")
    return _result(target, job, other, other.version, 0, 1)


def _invalidate(target: Target, slot: Slot) -> None:
    """Erase the sector with the seal of a slot."""
    offset = slot.addr - target.flash_addr
    first = target.layout.covering(offset, offset + 1)[0]
    target.device.erase([first.number], target.capabilities)


def _result(
    target: Target, job: FlashJob, slot: Slot, version: int, written: int, erased: int
) -> FlashResult:
    if job.start:
        target.device.go(target.protocol_addr(slot.addr))
    return FlashResult("loader", written, erased, "crc", job.start, slot.number, version)


def _is_there(target: Target, slot: Slot, image: SlotImage) -> bool:
    """Whether the slot holds just this image, whatever its version."""
    parts = ((0, _SEAL_AT), (SEALED_HEAD_BYTES, len(image.content)))
    return all(_is_equal(target, slot, image, low, high) for low, high in parts)


def _is_equal(target: Target, slot: Slot, image: SlotImage, low: int, high: int) -> bool:
    there = target.device.checksum(target.protocol_addr(slot.addr + low), high - low, CRC_START)
    return there == words_crc(image.content[low:high])


def _require_same_code(target: Target, job: FlashJob, now: Slot | None) -> None:
    """Refuse an update whose code is not the code that runs, all but its weights."""
    if len(job.slots) != 2:
        raise InternalError("an update of weights without images for both slots")
    if now is not None and now.version:
        image = job.slots[now.number]
        behind = len(image.content) - image.weights_end
        parts = [(0, _SEAL_AT), (SEALED_HEAD_BYTES, image.weights_start)]
        parts += [(image.weights_end, len(image.content))] if behind else []
        if all(_is_equal(target, now, image, low, high) for low, high in parts):
            return
    raise FlashError(
        "the code that runs is not the code of these weights, so weights alone are not enough\n"
        "  flash without --weights-only: code and weights then go into the free slot together"
    )
