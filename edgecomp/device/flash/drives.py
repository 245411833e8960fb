"""Finding the drive of a board among the mounted ones, and copying a file to it."""

import os
from pathlib import Path

from edgecomp.errors import FlashError

MOUNTS = ("/media/*/*", "/run/media/*/*", "/media/*", "/mnt/*", "/Volumes/*")


def mounted(marker: str, patterns: tuple[str, ...] = MOUNTS) -> list[Path]:
    """The mounted drives that have a file called `marker` at their top."""
    found = []
    for pattern in patterns:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            try:
                if (folder / marker).is_file():
                    found.append(folder)
            except OSError:
                continue  # not ours to look into
    return found


def only_one(drives: list[Path], what: str) -> Path:
    """Return the only drive of the list.

    Raises:
        FlashError: there is none or there are several.
    """
    if not drives:
        raise FlashError(
            f"no drive of {what} is mounted\n"
            "  plug the board in and open its drive, or say where it is: --drive DIR"
        )
    if len(drives) > 1:
        names = ", ".join(str(drive) for drive in drives)
        raise FlashError(f"there are several drives: {names}\n  say which one: --drive DIR")
    return drives[0]


def copy_through(content: bytes, target: Path) -> None:
    """Write a file to a drive and wait until it has left this machine's buffers.

    Raises:
        FlashError: it cannot be written; a drive that vanishes at the very end is no error.
    """
    try:
        with target.open("wb") as file:
            file.write(content)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError:
                return  # the board took the last block and has reset itself already
    except OSError as error:
        raise FlashError(
            f"cannot write {target}: {error.strerror}\n"
            "  unplug the board, plug it in again and repeat the command"
        ) from error
