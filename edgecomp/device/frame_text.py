"""What a line carries, for people: frames of the protocol taken apart, other bytes as they are."""

from edgecomp.device.protocol import (
    ANSWER,
    Code,
    Frame,
    Type,
    decode_error,
    decode_frame,
    decode_hello,
    decode_layer,
    decode_progress,
    decode_result,
)
from edgecomp.errors import BadFrame

_BYTES_PER_LINE = 16
_PRINTABLE = {*range(32, 127), 9, 10, 13}


def hex_lines(data: bytes, offset: int = 0) -> list[str]:
    """Return `data` as lines of hexadecimal numbers and characters.

    >>> hex_lines(b"m-ready")[0]
    '00000000  6d 2d 72 65 61 64 79                             m-ready'
    """
    lines = []
    for at in range(0, len(data), _BYTES_PER_LINE):
        row = data[at : at + _BYTES_PER_LINE]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{offset + at:08x}  {row.hex(' '):<{3 * _BYTES_PER_LINE}} {shown}")
    return lines


def describe(frame: Frame) -> str:
    """Return one line that says what a frame is.

    >>> describe(Frame(Type.RESET, 7))
    'RESET #7'
    """
    kind = frame.type & ~ANSWER if frame.type < Type.KEEPALIVE else frame.type
    name = Type(kind).name if kind in set(Type) else f"type {frame.type:#04x}"
    is_answer = kind != frame.type
    head = f"{name}{' answer' if is_answer else ''} #{frame.seq}"
    try:
        text = _payload(frame, kind, is_answer)
    except BadFrame as error:
        text = str(error)
    return f"{head}: {text}" if text else head


def _payload(frame: Frame, kind: int, is_answer: bool) -> str:
    payload = frame.payload
    if kind == Type.ERROR:
        code, detail = decode_error(payload)
        name = Code(code).name if code in set(Code) else str(code)
        return f"{name}, {detail:#x}"
    if kind == Type.KEEPALIVE:
        return "sample {}, next stage {}".format(*decode_progress(payload))
    if kind == Type.LAYER:
        layer = decode_layer(payload)
        return (
            f"sample {layer.sample}, stage {layer.stage}: {layer.ticks} ticks, CRC {layer.crc:08x}"
        )
    if kind == Type.HELLO and is_answer:
        hello = decode_hello(payload)
        fault = f", last fault: {hello.fault.describe(lambda addr: '')}" if hello.fault else ""
        return (
            f"build {hello.build_id:#010x}, boot {hello.nonce:#010x}, frames of {hello.max_frame} "
            f"bytes, {hello.stages} stages, arena {hello.arena_bytes}, stack {hello.stack_bytes}, "
            f"{hello.counter} at {hello.counter_hz} Hz{fault}"
        )
    if kind == Type.RUN and is_answer:
        result = decode_result(payload)
        return (
            f"sample {result.sample}: {result.ticks} ticks, {result.output_bytes} bytes of output, "
            f"CRC {result.output_crc:08x}"
        )
    return f"{len(payload)} bytes" if payload else ""


class LineText:
    """Turns what arrives into lines: a frame each, and what is no frame as text or numbers."""

    def __init__(self, *, as_hex: bool = False) -> None:
        """Show what is no frame as hexadecimal numbers, or as text."""
        self._as_hex = as_hex
        self._pending = b""
        self._offset = 0

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that `data` completes."""
        *pieces, self._pending = (self._pending + data).split(b"\0")
        lines = []
        for piece in pieces:
            lines += self._piece(piece)
        text, newline, rest = self._pending.rpartition(b"\n")
        if newline and not set(text) - _PRINTABLE:  # lines of text, and not a half of a frame
            lines += self._plain(text + newline)
            self._pending = rest
        return lines

    def flush(self) -> list[str]:
        """Return what is left, when the line has been quiet."""
        rest, self._pending = self._pending, b""
        return self._plain(rest) if rest else []

    def _piece(self, piece: bytes) -> list[str]:
        if not piece:
            return []
        try:
            return [describe(decode_frame(piece))]
        except BadFrame as error:
            reason = [] if not set(piece) - _PRINTABLE else [f"({error})"]
            return reason + self._plain(piece)

    def _plain(self, data: bytes) -> list[str]:
        if self._as_hex:
            lines = hex_lines(data, self._offset)
            self._offset += len(data)
            return lines
        return data.decode("utf-8", "backslashreplace").splitlines()
