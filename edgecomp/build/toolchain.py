"""Finding the programs that a build needs, and running them."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgecomp.errors import ToolError

# Program -> Debian package that brings it.
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "gcc": "gcc",
    "clang": "clang",
}
# gcc finds its C library by itself, so that a missing one shows only when something is compiled.
LIBRARY_PACKAGE = "libnewlib-arm-none-eabi"


@dataclass(frozen=True)
class Tool:
    """An external program: the name it is called by and the first line of its version."""

    name: str
    path: Path
    version: str


@dataclass(frozen=True)
class Toolchain:
    """The programs of one firmware build."""

    gcc: Tool
    objcopy: Tool
    objdump: Tool


@lru_cache
def find_tool(name: str) -> Tool:
    """Return the program `name`.

    Raises:
        ToolError: it is not installed; the message names the Debian package.
    """
    path = shutil.which(name)
    if path is None:
        package = PACKAGES.get(name, name)
        raise ToolError(
            f"{name} was not found on PATH\n  on Debian and Ubuntu: sudo apt install {package}"
        )
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = (shown.stdout or shown.stderr).splitlines()
    return Tool(name, Path(path), lines[0] if lines else "unknown version")


def find_toolchain() -> Toolchain:
    """Return the Arm toolchain, or raise a ToolError that says what to install."""
    return Toolchain(
        gcc=find_tool("arm-none-eabi-gcc"),
        objcopy=find_tool("arm-none-eabi-objcopy"),
        objdump=find_tool("arm-none-eabi-objdump"),
    )


def run_tool(command: Sequence[str], folder: Path) -> str:
    """Run `command` in `folder` and return what it printed on standard output.

    Raises:
        ToolError: it is missing or failed; with command, status and its last lines.
    """
    tool = find_tool(command[0])
    done = subprocess.run(
        [str(tool.path), *command[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ToolError.failed(command, done.returncode, done.stderr + done.stdout)
    return done.stdout


def find_library() -> str | None:
    """Return None if the C library for Arm is installed, else what to install."""
    done = run_tool(["arm-none-eabi-gcc", "-print-file-name=libc.a"], Path.cwd())
    if Path(done.strip()).is_absolute():
        return None
    return f"the C library for Arm is missing: sudo apt install {LIBRARY_PACKAGE}"
