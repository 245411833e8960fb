"""Where shipped files lie, in a checkout and in a wheel, and how outputs are written.

Outputs appear whole or not at all: they are written under a temporary name and moved.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecomp.errors import InternalError, ToolError, UserError

MANIFEST = "manifest.json"
"""The file by which a folder is known as an output of edgecomp."""

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}

_PACKAGE = Path(__file__).resolve().parent


def _resource(name: str) -> Path:
    """Find `name` inside the installed package, or at the top of the checkout."""
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.exists():
            return candidate
    raise InternalError(
        f"{name} is missing from this installation of edgecomp; install it again from its wheel"
    )


def templates_dir() -> Path:
    """Return the folder of the Jinja2 templates."""
    return _resource("templates")


def firmware_dir() -> Path:
    """Return the folder of the C sources that every image shares."""
    return _resource("firmware")


def boards_file() -> Path:
    """Return the board table."""
    return _resource("boards.yaml")


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """Offer an empty folder that takes the place of `target` when the block ends well.

    If the block fails or is interrupted the folder is removed and `target` stays as it was.
    A compiler that fails because the disk is full is reported as a full disk.

    Raises:
        UserError: `target` is a file, is a folder that edgecomp did not make, or cannot be written.
    """
    target = target.resolve()
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is a file; give another folder with -o")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).exists():
        raise UserError(
            f"{target} has files that edgecomp did not write; give an empty folder with -o"
        )
    staging = _temporary_beside(target)
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    try:
        yield staging
        if target.exists():
            target.rename(old)
        staging.rename(target)
    except (OSError, ToolError) as error:
        number = _disk_problem(error)
        if number is None:
            raise
        raise UserError(_cannot_write(target, number)) from error
    finally:
        if old.exists() and not target.exists():  # interrupted between the two moves
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(staging, ignore_errors=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name and move it into place.

    Raises:
        UserError: it cannot be written; what was there before is kept.
    """
    temporary = path.with_name(f".{path.name}.new-{os.getpid()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        raise UserError(_cannot_write(path, error.errno or 0)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary_beside(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
    except OSError as error:
        raise UserError(_cannot_write(target, error.errno or 0)) from error
    staging.chmod(0o755)
    return staging


def _disk_problem(error: OSError | ToolError) -> int | None:
    """The error number, where what failed is the disk and not us."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return error.errno
    # shutil collects several failures, and compilers print theirs: both keep the system's words.
    full = (errno.ENOSPC, errno.EDQUOT)
    return next((number for number in full if os.strerror(number) in str(error)), None)


def _cannot_write(path: Path, number: int) -> str:
    remedy = {
        errno.ENOSPC: "free some space, or give another place with -o",
        errno.EDQUOT: "your quota is used up; give another place with -o",
    }.get(number, "give another place with -o")
    return f"cannot write {path}: {os.strerror(number)}; nothing was changed there\n  {remedy}"
