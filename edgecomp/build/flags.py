"""What the compilers are told, for the board and for the host."""

from typing import Literal

Optimize = Literal["balanced", "speed", "size", "ram"]

OPTIMIZE_FLAGS: dict[str, str] = {"balanced": "-O2", "speed": "-O3", "size": "-Os", "ram": "-Os"}
WARNING_FLAGS = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wundef",
    "-Wdouble-promotion",
    "-Werror",
)
FIRMWARE_FLAGS = (
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-ffile-prefix-map=$PWD=.",
)
