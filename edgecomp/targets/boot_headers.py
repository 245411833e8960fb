"""What some microcontrollers want in the image besides the vector table.

A header is one row: where it lies, how long it is, where the vector table goes because of it, and
the source of `firmware/port/boot/` that fills the section `.boot_header`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class BootHeader:
    """Offsets from the start of the image, in bytes; `source` is empty where there is none."""

    at: int
    size_bytes: int
    vectors_at: int
    source: str

    @property
    def before_vectors(self) -> bool:
        """Whether the header comes first."""
        return self.at < self.vectors_at


NO_HEADER = BootHeader(at=0, size_bytes=0, vectors_at=0, source="")

BOOT_HEADERS: dict[str, BootHeader] = {
    # RP2040 datasheet, 2.8.1.3.1: 252 bytes that make the flash readable, then their CRC-32.
    "rp2040": BootHeader(at=0, size_bytes=256, vectors_at=256, source="boot_rp2040.S"),
    # RP2350 datasheet, 5.9.5: a block of five words anywhere in the first 4 KiB.
    "rp2350": BootHeader(at=0x100, size_bytes=20, vectors_at=0, source="boot_rp2350.c"),
    # i.MX RT1060 reference manual, 9.6 and 9.7: flash configuration at 0, IVT at 0x1000.
    "imxrt": BootHeader(at=0, size_bytes=0x1030, vectors_at=0x2000, source="boot_imxrt.c"),
    # K64 reference manual, 29.3.1: the flash configuration field, which can lock the chip.
    "kinetis": BootHeader(at=0x400, size_bytes=16, vectors_at=0, source="boot_kinetis.c"),
}
