"""The firmware's protocol, compiled for this host with sanitizers, and the host's side of it."""

import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serial_support import (
    BAUD,
    WIDE,
    BadLine,
    NativeBoard,
    compile_native,
    session_on,
    wide_outputs,
    wide_reference,
    wide_samples,
)

from edgecomp.device.bench import SerialBench
from edgecomp.device.connection import WrongBuildError
from edgecomp.device.journal import Journal
from edgecomp.device.link import Link, RefusedError
from edgecomp.device.protocol import (
    ANSWER,
    Code,
    Frame,
    FrameReader,
    Source,
    Type,
    decode_error,
    decode_hello,
    get_payload,
    put_payload,
    run_payload,
)
from edgecomp.device.serial_session import SerialSession
from edgecomp.errors import DeviceError, LinkTimeout, UserError


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compile_native(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def other_program(tmp_path_factory):
    return compile_native(tmp_path_factory.mktemp("other"), "-DMODEL_BUILD_ID=0x77bb0012u")


@pytest.fixture
def start(program):
    yield from boards_of(program)


@pytest.fixture
def other(other_program):
    yield from boards_of(other_program)


def boards_of(program: Path) -> Iterator[Callable[..., NativeBoard]]:
    boards = []

    def board(**env: str) -> NativeBoard:
        boards.append(NativeBoard(program, env))
        return boards[-1]

    yield board
    for each in boards:
        assert each.end() == 0, "the device did not end well: see the sanitizer's report"


def quiet(port):
    """Read away what a board says as it starts."""
    reader, end = FrameReader(), time.monotonic() + 10
    while not reader.feed(port.read(0.1)):
        assert time.monotonic() < end, "the board said nothing"
    return port


def exchange(port, *data: bytes, wait_s: float = 0.3) -> list[Frame]:
    """Write raw bytes and return the frames that come back."""
    for piece in data:
        port.write(piece)
    reader, frames, end = FrameReader(), [], time.monotonic() + wait_s
    while time.monotonic() < end:
        frames += reader.feed(port.read(0.05))
    return frames


def put_all(link: Link, sample: bytes) -> None:
    for offset in range(0, 700, 200):
        link.request(Type.PUT, put_payload(0, offset, sample[offset : min(offset + 200, 700)]))
    link.request(Type.PUT, put_payload(1, 0, sample[700:]))


def test_hello_says_what_the_model_is(start):
    session = session_on(start())
    session.connect()
    hello = session.hello
    assert (hello.build_id, hello.inputs, hello.outputs, hello.stages) == (0x77BB0011, 2, 2, 3)
    assert (hello.arena_bytes, hello.default_baud, hello.counter) == (1216, BAUD, "dwt")
    assert hello.nonce != 0
    inputs, outputs = session.tensors()
    assert [(t.size_bytes, t.scale, t.zero_point, t.shape) for t in inputs] == [
        (700, 0.5, -3, (1, 700)),
        (60, 2.0, 4, (1, 60)),
    ]
    assert [t.shape for t in outputs] == [(1, 300), (1, 500)]


def test_samples_layers_and_dumps_are_right(start):
    session = session_on(start())
    session.connect()
    for number, sample in enumerate(wide_samples(20)):
        answer = session.run(number, sample, layers=number % 2 == 0)
        assert answer.outputs == wide_outputs(sample)
        assert answer.arena_bytes <= 1216
        if number % 2 == 0:
            stages = wide_reference(sample)
            assert [layer.crc for layer in answer.layers] == [zlib.crc32(s) for s in stages]
    assert session.dump(3, wide_samples(1)[0]) == wide_reference(wide_samples(1)[0])
    assert session.log.line.repeats == 0


def test_a_request_that_is_sent_twice_is_done_once(start):
    port = start().open()
    sample = wide_samples(1)[0]
    put_all(Link(port, BAUD), sample)
    run = Frame(Type.RUN, 7, run_payload(WIDE.build_id, 5, zlib.crc32(sample))).encode()
    kinds = [frame.type for frame in exchange(port, run)]
    assert kinds == [Type.KEEPALIVE, Type.RUN | ANSWER]
    again = exchange(port, run, run)
    assert [frame.type for frame in again] == [Type.RUN | ANSWER] * 2  # no KEEPALIVE: no new run


def test_a_run_needs_the_right_input_and_build(start):
    session = session_on(start())
    session.connect()
    sample = wide_samples(1)[0]
    put_all(session.link, sample)
    for payload, code in (
        (run_payload(WIDE.build_id, 0, 1), Code.INPUT),
        (run_payload(1, 0, zlib.crc32(sample)), Code.BUILD),
    ):
        with pytest.raises(RefusedError) as caught:
            session.link.request(Type.RUN, payload)
        assert caught.value.code == code
    session.link.request(Type.RUN, run_payload(WIDE.build_id, 0, zlib.crc32(sample)))
    with pytest.raises(RefusedError) as caught:  # the run has overwritten its input
        session.link.request(Type.RUN, run_payload(WIDE.build_id, 0, zlib.crc32(sample)))
    assert caught.value.code == Code.INPUT


def test_outputs_are_gone_when_the_next_input_comes(start):
    session = session_on(start())
    session.connect()
    sample = wide_samples(1)[0]
    session.run(0, sample)
    outputs = get_payload(Source.OUTPUTS, 0, 700, 100)
    assert session.link.request(Type.GET, outputs).payload[7:] == wide_outputs(sample)[700:]
    session.link.request(Type.PUT, put_payload(0, 0, b"x"))
    with pytest.raises(RefusedError) as caught:
        session.link.request(Type.GET, outputs)
    assert caught.value.code == Code.NOTHING


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        (Type.PUT, put_payload(2, 0, b"x"), Code.ARGUMENT),
        (Type.PUT, put_payload(0, 700, b"x"), Code.ARGUMENT),
        (Type.PUT, put_payload(0, 0xFFFFFFFF, b"xx"), Code.ARGUMENT),
        (Type.PUT, b"", Code.ARGUMENT),
        (Type.TENSOR, bytes([1, 2]), Code.ARGUMENT),
        (Type.BAUD, struct.pack("<I", 300), Code.ARGUMENT),
        (Type.BAUD, struct.pack("<I", 4_000_000), Code.ARGUMENT),
        (Type.GET, get_payload(Source.STAGE, 9, 0, 10), Code.NOTHING),
        (Type.KEEPALIVE, b"", Code.TYPE),
    ],
)
def test_what_makes_no_sense_is_refused(start, kind, payload, code):
    with pytest.raises(RefusedError) as caught:
        Link(start().open(), BAUD).request(kind, payload)
    assert caught.value.code == code


