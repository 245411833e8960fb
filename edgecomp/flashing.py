"""From a built folder to a board: which image, where to, and by which method."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgecomp.artifact import SECOND_IMAGE, BuiltModel, open_artifact
from edgecomp.build.seal import is_sealed, weights_within
from edgecomp.device.flash import METHODS, FlashJob, Method
from edgecomp.device.flash.job import (
    Progress,
    Say,
    SlotImage,
    Unprotect,
    no_progress,
    silent,
)
from edgecomp.device.flash.touch import usb_ports
from edgecomp.errors import DoesNotFitError, FlashError, UserError
from edgecomp.paths import sha256_of
from edgecomp.targets.flash_memory import loader_obstacle

Image = Literal["firmware", "check", "loader"]
_LOADER = "loader"


@dataclass(frozen=True)
class FlashRequest:
    """What the user asked for; the fields are the options of `edgecomp flash`.

    `yes` says that losing what is on the chip is understood.
    """

    folder: Path
    image: Image = "firmware"
    port: str | None = None
    method: str | None = None
    baud: int | None = None
    drive: Path | None = None
    verify: bool = True
    start: bool = True
    unprotect: Unprotect = "none"
    yes: bool = False
    weights_only: bool = False
    rollback: bool = False
    boards_file: Path | None = None


def flash(
    request: FlashRequest, say: Say = silent, progress: Progress = no_progress
) -> dict[str, Any]:
    """Bring an image of a built folder onto its board.

    Args:
        request: the options.
        say: called with lines for the user.
        progress: called as the work goes on.

    Returns:
        `board`, `image`, `image_bytes`, `port`, `seconds`, `kib_per_s` (of what was written), and
        the fields of `FlashResult`.

    Raises:
        UserError: a wrong option, or a folder without the image.
        DoesNotFitError: the image is larger than its place in the flash.
        FlashError, LinkTimeout: the board did not take it; the message says how to recover.
    """
    if request.unprotect == "read" and not request.yes:
        raise UserError(
            "--unprotect read makes the chip erase everything it holds; add --yes if that is meant"
        )
    built = open_artifact(request.folder, request.boards_file)
    if (request.weights_only or request.rollback) and not _uses_slots(built, request):
        raise UserError(
            "--weights-only and --rollback are for firmware in slots: build it with --weights-slot"
        )
    path = _image_file(built, request.image)
    content = path.read_bytes()
    addr = _addr_of(built, request.image)
    _check_fits(built, request.image, content, addr)
    method = _choose(built, request)
    port = _port(request, method)
    console = built.board.console
    say(f"flashing {path.name} to {built.board.name} by {method.title}")
    job = FlashJob(
        board=built.board,
        image=content,
        addr=addr,
        files={
            suffix: path.with_suffix(f".{suffix}")
            for suffix in ("bin", "hex", "elf")
            if path.with_suffix(f".{suffix}").exists()
        },
        port=port,
        baud=request.baud or console.baud,
        drive=request.drive,
        verify=request.verify,
        start=request.start,
        unprotect=request.unprotect,
        slots=_slots(built) if _uses_slots(built, request) else (),
        weights_only=request.weights_only,
        rollback=request.rollback,
        say=say,
        progress=progress,
    )
    begun = time.monotonic()
    result = method.run(job)
    seconds = time.monotonic() - begun
    return {
        "board": built.board.id,
        "image": path.name,
        "image_bytes": len(content),
        "port": port,
        "seconds": round(seconds, 3),
        "kib_per_s": round(result.written_bytes / 1024 / seconds, 1) if seconds else 0.0,
        **asdict(result),
    }


def _image_file(built: BuiltModel, image: str) -> Path:
    """Return the binary file of an image, which must be as it was built."""
    path = built.folder / f"{image}.bin"
    if not path.exists():
        remedy = {
            "loader": "build the model with --loader, which writes the loader as well",
            "check": "the check image did not fit the board; flash the firmware",
        }.get(image, "build the model again")
        raise UserError(f"{built.folder} has no {path.name}\n  {remedy}")
    for file in (path, path.with_suffix(".hex")):
        if file.exists() and sha256_of(file) != built.manifest["sha256"].get(file.name):
            raise UserError(f"{file} is damaged or of another build; build the model again")
    return path


def _is_behind_loader(built: BuiltModel) -> bool:
    return bool(built.manifest["options"]["loader"])


def _addr_of(built: BuiltModel, image: Image) -> int:
    return built.board.flash.origin if image == _LOADER else built.board.image.origin


def _uses_slots(built: BuiltModel, request: FlashRequest) -> bool:
    has_slots = bool(built.manifest["options"]["weights_slot"])
    return has_slots and request.image == "firmware" and request.method in {None, _LOADER}


def _slots(built: BuiltModel) -> tuple[SlotImage, SlotImage]:
    """The images for both slots, with the place of their weights."""
    found = []
    for name in ("firmware", SECOND_IMAGE):
        path = _image_file(built, name)
        found.append(SlotImage(path.read_bytes(), *weights_within(path.with_suffix(".elf"))))
    return found[0], found[1]


def _check_fits(built: BuiltModel, image: Image, content: bytes, addr: int) -> None:
    room = built.board.flash.end - addr
    if image != _LOADER:
        room = min(room, built.board.image.size)
    if len(content) > room:
        raise DoesNotFitError(
            f"{image}.bin needs {len(content):,} bytes, {built.board.name} has {room:,} at "
            f"{addr:#010x}\n  build for a larger board, or make the model smaller"
        )
    if image != _LOADER and _is_behind_loader(built) and not is_sealed(content):
        raise UserError(f"{image}.bin lacks the loader's seal; build the model again")


def _choose(built: BuiltModel, request: FlashRequest) -> Method:
    """The method that was asked for, or the best one that can be used as things are."""
    usable = _usable(built, request.image)
    if request.method is not None:
        if request.method not in METHODS:
            raise UserError(f"--method must be one of {', '.join(METHODS)}, not {request.method!r}")
        if request.method == _LOADER and _LOADER not in usable:
            raise UserError(
                "the loader takes applications that were built with --loader; "
                f"{request.image}.bin goes another way: --method {' or '.join(usable) or 'swd'}"
            )
        return METHODS[request.method]
    methods = [METHODS[name] for name in usable if name in METHODS]
    if not methods:
        others = ", ".join(built.board.flash_methods)
        raise FlashError(
            f"edgecomp cannot flash {built.board.name} by itself"
            + (f"; it is flashed by {others}" if others else "")
            + (
                "\n  build with --loader: the resident loader takes images over the console"
                if loader_obstacle(built.board) is None
                else ""
            )
            + "\n  docs/flashing.md says how; the image lies in the folder as .bin, .hex and .elf"
        )
    # A port that was named asks for a method that uses it.
    wants_port = [method for method in methods if method.needs == "port"]
    return wants_port[0] if request.port and wants_port else methods[0]


def _usable(built: BuiltModel, image: Image) -> list[str]:
    """Names of the board's methods, best first."""
    others: list[str] = [name for name in built.board.flash_methods if name != _LOADER]
    if image != _LOADER and _is_behind_loader(built):
        return [_LOADER, *others]
    return others


def _port(request: FlashRequest, method: Method) -> str | None:
    """The port that was named, or the only one that is there."""
    if request.port is not None or method.needs != "port":
        return request.port
    ports = sorted(usb_ports())
    if len(ports) == 1:
        return ports[0]
    there = f"there are {', '.join(ports)}" if ports else "no USB serial port is there"
    raise UserError(f"which port is the board on? {there}\n  say it with --port")
