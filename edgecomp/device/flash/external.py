"""Flashing by programs of others, where they are installed."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.device.flash.uf2 import encode_uf2, family_of
from edgecomp.errors import FlashError, ToolError

_LIMIT_S = 300.0


@dataclass(frozen=True)
class Program:
    """A program: its name, where to get it, and the arguments that flash a job's files."""

    name: str
    source: str
    arguments: Callable[[FlashJob, Path], list[str]]


def _bossac(job: FlashJob, folder: Path) -> list[str]:
    offset = job.addr - job.board.flash.origin
    port = [f"--port={job.port}"] if job.port else []
    tail = [f"--offset={offset:#x}", "-e", "-w", "-v", *(["-R"] if job.start else [])]
    return [*port, *tail, str(_write(folder / "edgecomp.bin", job.image))]


def _picotool(job: FlashJob, folder: Path) -> list[str]:
    content = encode_uf2(job.image, job.addr, family_of(job.board))
    run = ["-x"] if job.start else []
    return ["load", "-f", "-v", *run, str(_write(folder / "edgecomp.uf2", content))]


def _dfu_util(job: FlashJob, folder: Path) -> list[str]:
    leave = ":leave" if job.start else ""
    file = _write(folder / "edgecomp.bin", job.image)
    return ["-a", "0", "-s", f"{job.addr:#010x}{leave}", "-D", str(file)]


def _teensy(job: FlashJob, folder: Path) -> list[str]:
    del folder
    if "hex" not in job.files:
        raise FlashError("teensy_loader_cli needs the image as a .hex file: build the model again")
    return [f"--mcu={job.board.id.upper()}", "-w", "-v", str(job.files["hex"])]


PROGRAMS = {
    program.name: program
    for program in (
        Program("bossac", "https://github.com/shumatech/BOSSA", _bossac),
        Program("picotool", "https://github.com/raspberrypi/picotool", _picotool),
        Program("dfu-util", "https://dfu-util.sourceforge.net (Debian: dfu-util)", _dfu_util),
        Program("teensy_loader_cli", "https://www.pjrc.com/teensy/loader_cli.html", _teensy),
    )
}


def flash_by_program(name: str) -> Callable[[FlashJob], FlashResult]:
    """Return the function that flashes by the program `name`."""
    program = PROGRAMS[name]

    def flash(job: FlashJob) -> FlashResult:
        path = shutil.which(program.name)
        if path is None:
            raise ToolError(f"{program.name} is not installed\n  get it from {program.source}")
        with tempfile.TemporaryDirectory(prefix="edgecomp-") as folder:
            command = [path, *program.arguments(job, Path(folder))]
            job.say(" ".join([program.name, *command[1:]]))
            try:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    timeout=_LIMIT_S,
                )
            except subprocess.TimeoutExpired:
                raise FlashError(f"{program.name} did not end within {_LIMIT_S:g} s") from None
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).rstrip().splitlines()[-8:]
            tail = "".join(f"\n    {line}" for line in lines)
            raise FlashError(
                f"{program.name} failed with status {done.returncode}{tail}\n"
                "  bring the board into its boot loader (reset twice, or BOOT) and repeat"
            )
        return FlashResult(program.name, len(job.image), 0, "tool", job.start)

    return flash


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