def test_another_version_is_answered_with_ours(start):
    frames = exchange(quiet(start().open()), Frame(Type.HELLO, 3, bytes(4), version=2).encode())
    assert [(f.type, f.version, decode_error(f.payload)) for f in frames] == [
        (Type.ERROR, 1, (Code.VERSION, 1))
    ]


def test_damaged_and_overlong_frames_are_named_and_forgotten(start):
    port = quiet(start().open())
    good = Frame(Type.HELLO, 9, b"once").encode()
    flipped = good[:5] + bytes([good[5] ^ 1]) + good[6:]
    for junk in (flipped, b"\0" + b"\x01" * 400 + b"\0", b"\0\x09abc\0", b"\0\x01\0"):
        frames = exchange(port, junk, wait_s=0.15)
        assert [(f.type, f.seq, f.payload[0]) for f in frames] == [(Type.ERROR, 0, Code.FRAME)]
    assert decode_hello(exchange(port, good)[0].payload).build_id == WIDE.build_id


def test_a_busy_device_says_so(start):
    session = session_on(start(SLOW_MS="700"))
    session.connect()
    seen = []
    sample = wide_samples(1)[0]
    put_all(session.link, sample)
    session.link.request(
        Type.RUN,
        run_payload(WIDE.build_id, 4, zlib.crc32(sample)),
        patience_s=3,
        progress=lambda frame: seen.append(frame.type),
    )
    assert seen == [Type.KEEPALIVE] * 4
    assert session.log.line.repeats == 0


def test_the_host_never_sends_what_a_busy_uart_would_lose(start):
    session = session_on(start(OVERRUN="1", SLOW_MS="5"))
    session.connect()
    for number, sample in enumerate(wide_samples(30)):
        assert session.run(number, sample).outputs == wide_outputs(sample)
    assert session.log.line.repeats == 0


def test_that_uart_does_lose_what_comes_too_early(start):
    port = quiet(start(OVERRUN="1").open())
    frames = [Frame(Type.HELLO, number, b"abcd").encode() for number in (1, 2, 3)]
    assert len(exchange(port, b"".join(frames))) < 3


def test_the_rate_is_changed_and_confirmed(start):
    board = start()
    session = session_on(board, baud=921600)
    session.connect()
    assert (session.link.baud, board.baud) == (921600, 921600)
    sample = wide_samples(1)[0]
    assert session.run(0, sample).outputs == wide_outputs(sample)
    session.close()
    other = session_on(board, baud=921600)  # begins at the default rate, finds the board at ours
    other.connect()
    assert other.link.baud == 921600
    assert other.log.notes == []


