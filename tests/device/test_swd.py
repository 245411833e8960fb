"""The way through a debug probe, with a pyocd that is played; and, where there is one, the real."""

import inspect
import sys
from types import ModuleType, SimpleNamespace

import pytest

from edgecomp.device.flash import METHODS, FlashJob
from edgecomp.device.flash.swd import pyocd_target
from edgecomp.errors import FlashError, ToolError
from edgecomp.targets.boards import load_boards

BOARDS = load_boards()
IMAGE = bytes(range(256)) * 40
ADDR = 0x08004000

# What pyocd 0.46 answers in pyocd/board/board_ids.py to these boards' ids; `None`: no id is known.
NAMES = {
    "nucleo_f401re": "stm32f401retx",
    "nucleo_f411re": "stm32f411retx",
    "nucleo_f446re": "stm32f446retx",
    "nucleo_l476rg": "stm32l476rgtx",
    "nucleo_l4r5zi": "stm32l4r5zitx",
    "nucleo_f746zg": "stm32f746zgtx",
    "nucleo_f767zi": "stm32f767zitx",
    "nucleo_h743zi2": "stm32h743zitx",
    "nucleo_u575zi_q": "stm32u575zitx",
    "nucleo_g071rb": "stm32g071rbtx",
    "nucleo_f091rc": "stm32f091rctx",
    "stm32f4_disco": "stm32f407vgtx",
    "disco_l475_iot1": "stm32l475xg",
    "microbit_v1": "nrf51",
    "microbit_v2": "nrf52833",
    "nrf52840dk": "nrf52840",
    "frdm_k64f": "k64f",
    "lpcxpresso55s69": "lpc55s69",
    "arduino_portenta_h7": None,
    "arduino_nano_33_ble": None,
    "nrf5340dk": None,
    "arduino_zero": None,
    "adafruit_feather_m4": None,
    "rpi_pico": None,
    "rpi_pico2": None,
    "apollo3_evb": None,
}


class Played:
    """Probes, a session, a programmer and a flash, with pyocd's names."""

    def __init__(self) -> None:
        self.probes = [SimpleNamespace(unique_id="0777000012", description="DAPLink")]
        self.flash = bytearray(b"\xff" * 0x10000)
        self.said: list[str] = []
        self.options: dict[str, object] = {}
        self.error: Exception | None = None

    def get_all_connected_probes(self, blocking=True, unique_id=None, print_wait_message=True):
        assert not blocking, "it would wait for ever"
        return [probe for probe in self.probes if unique_id is None or unique_id in probe.unique_id]

    def session(self, probe, auto_open=True, options=None, option_defaults=None, command=None):
        self.said.append(f"probe {probe.unique_id}")
        self.options = dict(options)
        return self

    def __enter__(self):
        if self.error is not None:
            raise self.error
        return self

    def __exit__(self, *what):
        self.said.append("closed")

    @property
    def target(self):
        return self

    def reset(self):
        self.said.append("reset")

    def read_memory_block8(self, addr, size):
        return list(self.flash[addr - 0x08000000 : addr - 0x08000000 + size])

    def programmer(self, session, progress=None, chip_erase=None, smart_flash=None):
        assert session is self
        self.progress = progress
        return self

    def program(self, file_or_path, file_format=None, **kwargs):
        assert (file_format, set(kwargs)) == ("bin", {"base_address"})
        data, start = file_or_path.read(), kwargs["base_address"] - 0x08000000
        for part in (0.0, 0.5, 1.0):
            self.progress(part)
        self.flash[start : start + len(data)] = data
        self.said.append("programmed")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    it = Played()
    for name, attributes in {
        "pyocd": {},
        "pyocd.core": {},
        "pyocd.flash": {},
        "pyocd.core.helpers": {"ConnectHelper": it},
        "pyocd.core.session": {"Session": it.session},
        "pyocd.flash.file_programmer": {"FileProgrammer": it.programmer},
    }.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    return it


def flash(**options):
    return METHODS["swd"].run(FlashJob(BOARDS["nucleo_f446re"], IMAGE, ADDR, **options))


