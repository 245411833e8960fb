"""Which board a port or a drive may be."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgecomp.cli.app import app
from edgecomp.device.flash import attached as module
from edgecomp.device.flash.attached import attached
from edgecomp.device.flash.msd import board_id_of
from edgecomp.errors import UserError
from edgecomp.targets.boards import load_boards

BOARDS = load_boards()
STLINK, DAPLINK = (0x0483, 0x374B), (0x0D28, 0x0204)


@dataclass
class Port:
    """One serial port as pyserial lists it."""

    device: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None
    description: str = "a port"


def look(*ports, drives=None, uf2=None):
    return attached(BOARDS, lambda: ports, lambda: drives or {}, lambda: uf2 or {})


def test_usb_id_of_a_nucleo_fits_every_nucleo():
    (found,) = look(Port("/dev/ttyACM0", *STLINK, "066BFF"))
    assert found.by == "usb id"
    assert {"nucleo_f446re", "nucleo_l476rg", "disco_l475_iot1"} <= set(found.boards)
    assert "nucleo_h743zi2" not in found.boards  # its ST-LINK is a V3


def test_a_cmsis_dap_probe_has_its_board_id_in_the_serial_number():
    v1, v2, k64 = look(
        Port("a", *DAPLINK, "9900000046114e45"),
        Port("b", *DAPLINK, "9904360248184e45"),
        Port("c", *DAPLINK, "0240000032044e45"),
    )
    assert [(p.boards, p.by) for p in (v1, v2, k64)] == [
        (("microbit_v1",), "board id"),
        (("microbit_v2",), "board id"),
        (("frdm_k64f",), "board id"),
    ]


def test_the_only_fitting_drive_tells_nucleos_apart():
    port, drive = look(Port("p", *STLINK), drives={Path("/media/NODE_F446RE"): "0777"})
    assert (port.boards, port.by) == (("nucleo_f446re",), "same probe")
    assert (drive.boards, drive.by, drive.kind) == (("nucleo_f446re",), "board id", "drive")


def test_two_fitting_drives_do_not():
    drives = {Path("/media/a"): "0777", Path("/media/b"): "0765"}
    port, *_ = look(Port("p", *STLINK), drives=drives)
    assert port.by == "usb id"
    assert len(port.boards) > 2


def test_a_usb_id_of_one_board_alone_is_enough():
    (found,) = look(Port("p", 0x239A, 0x8031))
    assert (found.boards, found.by) == (("adafruit_feather_m4",), "usb id")


def test_unknown_and_built_in_ports():
    (found,) = look(Port("/dev/ttyS0"), Port("/dev/ttyUSB0", 0x1A86, 0x7523))
    assert (found.where, found.boards, found.by) == ("/dev/ttyUSB0", (), "")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("MBED.HTM", '<meta content="0; url=http://mbed.org/device/?code=07770221AB"/>', "0777"),
        ("DETAILS.TXT", "# DAPLink Firmware\nUnique ID: 9904360248184e45\n", "9904"),
        ("DETAILS.TXT", "Version: 0221\n", ""),
    ],
)
def test_board_id_on_a_drive(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert board_id_of(tmp_path) == expected


def test_uf2_drives_say_what_they_are(tmp_path, monkeypatch):
    (tmp_path / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\n")
    monkeypatch.setattr(module, "mounted", lambda marker: [tmp_path])
    (found,) = attached(BOARDS, tuple, dict)
    assert (found.what, found.where) == ("Raspberry Pi RP2", str(tmp_path))


def test_the_command_lists_them_and_refuses_a_name(monkeypatch):
    monkeypatch.setattr(module, "_system_ports", lambda: [Port("/dev/ttyACM0", *STLINK)])
    listed = json.loads(CliRunner().invoke(app, ["boards", "--detect", "--json"]).stdout)
    assert listed[0]["where"] == "/dev/ttyACM0"
    refused = CliRunner().invoke(app, ["boards", "microbit", "--detect"])
    assert isinstance(refused.exception, UserError)
    text = CliRunner().invoke(app, ["boards", "--detect"]).stdout
    assert "/dev/ttyACM0  0483:374b  a port" in text
    assert "has the USB id of: nucleo_f401re" in text
