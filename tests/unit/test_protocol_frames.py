"""Frames and their encoding: what is decoded is what was encoded, whatever a line does."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecomp.device import cobs
from edgecomp.device.frame_text import LineText, describe
from edgecomp.device.protocol import (
    ANSWER,
    Code,
    Frame,
    FrameReader,
    LayerReport,
    Type,
    decode_frame,
    decode_hello,
    decode_layer,
    decode_result,
    decode_tensor,
)
from edgecomp.errors import BadFrame

KNOWN = {
    b"": b"\x01",
    b"\x00": b"\x01\x01",
    b"\x00\x00": b"\x01\x01\x01",
    b"\x11\x22\x00\x33": b"\x03\x11\x22\x02\x33",
    b"\x11\x22\x33\x44": b"\x05\x11\x22\x33\x44",
    b"\x11\x00\x00\x00": b"\x02\x11\x01\x01\x01",
    bytes(range(1, 255)): b"\xff" + bytes(range(1, 255)),
    bytes(range(255)): b"\x01\xff" + bytes(range(1, 255)),
    bytes(range(1, 256)): b"\xff" + bytes(range(1, 255)) + b"\x02\xff",
}
"""Data and encoding: the examples that the method's descriptions agree upon."""


@pytest.mark.parametrize("data", KNOWN)
def test_encoding_of_known_data(data):
    assert cobs.encode(data) == KNOWN[data]
    assert cobs.decode(KNOWN[data]) == data


@given(st.binary(max_size=700))
def test_what_is_encoded_has_no_zero_and_comes_back(data):
    encoded = cobs.encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert cobs.decode(encoded) == data


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(data):
    try:
        decoded = cobs.decode(data)
    except BadFrame:
        return
    assert cobs.encode(decoded) == data or b"\xff" in data


frames = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=300), st.integers(0, 255)
)


@given(frames)
def test_a_frame_comes_back(frame):
    encoded = frame.encode()
    assert encoded[0] == encoded[-1] == 0
    assert decode_frame(encoded[1:-1]) == frame


@given(frames, st.data())
def test_a_damaged_frame_is_refused(frame, data):
    encoded = bytearray(frame.encode()[1:-1])
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadFrame):
        decode_frame(bytes(encoded))


@given(st.lists(frames, max_size=5), st.binary(max_size=40), st.data())
def test_the_reader_finds_every_frame_however_it_arrives(sent, noise, data):
    line = noise + b"".join(frame.encode() for frame in sent)
    reader = FrameReader()
    found = []
    while line:
        size = data.draw(st.integers(1, len(line)))
        found += reader.feed(line[:size])
        line = line[size:]
    assert found[len(found) - len(sent) :] == sent


def test_a_frame_has_exactly_these_bytes():
    body = bytes([1, 4, 0x34, 0x12]) + b"ab"
    crc = struct.pack("<I", zlib.crc32(body))
    assert Frame(Type.RUN, 0x1234, b"ab").encode() == b"\0" + cobs.encode(body + crc) + b"\0"


def test_the_example_of_the_manual_is_true():
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    example = re.search(
        r"HELLO with seq 1 and the token `([0-9a-f ]+)` is, whole: `([0-9a-f ]+)`", text
    )
    token, whole = (bytes.fromhex(part) for part in example.groups())
    assert Frame(Type.HELLO, 1, token).encode() == whole
    for code in Code:
        assert f"| {code.value} | {code.name}: " in text
    for kind in Type:
        assert f"{kind.value:#04x}" in text


def hello(counter: int = 1, max_frame: int = 252, window: int = 255) -> bytes:
    return struct.pack(
        "<IIHHBBHIIBII", 7, 8, max_frame, window, 1, 2, 3, 4096, 512, counter, 16_000_000, 115200
    )


def test_hello_is_read():
    got = decode_hello(hello())
    assert (got.build_id, got.nonce, got.inputs, got.outputs, got.stages) == (7, 8, 1, 2, 3)
    assert (got.counter, got.counter_hz, got.chunk_bytes, got.fault) == (
        "dwt",
        16_000_000,
        239,
        None,
    )
    fault = struct.pack("<18I", 0x46434345, 91, *range(7), 1, *range(8))
    assert decode_hello(hello() + fault).fault.code == 91


@pytest.mark.parametrize(
    "payload", [b"", hello()[:-1], hello(counter=9), hello(max_frame=20), hello(window=100)]
)
def test_a_hello_that_makes_no_sense_is_refused(payload):
    with pytest.raises(BadFrame):
        decode_hello(payload)


def test_other_answers_are_read():
    tensor = decode_tensor(struct.pack("<BBIfiB2I", 0, 0, 60, 0.5, -3, 2, 1, 60))
    assert (tensor.size_bytes, tensor.scale, tensor.zero_point, tensor.shape) == (
        60,
        0.5,
        -3,
        (1, 60),
    )
    with pytest.raises(BadFrame, match="4 bytes of shape for 2 axes"):
        decode_tensor(struct.pack("<BBIfiBI", 0, 0, 60, 0.5, -3, 2, 1))
    result = decode_result(struct.pack("<IIIQIIII", 5, 1, 2, 1 << 40, 3, 4, 6, 7) + b"output")
    assert (result.sample, result.ticks, result.data) == (5, 1 << 40, b"output")
    assert decode_layer(struct.pack("<IHII", 5, 2, 99, 3)) == LayerReport(5, 2, 99, 3)


@given(st.integers(0, 255), st.binary(max_size=80))
def test_every_frame_can_be_described(kind, payload):
    assert describe(Frame(kind, 1, payload))


def test_a_line_is_shown_as_frames_and_text():
    text = LineText()
    shown = text.feed(b"m-ready\r\n" + Frame(Type.HELLO | ANSWER, 2, hello()).encode() + b"half")
    assert shown[0] == "m-ready"
    assert shown[1].startswith("HELLO answer #2: build 0x00000007")
    assert text.flush() == ["half"]
    assert LineText(as_hex=True).feed(b"\0\x05ab\0")[1].startswith("00000000  05 61 62")
