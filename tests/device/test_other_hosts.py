"""Two hosts that others wrote drive the resident loader: write, verify, start.

They are programs of their own, used by these tests only.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.applications import application, get_board, name_of
from tests.device.virtual_board import virtual_board

pytestmark = pytest.mark.device

NAME = "mps2-an386"
ADDR = 0x08004000
SIZE = 16000
LIMIT_S = 120

# A pseudo terminal has no modem lines: what stm32loader does with them is left out.
STM32LOADER = """
import sys
from stm32loader import uart
from stm32loader.main import main
uart.SerialConnection.enable_reset = lambda self, enable=True: None
uart.SerialConnection.enable_boot0 = lambda self, enable=True: None
main(*sys.argv[1:])
"""


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, check=False, errors="replace"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "application.bin"
    path.write_bytes(application(NAME, "A", SIZE))
    return path


def test_stm32flash_writes_verifies_and_starts(image, loader_of, tmp_path):
    if shutil.which("stm32flash") is None:
        pytest.skip("stm32flash is not installed")
    with virtual_board(get_board(NAME), tmp_path, elf=loader_of(NAME)) as running:
        said = run(
            *("stm32flash", "-m", "8n1", "-b", "115200"),
            *("-w", str(image), "-v", "-S", f"{ADDR:#x}", "-g", f"{ADDR:#x}", running.port),
        )
        assert "0x0413" in said
        assert "Wrote and verified" in said
        assert name_of(running.port) == "A"


def test_stm32loader_writes_verifies_and_starts(image, loader_of, tmp_path):
    pytest.importorskip("stm32loader")
    with virtual_board(get_board(NAME), tmp_path, elf=loader_of(NAME)) as running:
        said = run(
            *(sys.executable, "-c", STM32LOADER, "-p", running.port, "-P", "none", "-n"),
            *("-e", "-w", "-v", "-a", f"{ADDR:#x}", "-g", f"{ADDR:#x}"),
            str(image),
        )
        assert "Verification OK" in said
        assert name_of(running.port) == "A"