def test_a_rate_that_is_not_confirmed_is_taken_back_by_both(start):
    board = start()

    class DeafAbove:
        """A line on which nothing above the default rate arrives."""

        def __init__(self, port):
            self.port, self.name, self.is_deaf = port, "native", False

        def write(self, data):
            if not self.is_deaf:
                self.port.write(data)

        def read(self, timeout_s):
            return self.port.read(timeout_s)

        def set_baud(self, baud):
            self.is_deaf = baud > BAUD
            self.port.set_baud(baud)

        def close(self):
            self.port.close()

    session = session_on(board, DeafAbove, baud=921600)
    session.connect()
    assert (session.link.baud, board.baud) == (BAUD, BAUD)
    assert "back to 115200" in session.log.notes[0]
    sample = wide_samples(1)[0]
    assert session.run(0, sample).outputs == wide_outputs(sample)


def test_silence_brings_the_default_rate_back(start):
    board = start()
    session = session_on(board, baud=460800)
    session.connect()
    session.close()
    end = time.monotonic() + 8
    while board.baud != BAUD and time.monotonic() < end:
        board.read(0.2)
    assert board.baud == BAUD


def test_reset_by_request_gives_a_new_boot(start):
    session = session_on(start())
    session.connect()
    before = session.hello.nonce
    session.reset()
    assert session.hello.nonce != before


def test_nothing_answers(monkeypatch, start):
    monkeypatch.setattr("edgecomp.device.connection.HELLO_ATTEMPTS", 2)
    with pytest.raises(LinkTimeout, match="nothing answers at 115200 baud"):
        session_on(start(), lambda port: BadLine(port, random.Random(0), rate=1.0)).connect()


def test_another_build_is_refused_with_both_numbers(start):
    with pytest.raises(WrongBuildError, match=r"the board runs build 0x77bb0011.*0x00000005"):
        session_on(start(), layout=replace(WIDE, build_id=5)).connect()


def test_a_board_that_starts_has_a_waiting_host_ask_again(start):
    assert [(f.type, f.seq) for f in exchange(start().open(), wait_s=2)] == [(Type.ERROR, 0)]


SHORT = 40
LONG = 500


def check_through_faults(session, count: int, trouble=lambda number: None) -> None:
    session.connect()
    for number, sample in enumerate(wide_samples(count, seed=count)):
        trouble(number)
        answer = session.run(number, sample, layers=number % 50 == 0)
        assert answer.outputs == wide_outputs(sample)


