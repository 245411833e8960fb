"""The messages between host and firmware; docs/protocol.md specifies every byte.

`firmware/app/protocol.c` is the other side. All numbers are little-endian.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from edgecomp.device import cobs
from edgecomp.device.faults import Fault, decode_fault
from edgecomp.errors import BadFrame

VERSION = 1
OVERHEAD_BYTES = 8
"""Bytes of a frame that are not payload: version, type, sequence number, CRC-32."""
LEAST_FRAME_BYTES = 64
PUT_BYTES = 5
"""Bytes of a PUT's payload that are not data."""
ALL_STAGES = 0xFFFF
RUN_LAYERS = 1
COUNTERS: tuple[Literal["none", "dwt", "systick"], ...] = ("none", "dwt", "systick")

_HEAD = struct.Struct("<BBH")
_HELLO = struct.Struct("<IIHHBBHIIBII")
_TENSOR = struct.Struct("<BBIfiB")
_RESULT = struct.Struct("<IIIQIIII")
_LAYER = struct.Struct("<IHII")
_PROGRESS = struct.Struct("<IH")
_DATA = struct.Struct("<BHI")
_ERROR = struct.Struct("<BI")


class Type(IntEnum):
    """What a frame is."""

    HELLO = 0x01
    TENSOR = 0x02
    PUT = 0x03
    RUN = 0x04
    GET = 0x05
    BAUD = 0x06
    RESET = 0x07
    KEEPALIVE = 0xA0
    LAYER = 0xA1
    ERROR = 0xFF


ANSWER = 0x80
"""The type of an answer is that of its request with this bit set."""


class Code(IntEnum):
    """Why the device refused."""

    FRAME = 1
    VERSION = 2
    TYPE = 3
    ARGUMENT = 4
    BUILD = 5
    INPUT = 6
    RUN = 7
    NOTHING = 8
    ORDER = 9


class Source(IntEnum):
    """What a GET reads: the outputs one behind the other, or what a stage stored."""

    OUTPUTS = 0
    STAGE = 1


@dataclass(frozen=True)
class Frame:
    """One frame: its type, the sequence number of its request, and what it carries."""

    type: int
    seq: int
    payload: bytes = b""
    version: int = VERSION

    def encode(self) -> bytes:
        """Return the bytes for the line, with a zero at each end."""
        body = _HEAD.pack(self.version, self.type, self.seq) + self.payload
        return b"\0" + cobs.encode(body + struct.pack("<I", zlib.crc32(body))) + b"\0"


def decode_frame(encoded: bytes) -> Frame:
    """Return the frame that `encoded`, the bytes between two zeros, holds.

    Raises:
        BadFrame: it is damaged.
    """
    body = cobs.decode(encoded)
    if len(body) < OVERHEAD_BYTES:
        raise BadFrame(f"a frame of {len(body)} bytes, {OVERHEAD_BYTES} at least")
    if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        raise BadFrame("the frame's CRC is wrong")
    version, kind, seq = _HEAD.unpack_from(body)
    return Frame(kind, seq, body[_HEAD.size : -4], version)


