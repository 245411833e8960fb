"""The seal of an application that the resident loader starts; `firmware/loader/image.c` checks it.

Three words of the vector table that no core uses (exceptions 8 to 10) hold a magic number with a
version, the image's length in bytes and its CRC, computed with all ones in the CRC's own place.
Version 0 is for an image that may fill the flash; images in slots count from 1.
"""

import struct
import zlib
from array import array
from pathlib import Path

from elftools.elf.elffile import ELFFile

from edgecomp.build.toolchain import run_tool
from edgecomp.errors import InternalError

CRC_POLYNOMIAL = 0x04C11DB7
CRC_START = 0xFFFFFFFF
_MAGIC = 0x4345
_SEAL = struct.Struct("<3I")
_SEAL_AT = 0x20
_CRC_AT = 0x28
SEALED_HEAD_BYTES = _CRC_AT + 4
"""What of an image must be known to read its seal."""
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def words_crc(data: bytes, crc: int = CRC_START) -> int:
    """Return the CRC of `data` as the CRC unit of STM32 computes it over 32-bit words.

    Polynomial 0x04C11DB7, the most significant bit of each word first, nothing inverted. That is
    zlib's CRC seen in a mirror: of mirrored bits, with zlib's two inversions taken back.

    Args:
        data: a multiple of 4 bytes; little-endian words.
        crc: what the words before gave.

    >>> hex(words_crc(bytes([0x78, 0x56, 0x34, 0x12])))
    '0xdf8a8a2b'
    """
    if len(data) % 4:
        raise InternalError(f"a CRC over words of {len(data)} bytes")
    words = array("I", data)
    words.byteswap()
    mirrored = words.tobytes().translate(_MIRRORED)
    return _mirror_word(zlib.crc32(mirrored, _mirror_word(crc) ^ 0xFFFFFFFF) ^ 0xFFFFFFFF)


def _mirror_word(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "big").translate(_MIRRORED), "little")


def seal(image: bytes, version: int = 0) -> bytes:
    """Return `image`, which begins with its vector table, with the seal in place."""
    head = _SEAL.pack(_MAGIC | version << 16, len(image), 0xFFFFFFFF)
    opened = image[:_SEAL_AT] + head + image[_CRC_AT + 4 :]
    crc = words_crc(opened).to_bytes(4, "little")
    return opened[:_CRC_AT] + crc + opened[_CRC_AT + 4 :]


def is_sealed(image: bytes) -> bool:
    """Whether `image` is whole and carries its seal."""
    if len(image) < SEALED_HEAD_BYTES or len(image) % 4:
        return False
    return seal(image, int.from_bytes(image[_SEAL_AT + 2 : _SEAL_AT + 4], "little")) == image


def read_seal(head: bytes) -> tuple[int, int, int] | None:
    """Return version, length and CRC of the image that begins with `head`, or None."""
    magic, length, crc = _SEAL.unpack_from(head, _SEAL_AT)
    return (magic >> 16, length, crc) if magic & 0xFFFF == _MAGIC else None


def seal_files(folder: Path, name: str, version: int = 0) -> None:
    """Seal `name`.elf in `folder` and write `name`.bin and `name`.hex anew from it."""
    elf, binary = folder / f"{name}.elf", folder / f"{name}.bin"
    image = seal(binary.read_bytes(), version)
    with elf.open("r+b") as file:
        vectors = ELFFile(file).get_section_by_name(".vectors")
        if vectors is None or image[:_SEAL_AT] != vectors.data()[:_SEAL_AT]:
            raise InternalError(f"{elf.name} does not begin with its vector table")
        file.seek(vectors["sh_offset"] + _SEAL_AT)
        file.write(image[_SEAL_AT : _CRC_AT + 4])
    binary.write_bytes(image)
    # From the binary, as the gaps between sections belong to what was sealed.
    at = f"--change-addresses={vectors['sh_addr']:#x}"
    command = ["arm-none-eabi-objcopy", "-I", "binary", "-O", "ihex", at]
    run_tool([*command, binary.name, f"{name}.hex"], folder)


def weights_within(elf: Path) -> tuple[int, int]:
    """Return where the weights begin and end, in bytes from the start of the image."""
    with elf.open("rb") as file:
        sections = ELFFile(file)
        vectors = sections.get_section_by_name(".vectors")
        weights = sections.get_section_by_name(".weights")
        if vectors is None or weights is None:
            raise InternalError(f"{elf.name} is not an image of edgecomp")
        start = weights["sh_addr"] - vectors["sh_addr"]
        return start, start + weights["sh_size"]
