"""What is to be flashed, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgecomp.targets.boards import Board

Unprotect = Literal["none", "write", "read"]
Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Called with what is done ("erasing", "writing", "verifying"), bytes done, bytes in all."""


def silent(text: str) -> None:
    """Say nothing."""


def no_progress(what: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class SlotImage:
    """The image for one slot; its weights lie at [weights_start, weights_end) of it."""

    content: bytes
    weights_start: int
    weights_end: int


@dataclass(frozen=True)
class FlashJob:
    """One image for one board.

    Attributes:
        board: the board as its table has it.
        image: the bytes of the image; the first is for `addr`.
        addr: where the image begins, as the processor sees it.
        files: the image as files, by suffix: bin, hex, elf.
        port: serial port, or None.
        baud: rate of the port, bits/s.
        drive: mount point of a board's drive, or None to look for it.
        verify: compare what was written with the image.
        start: start the image at the end, where the method can.
        unprotect: which protection may be lifted; `read` erases the whole chip.
        slots: the images for the two slots behind the loader, where the build has them; `image`
            and `addr` are of no matter then.
        weights_only: refuse an update in which more than the weights is new.
        rollback: return to the other slot instead of writing.
        say: called with a line of text for the user.
        progress: called as the work goes on.
    """

    board: Board
    image: bytes
    addr: int
    files: dict[str, Path] = field(default_factory=dict)
    port: str | None = None
    baud: int = 115200
    drive: Path | None = None
    verify: bool = True
    start: bool = True
    unprotect: Unprotect = "none"
    slots: tuple[SlotImage, ...] = ()
    weights_only: bool = False
    rollback: bool = False
    say: Say = silent
    progress: Progress = no_progress


@dataclass(frozen=True)
class FlashResult:
    """What was done.

    Attributes:
        method: the name in METHODS.
        written_bytes: bytes of the image that were sent, 0 where all was there already.
        erased_sectors: sectors erased, 0 where the method does not say.
        verified: how what lies in the flash was compared: `crc`, `read-back`, `tool` (by the
            program or drive that wrote it) or `no`.
        started: whether the image was started.
        slot: where the application lies, 0 or 1; None where there are no slots.
        version: of the application in its slot.
    """

    method: str
    written_bytes: int
    erased_sectors: int
    verified: str
    started: bool
    slot: int | None = None
    version: int | None = None
