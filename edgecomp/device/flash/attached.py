"""What is plugged in: serial ports and drives of debug probes, and which board each may be.

A USB id finds the probe, and every Nucleo has the same one. The probe's board id tells boards
apart: a CMSIS-DAP probe has it at the start of its serial number, and the drives of ST-LINK and
DAPLink state it in a file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edgecomp.device.flash.drives import mounted
from edgecomp.device.flash.msd import board_id_of
from edgecomp.targets.boards import Board

_PROBE_MARKERS = ("MBED.HTM", "DETAILS.TXT")
_UF2_MARKER = "INFO_UF2.TXT"

Sure = Literal["board id", "usb id", "same probe", ""]


class UsbPort(Protocol):
    """What is used of pyserial's `ListPortInfo`."""

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    description: str


@dataclass(frozen=True)
class Attached:
    """One port or drive.

    Attributes:
        where: the port's name or the drive's folder.
        kind: which of the two.
        usb: VID:PID in hex, empty where there is none.
        serial: the USB serial number.
        what: what the system or the drive says of it.
        boards: ids of the boards that it may be, none where nothing fits.
        by: what the boards follow from: "board id" is certain, "usb id" holds for every one that
            is listed, "same probe" is a guess from the only drive that fits.
    """

    where: str
    kind: Literal["port", "drive"]
    usb: str = ""
    serial: str = ""
    what: str = ""
    boards: tuple[str, ...] = ()
    by: Sure = ""


def _system_ports() -> Sequence[UsbPort]:
    from serial.tools import list_ports

    return sorted(list_ports.comports(), key=lambda port: str(port.device))


def _probe_drives() -> Mapping[Path, str]:
    """Return the mounted drives of probes with their board ids."""
    drives = sorted({drive for marker in _PROBE_MARKERS for drive in mounted(marker)})
    return {drive: board_id_of(drive) for drive in drives}


def _uf2_drives() -> Mapping[Path, str]:
    """Return the mounted drives of UF2 boot loaders with the model that they state."""
    return {drive: _uf2_model(drive) for drive in mounted(_UF2_MARKER)}


def _uf2_model(drive: Path) -> str:
    try:
        lines = (drive / _UF2_MARKER).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model")), "")


def attached(
    boards: Mapping[str, Board],
    ports: Callable[[], Sequence[UsbPort]] | None = None,
    probe_drives: Callable[[], Mapping[Path, str]] = _probe_drives,
    uf2_drives: Callable[[], Mapping[Path, str]] = _uf2_drives,
) -> tuple[Attached, ...]:
    """List what is plugged in.

    Args:
        boards: the table to look in.
        ports: lists the serial ports, the system's unless given.
        probe_drives: lists the drives of debug probes with their board ids.
        uf2_drives: lists the drives of UF2 boot loaders with what they state.

    Returns:
        Ports on USB first, then drives.
    """
    drives = dict(probe_drives())
    found = [
        _port(port, boards, drives) for port in (ports or _system_ports)() if port.vid is not None
    ]
    for drive, identity in drives.items():
        likely = _by_id(boards, identity)
        found.append(
            Attached(
                str(drive),
                "drive",
                what=f"probe, board id {identity or 'not stated'}",
                boards=likely,
                by="board id" if likely else "",
            )
        )
    found += [Attached(str(drive), "drive", what=model) for drive, model in uf2_drives().items()]
    return tuple(found)


def _by_id(boards: Mapping[str, Board], identity: str) -> tuple[str, ...]:
    wanted = identity.upper()
    return tuple(
        board.id for board in boards.values() if wanted and wanted in board.probe.board_ids
    )


def _port(port: UsbPort, boards: Mapping[str, Board], drives: Mapping[Path, str]) -> Attached:
    usb = f"{port.vid:04x}:{port.pid:04x}"
    serial = port.serial_number or ""
    candidates = tuple(board.id for board in boards.values() if usb in board.probe.usb)
    by_serial = tuple(name for name in _by_id(boards, serial[:4]) if name in candidates)
    on_drives = {name for identity in drives.values() for name in _by_id(boards, identity)}
    by_drive = tuple(name for name in candidates if name in on_drives)
    by: Sure
    if by_serial:
        likely, by = by_serial, "board id"
    elif len(candidates) == 1:
        likely, by = candidates, "usb id"
    elif len(by_drive) == 1:
        likely, by = by_drive, "same probe"
    else:
        likely, by = candidates, "usb id" if candidates else ""
    return Attached(port.device, "port", usb, serial, port.description or "", likely, by)
