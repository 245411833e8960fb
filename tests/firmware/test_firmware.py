"""The firmware image in QEMU, asked over its console as a board is."""

import pytest
from fake_support import ENDLESS, INPUTS, LAYOUT, UNMAPPED, reference

from edgecomp.build import measure, symbol_at
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


@pytest.mark.slow
def test_a_hang_is_told_as_one(built):
    images = built("mps2-an386", ENDLESS)
    with virtual_board(get_board("mps2-an386"), images.firmware) as virtual:
        session = session_with(virtual.port, images, reconnect_s=0)
        session.connect()
        with pytest.raises(DeviceError, match="fell silent: does the firmware hang"):
            session.run(0, INPUTS[0].tobytes())
        session.close()
