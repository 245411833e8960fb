"""Small applications behind the loader, of any size; which application or build is on a board."""

import json
import random
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from edgecomp.build.board_files import render_board_config, render_link_script, render_startup
from edgecomp.build.loader import behind_loader, in_slots
from edgecomp.build.seal import seal
from edgecomp.device.flash.line import Line, open_line
from edgecomp.device.link import Link
from edgecomp.device.protocol import Type, decode_hello
from edgecomp.device.serial_port import open_port
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import get_board as read_board

get_board = cache(read_board)
_SOURCE = Path(__file__).parent / "application" / "main.c"
_ANSWER_S = 10.0


@cache
def application(board_name: str, name: str, size: int = 4096, slot: int | None = None) -> bytes:
    """Return a sealed image of `size` bytes for the board; `name` is what it answers to `?`."""
    board = get_board(board_name)
    behind = behind_loader(board) if slot is None else in_slots(board)[slot]
    port = firmware_dir() / "port"
    with TemporaryDirectory() as folder:
        work = Path(folder)
        for path in (
            port / board.console.port / "port.c",
            *port.glob("*.[ch]"),
            firmware_dir() / "app" / "startup.h",
            firmware_dir() / "app" / "attributes.h",
            _SOURCE,
        ):
            shutil.copyfile(path, work / path.name)
        (work / "startup.c").write_text(render_startup(behind))
        (work / "board_config.h").write_text(render_board_config(board))
        (work / "link.ld").write_text(render_link_script(behind, 512))
        sources = ["main.c", "port.c", "port_common.c", "startup.c"]
        flags = ["-std=c99", "-Os", "-ffunction-sections", f"-DAPPLICATION_NAME='{name}'"]
        link = ["-nostdlib", "-Tlink.ld", "-Wl,--gc-sections", "-lgcc", "-o", "app.elf"]
        compiler = ["arm-none-eabi-gcc", *board.core.gcc_flags, *flags]
        subprocess.run([*compiler, *sources, *link], cwd=work, check=True)
        subprocess.run(
            ["arm-none-eabi-objcopy", "-O", "binary", "app.elf", "app.bin"], cwd=work, check=True
        )
        code = (work / "app.bin").read_bytes()
    ballast = random.Random(f"{name}{size}").randbytes(size - len(code))
    return seal(code + ballast, version=0 if slot is None else 1)


def name_of(port: str) -> str:
    """Ask the application on `port` for its name; an empty string where none answers."""
    with open_line(port, 115200) as line:
        return ask(line)


def ask(line: Line, limit_s: float = _ANSWER_S) -> str:
    """Ask over an open line; the loader, where it runs instead, refuses what it gets."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        line.write(b"?")
        answer = line.read(1)
        if answer.isalpha():
            return answer.decode()
    return ""


def build_id_on(port: str) -> int:
    """Ask the firmware on `port` which build it is."""
    line = open_port(port, 115200)
    try:
        return decode_hello(Link(line, 115200).request(Type.HELLO, bytes(4)).payload).build_id
    finally:
        line.close()


def build_id_of(folder: Path) -> int:
    """Return the build that a built folder holds."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return int(manifest["layout"]["build_id"])
