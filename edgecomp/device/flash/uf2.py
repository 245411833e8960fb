"""UF2: a file of 512-byte blocks, each with its own address, for boot loaders that are a drive.

Format and family numbers: microsoft/uf2, README.md and utils/uf2families.json.
"""

import re
import struct
from pathlib import Path

from edgecomp.device.flash.drives import copy_through, mounted, only_one
from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.errors import BadFrame, FlashError
from edgecomp.targets.boards import Board

_HEAD = struct.Struct("<8I")
_MAGIC_START, _MAGIC_SECOND, _MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_HAS_FAMILY = 0x2000
_BLOCK_BYTES, _PAYLOAD_BYTES, _DATA_BYTES = 512, 256, 476
_INFO = "INFO_UF2.TXT"

FAMILIES = (
    ("RP2040", 0xE48BFF56),
    ("RP2350", 0xE48BFF59),  # Arm, secure
    ("(AT)?SAMD21", 0x68ED2B88),
    ("(AT)?SAMD51", 0x55114460),
    ("nRF52840", 0xADA52840),
    ("nRF52833", 0x621E937A),
)
"""Pattern of the microcontroller's name, and the family number of its files."""


def family_of(board: Board) -> int:
    """Return the UF2 family number of a board's microcontroller.

    Raises:
        FlashError: it has none.
    """
    for pattern, number in FAMILIES:
        if re.match(pattern, board.mcu, re.IGNORECASE):
            return number
    raise FlashError(f"{board.name} has no UF2 boot loader: use another --method")


def encode_uf2(image: bytes, addr: int, family: int) -> bytes:
    """Return the UF2 file of `image`, whose first byte is for `addr`."""
    count = -(-len(image) // _PAYLOAD_BYTES)
    blocks = []
    for number in range(count):
        at = number * _PAYLOAD_BYTES
        payload = image[at : at + _PAYLOAD_BYTES].ljust(_DATA_BYTES, b"\0")
        head = (_MAGIC_START, _MAGIC_SECOND, _HAS_FAMILY, addr + at, _PAYLOAD_BYTES)
        blocks.append(_HEAD.pack(*head, number, count, family) + payload)
    return b"".join(block + _MAGIC_END.to_bytes(4, "little") for block in blocks)


def decode_uf2(content: bytes) -> tuple[bytes, int, int]:
    """Return image, address and family of a UF2 file of consecutive blocks.

    Raises:
        BadFrame: it is not one.
    """
    image, first_addr, family = b"", 0, 0
    if not content or len(content) % _BLOCK_BYTES:
        raise BadFrame(f"a UF2 file of {len(content)} bytes")
    for number in range(len(content) // _BLOCK_BYTES):
        block = content[number * _BLOCK_BYTES : (number + 1) * _BLOCK_BYTES]
        start, second, flags, addr, size, index, count, family = _HEAD.unpack_from(block)
        end = int.from_bytes(block[-4:], "little")
        magics = (start, second, end) == (_MAGIC_START, _MAGIC_SECOND, _MAGIC_END)
        if not magics or index != number or count * _BLOCK_BYTES != len(content):
            raise BadFrame(f"block {number} is not a block of a UF2 file")
        first_addr = first_addr if number else addr
        if addr != first_addr + len(image) or not flags & _HAS_FAMILY or size > _DATA_BYTES:
            raise BadFrame(f"block {number} does not follow the one before")
        image += block[_HEAD.size : _HEAD.size + size]
    return image, first_addr, family


def flash_by_uf2(job: FlashJob) -> FlashResult:
    """Copy the image to the drive of the board's boot loader, which starts it by itself.

    Raises:
        FlashError: the board has no such loader, or its drive is not there or refuses.
    """
    family = family_of(job.board)
    drive = job.drive or only_one(mounted(_INFO), f"the boot loader of {job.board.name}")
    if not (drive / _INFO).is_file():
        raise FlashError(
            f"{drive} is not the drive of a UF2 boot loader: it has no {_INFO}\n"
            "  hold BOOTSEL while plugging in, or press reset twice, and repeat the command"
        )
    job.progress("writing", 0, len(job.image))
    copy_through(encode_uf2(job.image, job.addr, family), Path(drive) / "edgecomp.uf2")
    job.progress("writing", len(job.image), len(job.image))
    return FlashResult("uf2", len(job.image), 0, "tool", started=True)
