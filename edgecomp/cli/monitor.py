"""`edgecomp monitor`: a look at a serial line."""

import time
from typing import Annotated

import typer

NAME = "monitor"
_QUIET_S = 0.3
_HELLO_S = 1.0


def command(
    port: Annotated[str, typer.Argument(metavar="PORT", help="A port, or socket://host:port.")],
    baud: Annotated[int, typer.Option(min=1200, help="Bits per second.")] = 115200,
    as_hex: Annotated[
        bool, typer.Option("--hex", help="Show what is no frame as numbers, not as text.")
    ] = False,
    hello: Annotated[
        bool, typer.Option("--hello", help="Greet the firmware once a second.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long; else with Ctrl-C.")
    ] = None,
) -> None:
    """Show what a board sends: frames of the protocol taken apart, all else as text or numbers."""
    from edgecomp.device.frame_text import LineText
    from edgecomp.device.protocol import Frame, Type
    from edgecomp.device.serial_port import open_port

    line = open_port(port, baud)
    text = LineText(as_hex=as_hex)
    start = time.monotonic()
    greeted = start - _HELLO_S
    count = 0
    try:
        while seconds is None or time.monotonic() - start < seconds:
            if hello and time.monotonic() - greeted >= _HELLO_S:
                greeted, count = time.monotonic(), count % 0xFFFF + 1
                line.write(Frame(Type.HELLO, count, b"look").encode())
            data = line.read(_QUIET_S)
            for shown in text.feed(data) if data else text.flush():
                print(f"{time.monotonic() - start:9.3f}  {shown}", flush=True)
    finally:
        line.close()
