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
    assert [region.name for region in board.arenas] == ["small", "large"]
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
        ("    clock_hz", "    data_region: huge\n    clock_hz", "no RAM region is called 'huge'"),
        ("    clock_hz", "    colour: red\n    clock_hz", "line 10, colour: Unexpected keyword"),
        ("    clock_hz", "    boot_header: rp1\n    clock_hz", "boot_header: unknown 'rp1'"),
        (
            "    clock_hz",
            "    flash_methods: [jtag]\n    clock_hz",
            "line 10, flash_methods.0: Input",
        ),
        ("    clock_hz", "    reserved_end_bytes: 1M\n    clock_hz", "must lie inside the flash"),
        ("uart: USART2,", "uart: USART2, usb: maybe,", "line 11, console.usb: Input should be"),
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


HARDWARE = [
    "nucleo_f401re",
    "nucleo_f411re",
    "nucleo_f446re",
    "nucleo_l476rg",
    "nucleo_l4r5zi",
    "nucleo_f746zg",
    "nucleo_f767zi",
    "nucleo_h743zi2",
    "nucleo_u575zi_q",
    "nucleo_g071rb",
    "nucleo_f091rc",
    "stm32f4_disco",
    "disco_l475_iot1",
    "arduino_nano_33_ble",
    "arduino_zero",
    "adafruit_feather_m4",
    "rpi_pico",
    "rpi_pico2",
    "nrf52840dk",
    "nrf5340dk",
    "microbit_v1",
    "microbit_v2",
    "teensy40",
    "teensy41",
    "frdm_k64f",
    "lpcxpresso55s69",
    "apollo3_evb",
    "apollo4p_evb",
    "alif_e7_dk",
    "ek_ra8m1",
    "arduino_portenta_h7",
]
EMULATED = [
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "microbit",
    "mps2-an385-v6m",
    "netduinoplus2",
    "netduino2",
    "stm32vldiscovery",
    "lm3s6965evb",
]


def test_the_table_has_every_board_that_is_promised():
    boards = load_boards()
    assert {b.id for b in boards.values() if b.kind == "hardware"} == set(HARDWARE)
    assert {b.id for b in boards.values() if b.kind == "emulated"} == set(EMULATED)


def test_no_more_is_called_verified_than_was_done():
    for board in load_boards().values():
        if board.kind == "emulated":
            assert board.verified == "runs in the emulator"
        elif board.unconfirmed or not board.pins_from:
            assert board.verified in {"links", "links, facts unconfirmed"}, board.id
        else:
            assert board.verified == "links, pins checked"


def test_hardware_boards_say_how_they_are_flashed_and_reached():
    for board in load_boards().values():
        if board.kind == "hardware":
            assert board.flash_methods, board.id
            assert board.console.route, board.id
            assert "an3155" not in board.flash_methods or board.rom_uart, board.id
            assert "vendor" not in board.flash_methods or "tool is" in board.notes, board.id
            assert all(len(usb) == 9 and usb == usb.lower() for usb in board.probe.usb), board.id


def test_m85_is_marked_as_built_for_the_m55():
    core = get_board("ek_ra8m1").core
    assert core.title == "Cortex-M85 (built as Cortex-M55)"
    assert "-mcpu=cortex-m55" in core.gcc_flags


def test_consoles_off_the_usb_socket_say_so():
    off = {b.id for b in load_boards().values() if not b.console.usb}
    native = "arduino_nano_33_ble adafruit_feather_m4 rpi_pico rpi_pico2 teensy40 teensy41"
    assert off == {*native.split(), "arduino_portenta_h7", "stm32f4_disco"}
    for name in off:
        assert "header pins" in get_board(name).console.route


def test_arena_and_stack_are_where_the_facts_say():
    h7 = get_board("nucleo_h743zi2")
    assert [region.name for region in h7.arenas] == ["dtcm", "axi_sram"]
    assert h7.data.name == "dtcm"
    nano = get_board("arduino_nano_33_ble")
    assert (nano.image.origin, nano.image.size) == (0x10000, 0xF0000)
