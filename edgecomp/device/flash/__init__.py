"""Bringing an image onto a real board, or onto an emulated one behind the resident loader.

One file per method; `METHODS` lists them. Every method takes a `FlashJob` and returns a
`FlashResult`, or raises a `FlashError` or `LinkTimeout` that says how to recover.

| module | what it holds |
|---|---|
| `an3155`, `program`, `serial_loaders` | the resident loader, and the ROM of STM32 |
| `samba` | Atmel's and Arduino's loaders over USB serial |
| `uf2`, `msd` | boards that show up as a drive |
| `swd`, `external` | programs of others: pyocd, bossac, picotool, dfu-util, ... |
| `line`, `touch` | serial ports, and the 1200-baud touch that resets a board into its loader |
"""

from edgecomp.device.flash.job import FlashJob, FlashResult
from edgecomp.device.flash.method import Method
from edgecomp.device.flash.serial_loaders import flash_by_loader, flash_by_rom

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("loader", "edgecomp's resident loader over the console", "port", flash_by_loader),
        Method("rom", "the ROM loader of STM32 over a UART (BOOT0)", "port", flash_by_rom),
    )
}

__all__ = ["METHODS", "FlashJob", "FlashResult", "Method"]
