"""The firmware image in QEMU, asked over its console as a board is."""

import random
import socket
import time

import numpy as np
import pytest
from fake_support import ENDLESS, INPUTS, LAYOUT, UNMAPPED, reference
from serial_support import BadLine

from edgecomp.build import measure, symbol_at
from edgecomp.device.qemu import MONITOR, MONITOR_OPTION
from edgecomp.device.serial_port import open_port
from edgecomp.device.serial_session import SerialSession
from edgecomp.device.virtual import virtual_board
from edgecomp.errors import DeviceError
from edgecomp.targets.boards import get_board

pytestmark = pytest.mark.device

BAUD = 115200


def session_with(port: str, images, **options) -> SerialSession:
    symbols = measure(images.firmware).symbols
    return SerialSession(
        lambda: open_port(port, BAUD),
        LAYOUT,
        BAUD,
        symbol_at=lambda addr: symbol_at(symbols, addr),
        **options,
    )


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an385-v6m"])
def test_samples_layers_stages_and_memory(name, tcp, built):
    images = built(name)
    stages = reference(INPUTS)
    with virtual_board(get_board(name), images.firmware, tcp=tcp) as virtual:
        session = session_with(virtual.port, images)
        session.connect()
        assert session.hello.counter == "systick"  # emulators have no DWT
        for number, sample in enumerate(INPUTS[:4]):
            answer = session.run(number, sample.tobytes(), layers=number == 1)
            assert answer.outputs == stages[-1][number].tobytes()
            assert answer.arena_bytes <= LAYOUT.arena_bytes
            assert 0 < answer.stack_bytes <= images.firmware_stack.total_bytes
        dump = session.dump(0, INPUTS[0].tobytes())
        assert dump == [stage[0].tobytes() for stage in stages]
        session.reset()
        assert session.run(2, INPUTS[2].tobytes()).outputs == stages[-1][2].tobytes()
        assert session.hello.fault is None
        session.close()


@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an385-v6m", "mps2-an505"])
def test_a_fault_is_told_after_the_reset(name, built):
    images = built(name, UNMAPPED)
    with virtual_board(get_board(name), images.firmware) as virtual:
        session = session_with(virtual.port, images)
        session.connect()
        with pytest.raises(DeviceError) as caught:
            session.run(7, INPUTS[0].tobytes())
        session.close()
    message = str(caught.value)
    assert "sample 7: the board is reset each time; its last fault" in message
    assert ("HardFault" if get_board(name).core.is_v6m else "BusFault") in message
    assert "in fake_run_stage+0x" in message


def run_many(session: SerialSession, count: int, trouble=lambda number: None) -> None:
    samples = np.random.default_rng(3).integers(-128, 128, (count, 64)).astype(np.int8)
    expected = reference(samples)[-1]
    session.connect()
    for number, sample in enumerate(samples):
        trouble(number)
        assert session.run(number, sample.tobytes()).outputs == expected[number].tobytes()
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an385-v6m"])
def test_a_bad_line_to_the_emulator_gives_no_wrong_result(name, built):
    images, rng = built(name), random.Random(9)
    with virtual_board(get_board(name), images.firmware) as virtual:
        session = SerialSession(
            lambda: BadLine(open_port(virtual.port, BAUD), rng, rate=3e-3), LAYOUT, BAUD
        )
        run_many(session, 500)
    print(f"500 samples: {session.log.line.repeats} repetitions")
    assert session.log.line.repeats > 20


@pytest.mark.slow
def test_the_emulators_reset_button_is_got_over(built):
    """QEMU is reset now and then a moment after a request was written, so in all its states."""
    images, rng = built("mps2-an386"), random.Random(5)
    with (
        virtual_board(get_board("mps2-an386"), images.firmware, extra=MONITOR_OPTION) as virtual,
        socket.socket(socket.AF_UNIX) as monitor,
    ):
        monitor.connect(str(virtual.folder / MONITOR))
        monitor.sendall(b'{"execute": "qmp_capabilities"}\n')

        class Button:
            def __init__(self, port):
                self.port, self.name = port, port.name

            def write(self, data):
                self.port.write(data)
                if rng.random() < 0.03:
                    time.sleep(rng.random() * 0.01)
                    monitor.sendall(b'{"execute": "system_reset"}\n')

            def __getattr__(self, name):
                return getattr(self.port, name)

        session = SerialSession(lambda: Button(open_port(virtual.port, BAUD)), LAYOUT, BAUD)
        run_many(session, 500)
    print(f"500 samples: {session.log.resets} resets")
    assert session.log.resets > 10


@pytest.mark.slow
def test_a_hang_is_told_as_one(built):
    images = built("mps2-an386", ENDLESS)
    with virtual_board(get_board("mps2-an386"), images.firmware) as virtual:
        session = session_with(virtual.port, images, reconnect_s=0)
        session.connect()
        with pytest.raises(DeviceError, match="fell silent: does the firmware hang"):
            session.run(0, INPUTS[0].tobytes())
        session.close()