COUNTS = [SHORT, pytest.param(LONG, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_a_bad_line_gives_no_wrong_result(start, count):
    lines = []

    def line(port):
        lines.append(BadLine(port, random.Random(count)))
        return lines[-1]

    session = session_on(start(), line)
    check_through_faults(session, count)
    faults = sum(each.faults for each in lines)
    print(f"{count} samples: {faults} faults of the line, {session.log.line.repeats} repetitions")
    assert faults > count / 2
    assert session.log.line.repeats > 0


@pytest.mark.parametrize("count", COUNTS)
def test_resets_in_the_middle_of_samples_are_got_over(start, count):
    board = start()
    rng = random.Random(1)

    class Button:
        """Presses reset now and then as a request is sent."""

        def __init__(self, port):
            self.port, self.name = port, "native"

        def write(self, data):
            self.port.write(data)
            if rng.random() < 0.03:
                board.reset()

        def __getattr__(self, name):
            return getattr(self.port, name)

    session = session_on(board, Button)
    check_through_faults(session, count)
    print(f"{count} samples: {session.log.resets} resets")
    assert session.log.resets > 0


@pytest.mark.parametrize("count", COUNTS)
def test_a_pulled_cable_is_waited_for(start, count):
    board = start()

    def pull(number: int) -> None:
        if number % 20 == 5:
            board.pull_cable(0.3)

    session = session_on(board)
    check_through_faults(session, count, pull)
    print(f"{count} samples: {session.log.reconnects} reconnections")
    assert session.log.reconnects >= count // 20


def bench_on(board, path, line=lambda port: port, **options) -> SerialBench:
    return SerialBench(
        [("native", session_on(board, line, **options))], journal=Journal(path, WIDE.build_id)
    )


def run_bench(bench, samples: list[bytes], **flags):
    bench.connect()
    return bench.run(WIDE, np.stack([np.frombuffer(s, np.int8) for s in samples]), **flags)


def assert_right(result, samples: list[bytes]) -> None:
    got = np.concatenate(result.outputs, axis=1)
    assert [row.tobytes() for row in got] == [wide_outputs(sample) for sample in samples]


@pytest.mark.parametrize("count", COUNTS)
def test_a_cable_that_stays_away_stops_and_the_journal_goes_on(start, count, tmp_path):
    board, path, samples = start(), tmp_path / "journal", wide_samples(count)
    asked = []

    class Count:
        def __init__(self, port):
            self.port, self.name = port, "native"

        def write(self, data):
            asked.append(data)
            if len(asked) == 4 * count:
                board.pull_cable(2)
            self.port.write(data)

        def __getattr__(self, name):
            return getattr(self.port, name)

    bench = bench_on(board, path, Count, reconnect_s=0.3)
    with pytest.raises(DeviceError, match=f"of {count} samples are done and kept in .*journal"):
        run_bench(bench, samples)
    bench.close()
    board.pulled_until = 0
    asked.clear()
    again = bench_on(board, path)
    print(f"{count} samples: {again.resumed} found in the journal")
    assert 0 < again.resumed < count
    assert_right(run_bench(again, samples), samples)
    assert len(again._shares[0].answers) == count - again.resumed
    again.forget()
    assert not path.exists()


@pytest.mark.parametrize("count", COUNTS)
def test_a_full_disk_stops_and_room_lets_it_go_on(start, count, tmp_path, monkeypatch):
    path, samples = tmp_path / "journal", wide_samples(count)
    bench = bench_on(start(), path)
    room = [2500 * count // 2]
    write = Journal._write

    def full(self, data):
        if len(data) > room[0]:
            write(self, data[: room[0]])  # what still fits is written, as a disk does
            room[0] = 0
            raise OSError(28, "No space left on device")
        room[0] -= len(data)
        write(self, data)

    monkeypatch.setattr(Journal, "_write", full)
    with pytest.raises(UserError, match="No space left on device"):
        run_bench(bench, samples)
    bench.close()
    monkeypatch.undo()
    again = bench_on(start(), path)
    print(f"{count} samples: {again.resumed} found in the journal")
    assert 0 < again.resumed < count
    assert_right(run_bench(again, samples), samples)
    again.close()


def test_another_firmware_in_the_middle_stops_with_the_reason(start, other, tmp_path):
    """The board is exchanged for one of another build; back again, the check goes on."""
    right, wrong, path, samples = start(), other(), tmp_path / "journal", wide_samples(LONG)
    asked, there = [], [right]

    class Exchange:
        def __init__(self, port):
            self.port, self.name = port, "native"

        def write(self, data):
            asked.append(data)
            if len(asked) == 4 * LONG:
                right.pull_cable(60)
                there[0] = wrong
            self.port.write(data)

        def __getattr__(self, name):
            return getattr(self.port, name)

    def bench() -> SerialBench:
        session = SerialSession(lambda: Exchange(there[0].open()), WIDE, BAUD)
        return SerialBench([("native", session)], journal=Journal(path, WIDE.build_id))

    first = bench()
    with pytest.raises(WrongBuildError, match=r"runs build 0x77bb0012.*0x77bb0011"):
        run_bench(first, samples)
    first.close()
    there[0], right.pulled_until = right, 0
    again = bench()
    print(f"{LONG} samples: {again.resumed} found in the journal")
    assert 0 < again.resumed < LONG
    assert_right(run_bench(again, samples), samples)
    again.close()


def test_several_boards_share_the_samples_and_one_may_drop_out(start, tmp_path):
    good, bad, samples = start(SLOW_MS="3"), start(SLOW_MS="3"), wide_samples(40)
    sent = []

    class Dies:
        def __init__(self, port):
            self.port, self.name = port, "native"

        def write(self, data):
            sent.append(data)
            if len(sent) == 30:
                bad.pull_cable(60)
            self.port.write(data)

        def __getattr__(self, name):
            return getattr(self.port, name)

    bench = SerialBench(
        [("good", session_on(good)), ("bad", session_on(bad, Dies, reconnect_s=0.2))]
    )
    result = run_bench(bench, samples, stage_crcs=True)
    assert_right(result, samples)
    expected = [[zlib.crc32(stage) for stage in wide_reference(sample)] for sample in samples]
    np.testing.assert_array_equal(result.stage_crcs, np.array(expected, np.uint32))
    summary = bench.summary(is_real_time=True)
    done = {port["port"]: port["samples"] for port in summary["ports"]}
    assert done["good"] + done["bad"] == 40
    assert 0 < done["bad"] < 20
    assert "bad gave up" in " ".join(summary["notes"])
    assert summary["ports"][0]["cycles"]["median"] >= 9000  # three stages of 3 ms at 1 MHz
    assert summary["ports"][0]["ms"] == pytest.approx(
        summary["ports"][0]["cycles"]["median"] / 1000
    )
    assert bench.summary(is_real_time=False)["ports"][0]["ms"] is None


def test_a_board_of_another_build_stops_the_bench(start, tmp_path):
    bench = SerialBench([("a", session_on(start(), layout=replace(WIDE, build_id=9)))])
    with pytest.raises(WrongBuildError):
        run_bench(bench, wide_samples(2))
