"""The byte format between host and check image, and what is made of a wrong reply."""

import struct

import numpy as np
import pytest

from edgecomp.device.faults import decode_fault
from edgecomp.device.records import (
    FLAG_CRC,
    FLAG_DUMP,
    ModelLayout,
    decode_reply,
    encode_request,
    merge_results,
    samples_done,
)
from edgecomp.errors import BadFrame

LAYOUT = ModelLayout(
    build_id=7,
    arena_bytes=64,
    input_bytes=(2, 1),
    output_bytes=(1, 2),
    stage_output_bytes=(3, 2),
)
HEADER = struct.pack("<4I", 0x314B4345, 7, 2, 64)
BODY = bytes([1, 0, 0, 0, 11, 12, 13, 2, 0, 0, 0, 21, 22, 31, 41, 42])
TRAILER = struct.pack("<6I", 0x454E4F44, 1, 200, 60, 1, 2)


def test_request():
    inputs = np.array([[1, -2, 3]], np.int8)
    request = encode_request(LAYOUT, FLAG_CRC, inputs)
    assert request == struct.pack("<4I", 0x314B4345, 7, 1, 1) + b"\x01\xfe\x03"


def test_reply_with_everything():
    result = decode_reply(HEADER + BODY + TRAILER, LAYOUT, FLAG_CRC | FLAG_DUMP, 1)
    assert result.stage_crcs.tolist() == [[1, 2]]
    assert [d.tolist() for d in result.dumps] == [[[11, 12, 13]], [[21, 22]]]
    assert [o.tolist() for o in result.outputs] == [[[31]], [[41, 42]]]
    assert (result.stack_high_water_bytes, result.arena_high_water_bytes) == (200, 60)
    assert result.guard_ok
    assert result.counter == "systick"


def test_parts_are_joined_in_order():
    one = decode_reply(HEADER + BODY[-3:] + TRAILER, LAYOUT, 0, 1)
    worse = struct.pack("<6I", 0x454E4F44, 1, 300, 61, 0, 2)
    two = decode_reply(HEADER + b"\x05\x06\x07" + worse, LAYOUT, 0, 1)
    both = merge_results([one, two])
    assert both.outputs[0].tolist() == [[31], [5]]
    assert both.stack_high_water_bytes == 300
    assert not both.guard_ok
    assert both.stage_crcs is None


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "never reached its harness"),
        (b"\0" * 60, "does not begin with a check image's mark"),
        (HEADER[:-1], "never reached"),
        (HEADER + BODY + TRAILER[:-1], "55 bytes instead of 56\n  1 of 1 samples are there"),
        (HEADER + BODY + TRAILER + b"\0", "57 bytes instead of 56"),
        (HEADER + BODY + TRAILER.replace(b"DONE", b"GONE"), "does not end as it should"),
        (struct.pack("<4I", 0x314B4345, 8, 2, 64) + BODY + TRAILER, "another build"),
        (struct.pack("<4I", 0x314B4345, 7, 3, 64) + BODY + TRAILER, "3 stages"),
    ],
)
def test_wrong_replies_are_refused(reply, message):
    with pytest.raises(BadFrame, match=message):
        decode_reply(reply, LAYOUT, FLAG_CRC | FLAG_DUMP, 1)


def test_progress_of_a_reply_that_was_cut():
    assert samples_done(0, LAYOUT, 0, 9) == 0
    assert samples_done(16 + 3 * 5 + 2, LAYOUT, 0, 9) == 5


def test_fault_record_is_spelt_out():
    frame = (1, 2, 3, 4, 12, 0x201, 0x104, 0x61000000)
    words = (0x46434345, 91, 5, 0x2000_0040, 0xFFFFFFF9, 0x8200, 0, 0, 0xDEAD0000, 1, *frame)
    fault = decode_fault(struct.pack("<18I", *words))
    text = fault.describe(lambda addr: "run+0x4" if addr == 0x104 else "")
    assert text.startswith("BusFault: access to where nothing is (PRECISERR)")
    assert "address 0xdead0000 (BFAR)" in text
    assert "PC 0x00000104 in run+0x4" in text
    assert "LR 0x00000201\n" in text
    assert decode_fault(b"\0" * 72) is None
    assert decode_fault(b"") is None
