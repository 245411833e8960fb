"""What an emulated image leaves behind when an exception ends it: `fault.bin`.

The other side is `firmware/app/fault_semihosting.c`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

_RECORD = struct.Struct("<18I")
_MAGIC = 0x46434345

FAULT_KINDS = {
    90: "HardFault",
    91: "BusFault",
    92: "UsageFault",
    93: "MemManage fault",
    94: "stack overflow",
    95: "failed assertion",
}

# Armv7-M Architecture Reference Manual, B3.2.15; STKOF: Armv8-M, D1.2.254.
_CFSR_BITS = {
    0: "instruction fetch forbidden by the MPU (IACCVIOL)",
    1: "data access forbidden by the MPU (DACCVIOL)",
    8: "instruction fetch from where nothing is (IBUSERR)",
    9: "access to where nothing is (PRECISERR)",
    10: "write to where nothing is, noticed late (IMPRECISERR)",
    12: "the stack ran out of its RAM (STKERR)",
    16: "undefined instruction (UNDEFINSTR)",
    17: "jump to an address without the Thumb bit (INVSTATE)",
    18: "invalid exception return (INVPC)",
    19: "coprocessor or FPU switched off (NOCP)",
    20: "the stack went below its limit (STKOF)",
    24: "unaligned access (UNALIGNED)",
    25: "division by zero (DIVBYZERO)",
}
_MMFAR_VALID = 1 << 7
_BFAR_VALID = 1 << 15


@dataclass(frozen=True)
class Fault:
    """One exception: its exit code and number, the fault registers, and the stacked frame.

    `frame` is (r0, r1, r2, r3, r12, lr, pc, xpsr), or empty where the stack was unusable.
    """

    code: int
    exception: int
    sp: int
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int
    frame: tuple[int, ...]

    def describe(self, symbol_at: Callable[[int], str]) -> str:
        """Return kind, reasons, program counter and registers; `symbol_at` names addresses."""
        reasons = [text for bit, text in _CFSR_BITS.items() if self.cfsr >> bit & 1]
        lines = [FAULT_KINDS.get(self.code, f"exception {self.exception}")]
        if reasons:
            lines[0] += ": " + ", ".join(reasons)
        if self.cfsr & _BFAR_VALID:
            lines.append(f"address {self.bfar:#010x} (BFAR)")
        if self.cfsr & _MMFAR_VALID:
            lines.append(f"address {self.mmfar:#010x} (MMFAR)")
        if self.frame:
            for name, value in (("PC", self.frame[6]), ("LR", self.frame[5])):
                where = symbol_at(value & ~1)
                lines.append(f"{name} {value:#010x}" + (f" in {where}" if where else ""))
            lines.append(f"xPSR {self.frame[7]:#010x}")
        lines.append(
            f"SP {self.sp:#010x}  CFSR {self.cfsr:#010x}  HFSR {self.hfsr:#010x}  "
            f"MMFAR {self.mmfar:#010x}  BFAR {self.bfar:#010x}"
        )
        return "\n  ".join(lines)


def decode_fault(record: bytes) -> Fault | None:
    """Return the fault that `record` holds, or None if it holds none."""
    if len(record) != _RECORD.size:
        return None
    magic, code, exception, sp, _, cfsr, hfsr, mmfar, bfar, whole, *frame = _RECORD.unpack(record)
    if magic != _MAGIC:
        return None
    return Fault(code, exception, sp, cfsr, hfsr, mmfar, bfar, tuple(frame) if whole else ())
