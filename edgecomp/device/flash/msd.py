"""Drag and drop: debug probes (ST-LINK, DAPLink) whose drive programs what lands on it.

The probe unmounts its drive, programs, and comes back; what went wrong stands in FAIL.TXT then.
"""

import re
import time
from pathlib import Path

from edgecomp.device.flash.drives import copy_through, mounted, only_one
from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.errors import FlashError
from edgecomp.targets.boards import Board

_FAIL = "FAIL.TXT"
_MARKERS = ("MBED.HTM", "DETAILS.TXT")
_BOARD_ID = re.compile(r"(?:code=|Unique ID:\s*|auth=)([0-9A-Fa-f]{4})")
_SETTLE_S = 2.0
_RETURN_S = 30.0
_POLL_S = 0.2


def board_id_of(drive: Path) -> str:
    """The first four digits of the probe's board id, or an empty string."""
    for marker in _MARKERS:
        try:
            found = _BOARD_ID.search((drive / marker).read_text(errors="replace"))
        except OSError:
            continue
        if found:
            return found[1].upper()
    return ""


def probe_drives(board: Board) -> list[Path]:
    """The mounted drives of probes; only those of `board` where its probe's id tells."""
    drives = sorted({drive for marker in _MARKERS for drive in mounted(marker)})
    wanted = {identity.upper() for identity in board.probe.board_ids}
    matching = [drive for drive in drives if board_id_of(drive) in wanted]
    return matching or [drive for drive in drives if not wanted or not board_id_of(drive)]


def flash_by_msd(job: FlashJob, settle_s: float = _SETTLE_S) -> FlashResult:
    """Copy the image to the probe's drive and read what the probe says of it.

    Raises:
        FlashError: no drive, it cannot be written, or the probe wrote FAIL.TXT.
    """
    drive = job.drive or only_one(probe_drives(job.board), f"the probe of {job.board.name}")
    job.progress("writing", 0, len(job.image))
    # A binary file lands at the start of the flash; only a hex file can say otherwise.
    is_at_start = job.addr == job.board.flash.origin
    kind = "bin" if is_at_start or "hex" not in job.files else "hex"
    if kind == "bin" and not is_at_start:
        raise FlashError(f"the drive {drive} puts binary files at the start of the flash only")
    content = job.image if kind == "bin" else job.files[kind].read_bytes()
    copy_through(content, drive / f"edgecomp.{kind}")
    job.progress("writing", len(job.image), len(job.image))
    _wait_for_return(drive, settle_s)
    reason = _failure(drive)
    if reason:
        raise FlashError(
            f"the probe could not program {job.board.name}: {reason}\n"
            "  unplug the board, plug it in again and repeat the command"
        )
    return FlashResult("msd", len(job.image), 0, "tool", started=True)


def _wait_for_return(drive: Path, settle_s: float) -> None:
    """Wait until the drive has gone and come back, or has been there undisturbed for a while."""
    begun = time.monotonic()
    quiet_since = begun
    while time.monotonic() - begun < _RETURN_S:
        if not drive.is_dir() or not any((drive / marker).exists() for marker in _MARKERS):
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= settle_s:
            return
        time.sleep(min(_POLL_S, settle_s))
    raise FlashError(
        f"the drive {drive} did not come back after programming\n"
        "  mount it (a desktop does so by itself) and look for FAIL.TXT on it"
    )


def _failure(drive: Path) -> str:
    try:
        return " ".join((drive / _FAIL).read_text(errors="replace").split())
    except OSError:
        return ""
