"""Bringing an image onto a real board, or onto an emulated one behind the resident loader.

One file per method; `METHODS` lists them. Every method takes a `FlashJob` and returns a
`FlashResult`, or raises a `FlashError` or `LinkTimeout` that says how to recover.

| module | what it holds |
|---|---|
| `an3155`, `program`, `serial_loaders` | the resident loader, and the ROM of STM32 |
| `slots` | two applications behind the resident loader: updates and the way back |
| `samba` | Atmel's and Arduino's loaders over USB serial |
| `uf2`, `msd`, `drives` | boards that show up as a drive |
| `swd`, `external` | programs of others: pyocd, bossac, picotool, dfu-util, ... |
| `line`, `touch` | serial ports, and the 1200-baud touch that resets a board into its loader |
"""

from edgecomp.device.flash.external import PROGRAMS, flash_by_program
from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.device.flash.method import Method
from edgecomp.device.flash.msd import flash_by_msd
from edgecomp.device.flash.samba import flash_by_samba
from edgecomp.device.flash.serial_loaders import flash_by_loader, flash_by_rom
from edgecomp.device.flash.swd import flash_by_swd
from edgecomp.device.flash.uf2 import flash_by_uf2

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("loader", "edgecomp's resident loader over the console", "port", flash_by_loader),
        Method("an3155", "the ROM loader of STM32 over a UART (BOOT0)", "port", flash_by_rom),
        Method("samba", "SAM-BA over the board's USB port", "port", flash_by_samba),
        Method("uf2", "a file for the boot loader's drive", "nothing", flash_by_uf2),
        Method("msd", "a file for the debug probe's drive", "nothing", flash_by_msd),
        Method("swd", "a debug probe, by pyocd", "nothing", flash_by_swd),
        *(
            Method(name, f"the program {name}", "nothing", flash_by_program(name))
            for name in PROGRAMS
        ),
    )
}

__all__ = ["METHODS", "FlashJob", "FlashResult", "Method"]