def test_image_is_written_compared_and_started(played):
    seen = []
    result = flash(progress=lambda *step: seen.append(step))
    assert played.flash[0x4000 : 0x4000 + len(IMAGE)] == IMAGE
    assert played.said == ["probe 0777000012", "programmed", "reset", "closed"]
    assert played.options == {"target_override": "stm32f446retx", "resume_on_disconnect": True}
    assert (result.written_bytes, result.verified, result.started) == (
        len(IMAGE),
        "read-back",
        True,
    )
    assert seen[-1] == ("verifying", len(IMAGE), len(IMAGE))


def test_neither_compared_nor_started_unless_asked(played):
    result = flash(verify=False, start=False)
    assert played.said == ["probe 0777000012", "programmed", "closed"]
    assert played.options["resume_on_disconnect"] is False
    assert (result.verified, result.started) == ("no", False)


def test_what_was_not_written_is_noticed(played, monkeypatch):
    monkeypatch.setattr(played, "read_memory_block8", lambda addr, size: [0xFF] * size)
    with pytest.raises(FlashError, match="0x08004000 differs"):
        flash()
    assert "reset" not in played.said


def test_no_probe_is_explained(played):
    played.probes = []
    with pytest.raises(FlashError, match="no debug probe"):
        flash()


def test_of_several_probes_the_boards_own_is_taken(played):
    played.probes.insert(0, SimpleNamespace(unique_id="0240000012", description="another board"))
    flash()
    assert played.said[0] == "probe 0777000012"


def test_a_wrong_board_is_not_guessed(played):
    played.probes = [
        SimpleNamespace(unique_id=name, description="STLINK-V2-1")
        for name in ("066AFF51", "0670FF53")
    ]
    with pytest.raises(FlashError, match=r"066AFF51  STLINK-V2-1\n.*\n  say which one: --port ID"):
        flash()
    flash(port="0670FF")
    assert played.said[0] == "probe 0670FF53"


def test_what_pyocd_says_is_passed_on_with_a_remedy(played):
    played.error = RuntimeError("Target type stm32f446retx not recognized")
    with pytest.raises(FlashError, match=r"not recognized\n.*pyocd pack install stm32f446retx"):
        flash()


def test_without_pyocd_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyocd.core.helpers", None)
    with pytest.raises(ToolError, match=r"edgecomp\[swd\]"):
        flash()


def test_every_board_with_swd_has_a_target():
    with_swd = {name for name, board in BOARDS.items() if "swd" in board.flash_methods}
    assert with_swd == set(NAMES)
    for name, target in NAMES.items():
        assert pyocd_target(BOARDS[name]) == target or target is None
        assert pyocd_target(BOARDS[name])


def test_the_real_pyocd_has_what_is_called():
    helpers = pytest.importorskip("pyocd.core.helpers")
    from pyocd.board.board_ids import BOARD_ID_TO_INFO
    from pyocd.core.session import Session
    from pyocd.core.soc_target import SoCTarget
    from pyocd.flash.file_programmer import FileProgrammer

    probes = helpers.ConnectHelper.get_all_connected_probes
    inspect.signature(probes).bind(blocking=False, unique_id=None)
    inspect.signature(Session).bind(None, options={})
    inspect.signature(FileProgrammer).bind(None, progress=print)
    program = inspect.signature(FileProgrammer.program)
    program.bind(None, None, file_format="bin", base_address=0)
    inspect.signature(SoCTarget.read_memory_block8).bind(None, 0, 4)
    inspect.signature(SoCTarget.reset).bind(None)
    idle = Session(None, options={"target_override": "k64f", "resume_on_disconnect": False})
    assert idle.options.get("resume_on_disconnect") is False
    for name in NAMES:
        for identity in BOARDS[name].probe.board_ids:
            if identity in BOARD_ID_TO_INFO:
                assert BOARD_ID_TO_INFO[identity].target == pyocd_target(BOARDS[name]), name
    with pytest.raises(FlashError, match="no debug probe"):
        flash()
