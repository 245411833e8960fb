"""The 1200-baud touch: opening a board's USB port at 1200 baud resets it into its boot loader."""

import time
from collections.abc import Callable

from edgecomp.device.serial_port import why_not_open
from edgecomp.errors import FlashError, LinkTimeout

TOUCH_BAUD = 1200
_POLL_S = 0.1
_RESET_S = 10.0


def usb_ports() -> dict[str, str]:
    """The serial ports that are on USB: device name to VID:PID and serial number."""
    from serial.tools import list_ports

    return {
        port.device: f"{port.vid:04x}:{port.pid:04x} {port.serial_number or ''}".strip()
        for port in list_ports.comports()
        if port.vid is not None
    }


def touch(port: str, ports: Callable[[], dict[str, str]] = usb_ports) -> str:
    """Reset the board on `port` into its boot loader.

    Args:
        port: the application's port.
        ports: lists the ports that are there.

    Returns:
        The loader's port, which may have another name: the one that appeared, or `port` again.

    Raises:
        FlashError: the port cannot be opened; LinkTimeout: no port came back.
    """
    import serial

    before = ports()
    try:
        line = serial.Serial(port, TOUCH_BAUD, dsrdtr=False, exclusive=True)
        line.dtr = False
        line.close()
    except OSError as error:
        raise FlashError(why_not_open(port, error)) from error
    end = time.monotonic() + _RESET_S
    gone = False
    while time.monotonic() < end:
        now = ports()
        gone = gone or port not in now
        new = [name for name, usb in now.items() if before.get(name) != usb]
        if new:
            return new[0]
        if gone and port in now:
            return port
        time.sleep(_POLL_S)
    raise LinkTimeout(
        f"no loader appeared after the 1200-baud touch of {port}\n"
        "  press the reset button twice, quickly, and repeat with the port that appears then"
    )
