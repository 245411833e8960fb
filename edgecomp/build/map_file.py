"""Which object each byte of an image's flash comes from, read from the linker's map file."""

import re
from collections import Counter
from pathlib import Path

_START = "Linker script and memory map"
_IN_FLASH = (".text", ".rodata", ".data", ".vectors", ".weights", ".boot", ".glue")
_ENTRY = re.compile(
    r"^ (?P<section>\.\S+)\s+0x[0-9a-f]+\s+(?P<size>0x[0-9a-f]+) (?P<object>\S+)$", re.MULTILINE
)


def object_bytes(map_file: Path) -> Counter[str]:
    """Return the bytes in flash of each object of an image.

    Args:
        map_file: written by GNU ld with `-Map`.

    Returns:
        Bytes by the object's path as the linker was given it, libraries' members included.
    """
    text = map_file.read_text(errors="replace")
    listing = text[max(text.find(_START), 0) :]
    found: Counter[str] = Counter()
    for entry in _ENTRY.finditer(listing):
        if entry["section"].startswith(_IN_FLASH):
            found[entry["object"]] += int(entry["size"], 16)
    return found


def application_bytes(map_file: Path) -> int:
    """Return the bytes of what an image has around the model: start-up, console, protocol."""
    return sum(
        size
        for name, size in object_bytes(map_file).items()
        if name.startswith("obj/") and not name.startswith("obj/model_")
    )
