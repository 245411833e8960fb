"""SAM-BA, the loader of Arduino's and Adafruit's SAMD boards and of the Nano 33 BLE.

Commands are short texts that end with `#`. Source: ArduinoCore-samd, bootloaders/zero,
sam_ba_monitor.c: besides the classic R, S, W, w and G it erases by X and writes flash by Y.
"""

import time

from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.device.flash.line import Line, drain, open_line, read_exactly
from edgecomp.device.flash.touch import touch
from edgecomp.errors import BadFrame, FlashError, InternalError, LinkTimeout

_BUFFER_ADDR = 0x20006000  # RAM that neither the loader's data nor its stack use
_BLOCK_BYTES = 4096
_READ_BYTES = 252  # some loaders stumble over powers of two
_ANSWER_S = 3.0
_ERASE_S = 30.0


class Samba:
    """A session with a SAM-BA loader."""

    def __init__(self, line: Line) -> None:
        """Talk over `line`."""
        self._line = line

    def open(self) -> str:
        """Switch to binary mode; return the version's text.

        Raises:
            LinkTimeout: nothing answers.
        """
        drain(self._line)
        self._ask("N#", b"\n\r")
        self._line.write(b"V#")
        text = b""
        while not text.endswith(b"\n\r"):
            text += read_exactly(self._line, 1, _ANSWER_S, "SAM-BA version")
        version = text.strip().decode("ascii", "replace")
        if "Arduino" not in version:
            raise FlashError(
                f"this SAM-BA ({version}) has no commands to erase and write flash\n"
                "  use --method bossac"
            )
        return version

    def _ask(self, command: str, answer: bytes, limit_s: float = _ANSWER_S) -> None:
        self._line.write(command.encode())
        got = read_exactly(self._line, len(answer), limit_s, f"SAM-BA {command}")
        if got != answer:
            raise BadFrame(f"SAM-BA {command}: it answered {got!r}, expected {answer!r}")

    def erase_from(self, addr: int) -> None:
        """Erase from `addr` to the end of the flash."""
        self._ask(f"X{addr:08X}#", b"X\n\r", _ERASE_S)

    def write(self, addr: int, block: bytes) -> None:
        """Write up to 4096 bytes to erased flash, through a buffer in RAM."""
        self._line.write(f"S{_BUFFER_ADDR:08X},{len(block):08X}#".encode())
        self._line.write(block)
        self._ask(f"Y{_BUFFER_ADDR:08X},0#", b"Y\n\r")
        self._ask(f"Y{addr:08X},{len(block):08X}#", b"Y\n\r")

    def read(self, addr: int, size: int) -> bytes:
        """Read `size` bytes."""
        self._line.write(f"R{addr:08X},{size:08X}#".encode())
        return read_exactly(self._line, size, _ANSWER_S, "SAM-BA read")

    def reset(self) -> None:
        """Reset the board (AIRCR), which starts the application."""
        self._line.write(b"WE000ED0C,05FA0004#")
        time.sleep(0.1)


def flash_by_samba(job: FlashJob) -> FlashResult:
    """Flash over SAM-BA; a running application is reset into it by the 1200-baud touch.

    Raises:
        FlashError: the loader cannot write, or what it wrote differs; LinkTimeout: no answer.
    """
    if job.port is None:
        raise InternalError("a serial method without a port")
    if job.addr < job.board.flash.origin + job.board.link_offset:
        raise FlashError(f"{job.addr:#010x} is where the board's boot loader lies")
    port = job.port
    try:
        return _flash(job, port)
    except (LinkTimeout, BadFrame):
        job.say(f"touching {port} at 1200 baud to reset the board into its loader")
        return _flash(job, touch(port))


def _flash(job: FlashJob, port: str) -> FlashResult:
    with open_line(port, job.baud) as line:
        samba = Samba(line)
        job.say(f"SAM-BA {samba.open()}")
        total = len(job.image)
        job.progress("erasing", 0, 1)
        samba.erase_from(job.addr)
        job.progress("erasing", 1, 1)
        # The first block last: with a torn image the loader finds no stack pointer and stays.
        starts = list(range(0, total, _BLOCK_BYTES))
        for number, at in enumerate(starts[1:] + starts[:1]):
            job.progress("writing", min(number * _BLOCK_BYTES, total), total)
            samba.write(job.addr + at, _whole_words(job.image[at : at + _BLOCK_BYTES]))
        job.progress("writing", total, total)
        if job.verify:
            for at in range(0, total, _READ_BYTES):
                job.progress("verifying", at, total)
                expected = job.image[at : at + _READ_BYTES]
                if samba.read(job.addr + at, len(expected)) != expected:
                    raise FlashError(
                        f"the flash at {job.addr + at:#010x} differs from the image after writing\n"
                        "  repeat the command"
                    )
            job.progress("verifying", total, total)
        if job.start:
            samba.reset()
    return FlashResult("samba", total, 0, "read-back" if job.verify else "no", job.start)


def _whole_words(block: bytes) -> bytes:
    return block + b"\xff" * (-len(block) % 4)
