"""Asking a running application to reset into the resident loader."""

import secrets

from edgecomp.device.flash.line import Line, drain
from edgecomp.device.protocol import Frame, Type

INTO_LOADER = b"\x01"
"""What a RESET carries that leads into the loader; see docs/protocol.md."""


def call_loader(line: Line) -> None:
    """Send the request; an application that does not know it takes it for noise."""
    line.write(Frame(Type.RESET, secrets.randbelow(0xFFFF) + 1, INTO_LOADER).encode())
    drain(line)
