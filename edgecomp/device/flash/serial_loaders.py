"""Flashing over a UART: by edgecomp's resident loader, and by the ROM of an STM32."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgecomp.device.flash.an3155 import READOUT_UNPROTECT, WRITE_UNPROTECT, An3155
from edgecomp.device.flash.call import call_loader
from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.device.flash.line import Parity, open_line
from edgecomp.device.flash.program import Target, program
from edgecomp.device.flash.slots import read_slots, roll_back, running, update
from edgecomp.errors import DeviceError, FlashError, InternalError, LinkTimeout
from edgecomp.targets.flash_memory import FlashLayout, flash_layout

_FIRST_S = 1.0
_AFTER_CALL_S = 3.0
_BUTTON_S = 20.0
_AFTER_ERASE_S = 30.0

_LOADER_HELP = """no loader answered on {port}
  press the board's reset button while the command runs: the loader listens for a moment after it
  if the loader is not there yet: edgecomp flash DIR --image loader   (docs/flashing.md)"""
_ROM_HELP = """the ROM loader did not answer on {port}
  it runs when BOOT0 is high at reset, and only on the UART pins that its manual names: on most
  Nucleo boards these are not the pins of the USB serial port (docs/flashing.md)"""
_READ_PROTECTED = """{board} is protected against reading, so it can be neither compared nor written
  `--unprotect read --yes` lifts that; the chip then erases everything it holds"""
_WRITE_PROTECTED = """
  if sectors are write-protected, `--unprotect write` lifts that"""


def flash_by_loader(job: FlashJob) -> FlashResult:
    """Flash an application by the resident loader, which a running application is asked for.

    Raises:
        FlashError: see `program`; LinkTimeout: nothing answers.
    """
    layout = _layout(job)
    with _session(job, "none") as device:
        _open_resident(job, device)
        origin = job.board.flash.origin
        target = Target(device, device.get(), layout, origin, trusted_crc=True)
        try:
            if not job.slots:
                return _flash("loader", job, target)
            _check_chip(job, layout, device)
            return roll_back(target, job) if job.rollback else update(target, job)
        except FlashError:
            _leave(target)
            raise


def _leave(target: Target) -> None:
    """Start what can still be started, rather than leave the board waiting."""
    with suppress(DeviceError):
        now = running(read_slots(target))
        if now is not None:
            target.device.go(target.protocol_addr(now.addr))


def flash_by_rom(job: FlashJob) -> FlashResult:
    """Flash by the ROM of an STM32, which BOOT0 selects at reset.

    Raises:
        FlashError: see `program`; LinkTimeout: nothing answers.
    """
    layout = _layout(job)
    with _session(job, "even") as device:
        try:
            device.open(_FIRST_S)
        except LinkTimeout:
            job.say(f"waiting for the ROM loader on {job.port}: set BOOT0, then press reset")
            try:
                device.open(_BUTTON_S)
            except LinkTimeout:
                raise LinkTimeout(_ROM_HELP.format(port=job.port)) from None
        _check_chip(job, layout, device)
        _lift_protection(job, layout, device)
        try:
            origin = job.board.flash.origin
            target = Target(device, device.get(), layout, origin, trusted_crc=False)
            return _flash("an3155", job, target)
        except FlashError as error:
            if job.unprotect == "write":
                raise
            raise FlashError(f"{error}{_WRITE_PROTECTED}") from error


@contextmanager
def _session(job: FlashJob, parity: Parity) -> Iterator[An3155]:
    if job.port is None:
        raise InternalError("a serial method without a port")
    with open_line(job.port, job.baud, parity) as line:
        yield An3155(line, is_eager=parity == "none")


def _layout(job: FlashJob) -> FlashLayout:
    layout = flash_layout(job.board)
    if layout is None:
        raise FlashError(f"the sectors of {job.board.name} are not known: use another --method")
    return layout


def _open_resident(job: FlashJob, device: An3155) -> None:
    """Reach the loader: it may be waiting already, be called by the application, or be reset into.

    The application is called only after a silent second, as the loader would take the call for
    commands.
    """
    try:
        device.open(_FIRST_S)
        return
    except LinkTimeout:
        call_loader(device.line)
    try:
        device.open(_AFTER_CALL_S)
        return
    except LinkTimeout:
        job.say(f"waiting for the loader on {job.port}: press the board's reset button")
    try:
        device.open(_BUTTON_S)
    except LinkTimeout:
        raise LinkTimeout(_LOADER_HELP.format(port=job.port)) from None


def _check_chip(job: FlashJob, layout: FlashLayout, device: An3155) -> None:
    found = device.get_id()
    if found != layout.product_id:
        raise FlashError(
            f"the chip on {job.port} calls itself {found:#05x}, but {job.board.name} has "
            f"{layout.product_id:#05x} ({layout.family})\n"
            "  is this the right port? Or build for the board that is there"
        )


def _lift_protection(job: FlashJob, layout: FlashLayout, device: An3155) -> None:
    """Find out whether the chip can be read, and lift what the user wants lifted."""
    if job.unprotect == "write":
        device.unprotect(WRITE_UNPROTECT)
        device.open(_AFTER_ERASE_S)
        return
    try:
        device.read(layout.protocol_base, 4)
    except DeviceError:
        if job.unprotect != "read":
            raise FlashError(_READ_PROTECTED.format(board=job.board.name)) from None
        job.say("lifting the protection: the chip erases itself")
        device.resume()
        device.unprotect(READOUT_UNPROTECT)
        device.open(_AFTER_ERASE_S)


def _flash(name: str, job: FlashJob, target: Target) -> FlashResult:
    _check_chip(job, target.layout, target.device)
    if name == "loader" and job.addr < target.flash_addr + target.layout.loader_end:
        raise FlashError(
            "this image lies where the resident loader is, which never overwrites itself\n"
            "  build it with --loader, or use another --method"
        )
    done = program(target, job)
    if job.start:
        target.device.go(target.protocol_addr(job.addr))
    return FlashResult(
        method=name,
        written_bytes=done.written_bytes,
        erased_sectors=done.erased_sectors,
        verified=done.verified,
        started=job.start,
    )
