"""The C and linker files of a board: rendered templates and copies from `firmware/`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgecomp import __version__
from edgecomp.build.placement import Placement, usual_placement
from edgecomp.errors import InternalError
from edgecomp.paths import firmware_dir, templates_dir
from edgecomp.targets.boards import Board, Region

CheckStream = Literal["semihosting", "uart"]
FirmwareProtocol = Literal["edgecomp", "mlperf"]
"""What the firmware answers: the host's own requests, or MLPerf Tiny's runner."""

_HEADERS = ("app/attributes.h", "app/startup.h")
_PORT_HEADERS = (
    "port/port.h",
    "port/registers.h",
    "port/mailbox.h",
    "port/nrf.h",
    "port/pl011.h",
    "port/rp2.h",
    "port/sercom.h",
    "port/stm32.h",
)
_APP_HEADERS = ("app/platform.h", "app/crc32.h", "app/paint.h", "app/fault.h")
_PROTOCOL_HEADERS = ("app/protocol.h", "app/cobs.h", "app/counter.h", "app/mlperf.h")
_FIRMWARE: dict[FirmwareProtocol, tuple[str, ...]] = {
    "edgecomp": ("app/main.c", "app/protocol.c", "app/cobs.c"),
    "mlperf": ("app/mlperf.c", "app/mlperf_th.c"),
}
_UNLIMITED_BYTES = 0x0FFF0000  # as long as a region can be without reaching the next alias


@dataclass(frozen=True)
class BoardFiles:
    """The sources of one board below its working directory, as relative POSIX paths.

    `common` goes into both images, `firmware` and `check` into one each.
    """

    common: tuple[str, ...]
    firmware: tuple[str, ...]
    check: tuple[str, ...]


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(templates_dir() / "board"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        line_statement_prefix="%%",
        autoescape=False,
    )
    env.filters["address"] = "0x{:08x}".format
    return env


def render_board_template(name: str, **values: object) -> str:
    """Return the file of `templates/board/` that is called `name`, filled with `values`."""
    return _environment().get_template(name).render(version=__version__, **values)


def render_board_config(board: Board) -> str:
    """Return `board_config.h`: what a port must know of its board."""
    console = board.console
    pins = [(name, pin) for name, pin in (("TX", console.tx), ("RX", console.rx)) if pin]
    template = _environment().get_template("board_config.h.j2")
    return template.render(version=__version__, board=board, console=console, pins=pins)


def render_startup(board: Board) -> str:
    """Return `startup.c`: the vector table and the reset handler."""
    template = _environment().get_template("startup.c.j2")
    guard_log2 = board.stack_guard_bytes.bit_length() - 1
    return template.render(version=__version__, board=board, core=board.core, guard_log2=guard_log2)


def render_link_script(
    board: Board,
    stack_bytes: int,
    placement: Placement | None = None,
    *,
    unlimited: bool = False,
) -> str:
    """Return `link.ld` with a stack of `stack_bytes`.

    Without a `placement` the arena lies in the first memory listed.  With `unlimited` every region
    is as long as can be, so that an image that does not fit links all the same and its sizes can
    be measured.
    """
    if stack_bytes % 8:
        raise InternalError(f"a stack of {stack_bytes} bytes is not a multiple of 8")
    placement = placement or usual_placement(board)
    used = {"FLASH": ("rx", board.image), "DATA": ("rw", board.data)}
    places = {"arena": "DATA", "second": "DATA"}
    for arena, region in (("arena", placement.arena), ("second", placement.second)):
        if region is not None and region != board.data:
            places[arena] = arena.upper()
            used[arena.upper()] = ("rw", region)
    regions = [
        {
            "name": name,
            "access": access,
            "origin": region.origin,
            "size": _room(region, [r for _, r in used.values()]) if unlimited else region.size,
        }
        for name, (access, region) in used.items()
    ]
    template = _environment().get_template("link.ld.j2")
    return template.render(
        version=__version__,
        board=board,
        regions=regions,
        places=places,
        stack_bytes=stack_bytes,
        header=board.header,
    )


def _room(region: Region, others: list[Region]) -> int:
    """Return how long `region` could be without running into one of the `others`."""
    behind = [o.origin - region.origin for o in others if o.origin > region.origin]
    return min([_UNLIMITED_BYTES, *behind])


def write_board_files(
    work: Path,
    board: Board,
    *,
    check_stream: CheckStream | None = None,
    protocol: FirmwareProtocol = "edgecomp",
) -> BoardFiles:
    """Write all sources of `board` but the linker script into `work`/board.

    Args:
        work: the working directory; `work`/board is created.
        board: the board.
        check_stream: how the check image talks; semihosting on an emulated board and the UART
            on real ones unless given.
        protocol: what the firmware answers.
    """
    stream = check_stream or ("semihosting" if board.kind == "emulated" else "uart")
    faults = ["app/fault_halt.c"]
    if board.kind == "emulated":
        faults = ["app/fault_capture.c", "app/fault_semihosting.c"]
    port = f"port/{board.console.port}/port.c"
    common = ["app/startup.c", port, "port/port_common.c", "app/probe_cortexm.c"]
    firmware = [*_FIRMWARE[protocol], "app/counter_cortexm.c"]
    firmware += ["app/fault_capture.c", "app/fault_reset.c"]
    check = ["app/check.c", f"app/io_{stream}.c", *faults]
    headers = [*_HEADERS, *_PORT_HEADERS, *_APP_HEADERS, *_PROTOCOL_HEADERS, "app/semihosting.h"]

    if board.header.source:
        common.append(f"port/boot/{board.header.source}")

    folder = work / "board"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*common[1:], *firmware, *check, *headers):
        shutil.copyfile(firmware_dir() / name, folder / Path(name).name)
    _write(folder / "startup.c", render_startup(board))
    _write(folder / "board_config.h", render_board_config(board))
    groups = (tuple(f"board/{Path(n).name}" for n in group) for group in (common, firmware, check))
    return BoardFiles(*groups)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
