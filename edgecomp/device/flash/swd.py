"""Flashing through a debug probe, by pyocd: an optional extra.

pyocd knows the microcontroller of few boards by itself (ST-LINK and DAPLink tell a board id) and
takes any other for a Cortex-M without a flash, so it is told. Names: pyocd's own targets and, in
`board_ids.py`, those that CMSIS packs bring.
"""

import io
import re
from typing import Any

from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.errors import FlashError, ToolError
from edgecomp.targets.boards import Board

_NO_PYOCD = """pyocd is not installed, which talks to debug probes
  pip install 'edgecomp[swd]'"""
_READ_BYTES = 4096

_TARGETS = (
    ("STM32L475", "stm32l475xg"),
    ("(STM32.{7})", r"\1x"),
    ("nRF51", "nrf51"),
    ("nRF5340", "nrf5340_xxaa"),
    ("(nRF52[0-9]+)", r"\1"),
    ("(ATSAMD[0-9A-Z]+)", r"\1"),
    ("(RP2[0-9]+)", r"\1"),
    ("MK64F", "k64f"),
    ("(LPC55S69)", r"\1"),
    ("AMA3B1KK", "ama3b1kk_kbr"),
)
"""Pattern that the microcontroller's name begins with, and what pyocd calls it (in lower case)."""


def pyocd_target(board: Board) -> str | None:
    """Return what pyocd calls the microcontroller of `board`; None where that is not known.

    >>> from edgecomp.targets.boards import get_board
    >>> pyocd_target(get_board("nucleo_f446re"))
    'stm32f446retx'
    """
    for pattern, name in _TARGETS:
        found = re.match(pattern, board.mcu)
        if found:
            return found.expand(name).lower()
    return None


def flash_by_swd(job: FlashJob) -> FlashResult:
    """Flash by pyocd; `job.port`, if given, is (a part of) the probe's id.

    Raises:
        ToolError: pyocd is not installed.
        FlashError: there is no probe or more than one, pyocd failed, or the flash differs after it.
    """
    try:
        from pyocd.core.helpers import ConnectHelper
        from pyocd.core.session import Session
        from pyocd.flash.file_programmer import FileProgrammer
    except ImportError:
        raise ToolError(_NO_PYOCD) from None
    target = pyocd_target(job.board)
    options: dict[str, Any] = {"resume_on_disconnect": job.start}
    if target is not None:
        options["target_override"] = target
    try:
        probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=job.port)
        with Session(_only_probe(probes, job.board), options=options) as session:
            programmer = FileProgrammer(session, progress=_progress_of(job))
            programmer.program(io.BytesIO(job.image), file_format="bin", base_address=job.addr)
            if job.verify:
                _verify(session, job)
            if job.start:
                session.target.reset()
    except FlashError:
        raise
    except Exception as error:  # pyocd has many kinds, all of them about the probe or the chip
        pack = f"; `pyocd pack install {target}` adds the microcontroller" if target else ""
        raise FlashError(
            f"pyocd could not flash {job.board.name}: {error}\n"
            f"  `pyocd list` shows the probes{pack}"
        ) from error
    return FlashResult("swd", len(job.image), 0, "read-back" if job.verify else "no", job.start)


def _only_probe(probes: list[Any], board: Board) -> Any:
    """Return the only probe, or the only one whose id begins with one of the board's."""
    if not probes:
        raise FlashError("no debug probe was found: is the board plugged in?")
    ids = tuple(identity.upper() for identity in board.probe.board_ids)
    likely = [probe for probe in probes if ids and probe.unique_id.upper().startswith(ids)]
    if len(probes) == 1 or len(likely) == 1:
        return (likely or probes)[0]
    listed = "".join(f"\n    {probe.unique_id}  {probe.description}" for probe in probes)
    raise FlashError(f"there are several debug probes:{listed}\n  say which one: --port ID")


def _verify(session: Any, job: FlashJob) -> None:
    """Compare the flash with the image."""
    total = len(job.image)
    for at in range(0, total, _READ_BYTES):
        job.progress("verifying", at, total)
        expected = job.image[at : at + _READ_BYTES]
        there = bytes(session.target.read_memory_block8(job.addr + at, len(expected)))
        if there != expected:
            raise FlashError(
                f"the flash at {job.addr + at:#010x} differs from the image after writing\n"
                "  repeat the command"
            )
    job.progress("verifying", total, total)


def _progress_of(job: FlashJob) -> object:
    total = len(job.image)

    def show(part: float) -> None:
        job.progress("writing", int(part * total), total)

    return show