class FrameReader:
    """Takes a stream of bytes apart; `damaged` counts what was no frame."""

    def __init__(self) -> None:
        """Begin with an empty line."""
        self.damaged = 0
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes."""
        self._pending += data
        *pieces, rest = self._pending.split(b"\0")
        self._pending = rest
        frames = []
        for piece in pieces:
            if piece:
                try:
                    frames.append(decode_frame(bytes(piece)))
                except BadFrame:
                    self.damaged += 1
        return frames


def _unpack(form: struct.Struct, payload: bytes, what: str) -> tuple[Any, ...]:
    if len(payload) < form.size:
        raise BadFrame(f"{what} has {len(payload)} bytes instead of {form.size}")
    return form.unpack_from(payload)


@dataclass(frozen=True)
class Hello:
    """What a firmware says of itself.

    Attributes:
        build_id: of the generated sources that it was built from.
        nonce: drawn at the first HELLO after each reset, never 0.
        max_frame: the longest frame that it takes, before encoding.
        rx_window: bytes on the line that may be under way to it without an answer.
        inputs, outputs, stages: how many there are.
        arena_bytes, stack_bytes: what they may use.
        counter: what counts the ticks, `counter_hz` of them a second.
        default_baud: the rate after a reset.
        fault: the last exception since power came on.
    """

    build_id: int
    nonce: int
    max_frame: int
    rx_window: int
    inputs: int
    outputs: int
    stages: int
    arena_bytes: int
    stack_bytes: int
    counter: Literal["none", "dwt", "systick"]
    counter_hz: int
    default_baud: int
    fault: Fault | None

    @property
    def chunk_bytes(self) -> int:
        """Bytes of input that fit a PUT."""
        return self.max_frame - OVERHEAD_BYTES - PUT_BYTES


def decode_hello(payload: bytes) -> Hello:
    """Read the answer to a HELLO.

    Raises:
        BadFrame: it is not one.
    """
    numbers = list(_unpack(_HELLO, payload, "HELLO"))
    counter = numbers[9]
    if counter >= len(COUNTERS) or not LEAST_FRAME_BYTES <= numbers[2] <= numbers[3]:
        raise BadFrame("HELLO has numbers that make no sense")
    numbers[9] = COUNTERS[counter]
    numbers.append(decode_fault(payload[_HELLO.size :]))
    return Hello(*numbers)


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: bytes, shape, and `real = scale * (code - zero_point)`."""

    size_bytes: int
    scale: float
    zero_point: int
    shape: tuple[int, ...]


def decode_tensor(payload: bytes) -> TensorInfo:
    """Read the answer to a TENSOR."""
    _, _, size, scale, zero_point, rank = _unpack(_TENSOR, payload, "TENSOR")
    shape = payload[_TENSOR.size :]
    if len(shape) != 4 * rank:
        raise BadFrame(f"TENSOR has {len(shape)} bytes of shape for {rank} axes")
    return TensorInfo(size, scale, zero_point, struct.unpack(f"<{rank}I", shape))


@dataclass(frozen=True)
class RunResult:
    """What a RUN ended with; `data` is as much of the outputs as fitted the frame."""

    sample: int
    input_crc: int
    nonce: int
    ticks: int
    arena_bytes: int
    stack_bytes: int
    output_bytes: int
    output_crc: int
    data: bytes


def decode_result(payload: bytes) -> RunResult:
    """Read the answer to a RUN."""
    numbers = list(_unpack(_RESULT, payload, "RESULT"))
    numbers.append(payload[_RESULT.size :])
    return RunResult(*numbers)


@dataclass(frozen=True)
class LayerReport:
    """What a RUN reports of one stage: ticks, and the CRC-32 of what it stored."""

    sample: int
    stage: int
    ticks: int
    crc: int


def decode_layer(payload: bytes) -> LayerReport:
    """Read a LAYER."""
    return LayerReport(*_unpack(_LAYER, payload, "LAYER"))


def decode_progress(payload: bytes) -> tuple[int, int]:
    """Read a KEEPALIVE: the sample that is computed and its next stage."""
    sample, stage = _unpack(_PROGRESS, payload, "KEEPALIVE")
    return sample, stage


def decode_data(payload: bytes) -> tuple[int, int, int, bytes]:
    """Read the answer to a GET: source, stage, offset and bytes."""
    source, stage, offset = _unpack(_DATA, payload, "GET")
    return source, stage, offset, payload[_DATA.size :]


def decode_error(payload: bytes) -> tuple[int, int]:
    """Read an ERROR: why, and a number that goes with it."""
    code, detail = _unpack(_ERROR, payload, "ERROR")
    return code, detail


def put_payload(tensor: int, offset: int, data: bytes) -> bytes:
    """Return what a PUT carries."""
    return struct.pack("<BI", tensor, offset) + data


def run_payload(
    build_id: int, sample: int, input_crc: int, *, layers: bool = False, stop: int = ALL_STAGES
) -> bytes:
    """Return what a RUN carries; it ends behind stage `stop`, where there is such a stage."""
    return struct.pack("<IIIBH", build_id, sample, input_crc, RUN_LAYERS * layers, stop)


def get_payload(source: Source, stage: int, offset: int, count: int) -> bytes:
    """Return what a GET carries."""
    return struct.pack("<BHIH", source, stage, offset, count)
