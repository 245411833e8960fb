"""The board table, and what is said of a wrong one."""

from pathlib import Path

import pytest

from edgecomp.errors import UserError
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import get_board, load_boards

GOOD = """\
boards:
  - id: mine
    name: My board
    kind: hardware
    core: cortex-m4f
    flash: {name: flash, origin: 0x08000000, size: 512K}
    ram:
      - {name: small, origin: 0x20000000, size: 16K}
      - {name: large, origin: 0x24000000, size: 1M}
    clock_hz: 16000000
    console: {port: stm32_usart_v1, uart: USART2, base: 0x40004400, clock_hz: 16000000}
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "boards.yaml"
    path.write_text(text)
    return load_boards(path)


def failure(tmp_path: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    return str(caught.value)


def test_users_file(tmp_path):
    board = load(tmp_path, GOOD)["mine"]
    assert board.flash.size == 512 * 1024
    assert board.data.name == "small"
    assert board.arena.name == "large"
    assert board.image == board.flash
    assert board.verified == "links"


def test_image_lies_behind_the_bootloader(tmp_path):
    more = GOOD + "    link_offset: 64K\n"
    image = load(tmp_path, more)["mine"].image
    assert (image.origin, image.size) == (0x08010000, 448 * 1024)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("cortex-m4f", "cortex-m4", "line 5, core: unknown core"),
        ("size: 512K", "size: much", "line 6, flash.size: Input should be a valid integer"),
        ("clock_hz: 16000000\n    con", "clock: 1\n    con", "clock_hz: Field required"),
        ("kind: hardware", "kind: emulated", "an emulated board has one"),
        ("kind: hardware", "kind: virtual", "line 4, kind: Input should be 'emulated'"),
        ("0x24000000", "0x20002000", "regions 'small' and 'large' overlap"),
        ("uart: USART2", "uarts: USART2", "console.uart: Field required"),
        ("    clock_hz", "    link_offset: 100\n    clock_hz", "line 10, link_offset: the vector"),
        ("    clock_hz", "    arena_region: huge\n    clock_hz", "no RAM region is called 'huge'"),
        ("    clock_hz", "    colour: red\n    clock_hz", "line 10, colour: Unexpected keyword"),
        ("boards:\n", "boards:\n  - 3\n", "line 2, entry: expected a mapping"),
        ("boards:", "board:", "expected a list under the key 'boards'"),
        ("name: My board", "name: [", "is not YAML"),
    ],
)
def test_wrong_entries_are_named_by_line_and_key(tmp_path, old, new, expected):
    assert expected in failure(tmp_path, old, new)


def test_an_offset_needs_a_core_that_can_move_its_vectors(tmp_path):
    text = GOOD.replace("cortex-m4f", "cortex-m0") + "    link_offset: 8K\n"
    with pytest.raises(UserError, match="Cortex-M0 cannot move its vector table"):
        load(tmp_path, text)


def test_the_same_id_twice(tmp_path):
    with pytest.raises(UserError, match="'mine' is there twice"):
        load(tmp_path, GOOD + GOOD.removeprefix("boards:\n"))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot read the board file"):
        load_boards(tmp_path / "none.yaml")


def test_unknown_board_lists_the_nearest():
    with pytest.raises(UserError, match="nearest: nucleo_f446re"):
        get_board("nucleo-f446re")


def test_every_board_has_its_port_and_what_the_port_needs():
    for board in load_boards().values():
        console = board.console
        assert (firmware_dir() / "port" / console.port / "port.c").exists(), board.id
        if console.port.startswith("stm32"):
            assert None not in {console.tx, console.rx}, board.id
            assert len(console.enable) >= 2, board.id
        divisor = console.clock_hz / console.baud
        if console.uart.startswith("USART"):
            assert abs(round(divisor) / divisor - 1) < 0.02, f"{board.id}: baud rate off"
        assert (board.emulator is None) == (board.kind == "hardware")


def test_arena_and_stack_are_where_the_facts_say():
    h7 = get_board("nucleo_h743zi2")
    assert (h7.arena.name, h7.data.name) == ("axi_sram", "dtcm")
    nano = get_board("arduino_nano_33_ble")
    assert (nano.image.origin, nano.image.size) == (0x10000, 0xF0000)
