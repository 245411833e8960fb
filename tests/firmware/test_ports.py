"""The UART ports that an emulator can run, and the check image over a UART."""

from pathlib import Path

import numpy as np
import pytest
from fake_support import INPUTS, LAYOUT, build, reference

from edgecomp.device import QemuEngine, run_firmware, run_samples
from edgecomp.device.records import FLAG_CRC, decode_reply, encode_request
from edgecomp.device.serial_port import open_port
from edgecomp.device.serial_session import SerialSession
from edgecomp.device.session import receive, uart_in_qemu
from edgecomp.device.virtual import virtual_board
from edgecomp.targets.boards import get_board

pytestmark = pytest.mark.device

BAUD = 115200
USERS_FILE = Path(__file__).parent / "boards.yaml"


def test_stm32f4_port_from_a_users_board_file(tmp_path):
    board = get_board("netduinoplus2", USERS_FILE)
    images = build(tmp_path / "work", board)
    outputs = run_firmware(board, images.firmware, LAYOUT, INPUTS[:2])
    np.testing.assert_array_equal(outputs[0], reference(INPUTS[:2])[-1])
    result = run_samples(QemuEngine(board, images.check), LAYOUT, INPUTS[:2], timeout_s=30)
    np.testing.assert_array_equal(result.outputs[0], outputs[0])


# One board for each port that an emulator has: two of them for the STM32's, whose pins differ.
PORTS = [
    "mps2-an385",
    "microbit",
    "netduinoplus2",
    "netduino2",
    "stm32vldiscovery",
    "lm3s6965evb",
]


@pytest.mark.parametrize("name", PORTS)
def test_check_image_over_the_uart(name, tmp_path):
    board = get_board(name)
    images = build(tmp_path / "work", board, check_stream="uart")
    samples = INPUTS[:3]
    with uart_in_qemu(board, images.check, 30) as link:
        link.sendall(encode_request(LAYOUT, FLAG_CRC, samples))
        size = 16 + 3 * LAYOUT.sample_bytes(FLAG_CRC) + 24
        result = decode_reply(receive(link, size, name), LAYOUT, FLAG_CRC, 3)
    np.testing.assert_array_equal(result.outputs[0], reference(samples)[-1])
    assert result.guard_ok
    outputs = run_firmware(board, images.firmware, LAYOUT, samples)
    np.testing.assert_array_equal(outputs[0], reference(samples)[-1])


@pytest.mark.parametrize("name", PORTS)
def test_firmware_changes_its_rate_and_resets_by_this_port(name, built):
    images, expected = built(name), reference(INPUTS)[-1]
    with virtual_board(get_board(name), images.firmware) as virtual:
        session = SerialSession(lambda: open_port(virtual.port, BAUD), LAYOUT, BAUD, baud=57600)
        session.connect()
        assert session.link.baud == 57600
        assert session.run(0, INPUTS[0].tobytes()).outputs == expected[0].tobytes()
        nonce = session.hello.nonce
        session.reset()
        assert session.hello.nonce != nonce
        assert session.run(1, INPUTS[1].tobytes()).outputs == expected[1].tobytes()
        assert session.log.notes == []
        session.close()
