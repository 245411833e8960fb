"""Flashing through a debug probe, by pyocd: an optional extra."""

from pathlib import Path

from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.errors import FlashError, ToolError

_NO_PYOCD = """pyocd is not installed, which talks to debug probes
  pip install 'edgecomp[swd]'"""


def flash_by_swd(job: FlashJob) -> FlashResult:
    """Flash by pyocd, which finds probe and microcontroller by itself.

    Raises:
        ToolError: pyocd is not installed.
        FlashError: there is no probe, or pyocd failed.
    """
    try:
        from pyocd.core.helpers import ConnectHelper
        from pyocd.flash.file_programmer import FileProgrammer
    except ImportError:
        raise ToolError(_NO_PYOCD) from None
    try:
        session = ConnectHelper.session_with_chosen_probe(return_first=True, blocking=False)
        if session is None:
            raise FlashError("no debug probe was found: is the board plugged in?")
        with session:
            programmer = FileProgrammer(session, progress=_progress_of(job))
            programmer.program(str(_file_of(job)), base_address=job.addr, file_format="bin")
            if job.start:
                session.target.reset()
    except FlashError:
        raise
    except Exception as error:  # pyocd has many kinds, all of them about the probe or the chip
        raise FlashError(
            f"pyocd could not flash {job.board.name}: {error}\n"
            "  `pyocd list` shows the probes; `pyocd pack install NAME` adds a microcontroller"
        ) from error
    return FlashResult("swd", len(job.image), 0, "tool", job.start)


def _file_of(job: FlashJob) -> Path:
    return job.files["bin"]


def _progress_of(job: FlashJob) -> object:
    total = len(job.image)

    def show(part: float) -> None:
        job.progress("writing", int(part * total), total)

    return show
