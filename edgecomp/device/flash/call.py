"""Asking a running application to reset into the resident loader."""

from edgecomp.device.flash.line import Line, drain


def call_loader(line: Line) -> None:
    """Send the request; an application that does not know it takes it for noise."""
    drain(line)
