"""The Cortex-M cores: compiler flags, features and the attributes that a linked image must carry.

A core is one row of `CORES`. Everything that depends on the core asks for a feature, never for a
name, so that a new row needs no other change.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from edgecomp.errors import UserError

ARCH_V6M = "v6S-M"
ARCH_V7M = "v7"
ARCH_V7EM = "v7E-M"
ARCH_V8M = "v8-M.mainline"
ARCH_V81M = "v8.1-M.mainline"

_BASIC_FRAME_BYTES = 32  # r0-r3, r12, lr, pc, xPSR: Armv7-M manual, B1.5.6
_FPU_FRAME_BYTES = 104  # and s0-s15, FPSCR, one reserved word: Armv7-M manual, B1.5.7


@dataclass(frozen=True)
class Core:
    """What the builder and the kernels need to know of one core.

    `architecture` is what `.ARM.attributes` of a linked image must say, in the words of
    `arm-none-eabi-readelf -A`; `exception_frame_bytes` is what one exception pushes at most,
    without the four bytes of alignment; `rough_timing` says that modelled cycles (docs/cycles.md)
    were never held against hardware.
    """

    name: str
    title: str
    architecture: str
    gcc_flags: tuple[str, ...]
    dsp: bool = False
    mve: bool = False
    fpu: str = ""  # "", "single" or "double"
    vtor: bool = True
    hardware_divide: bool = True
    unaligned_access: bool = True
    mpu: bool = True
    stack_limit_register: bool = False
    rough_timing: bool = False
    exception_frame_bytes: int = _BASIC_FRAME_BYTES

    @property
    def is_v6m(self) -> bool:
        """Whether the core executes Armv6-M only: Thumb-1 and a handful of wide instructions."""
        return self.architecture == ARCH_V6M


def _flags(cpu: str, fpu: str = "", tune: str = "") -> tuple[str, ...]:
    """Return gcc's flags for a `cpu`.

    Args:
        cpu: gcc's name of the core, as in -mcpu.
        fpu: empty, "auto" or one of gcc's -mfpu names.
        tune: the core whose order of instructions gcc takes, if it is another.  The M4's suits the
            M7 and M33 as well: no more instructions than there, and no more modelled cycles.
    """
    float_abi = ("-mfloat-abi=hard", f"-mfpu={fpu}") if fpu else ("-mfloat-abi=soft",)
    return (f"-mcpu={cpu}", "-mthumb", *float_abi, *((f"-mtune={tune}",) if tune else ()))


# The MPU is optional on most of these; the column says what the parts of boards.yaml have.
CORES: tuple[Core, ...] = (
    Core(
        name="cortex-m0",
        title="Cortex-M0",
        architecture=ARCH_V6M,
        gcc_flags=_flags("cortex-m0"),
        vtor=False,
        hardware_divide=False,
        unaligned_access=False,
        mpu=False,
    ),
    Core(
        name="cortex-m0plus",
        title="Cortex-M0+",
        architecture=ARCH_V6M,
        gcc_flags=_flags("cortex-m0plus"),
        hardware_divide=False,
        unaligned_access=False,
    ),
    Core(
        name="cortex-m3",
        title="Cortex-M3",
        architecture=ARCH_V7M,
        gcc_flags=_flags("cortex-m3"),
    ),
    Core(
        name="cortex-m4f",
        title="Cortex-M4F",
        architecture=ARCH_V7EM,
        gcc_flags=_flags("cortex-m4", "fpv4-sp-d16"),
        dsp=True,
        fpu="single",
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
    Core(
        name="cortex-m7",
        title="Cortex-M7",
        architecture=ARCH_V7EM,
        gcc_flags=_flags("cortex-m7", "fpv5-d16", "cortex-m4"),
        dsp=True,
        fpu="double",
        rough_timing=True,
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
    Core(
        name="cortex-m7-sp",
        title="Cortex-M7 with a single-precision FPU",
        architecture=ARCH_V7EM,
        gcc_flags=_flags("cortex-m7", "fpv5-sp-d16", "cortex-m4"),
        dsp=True,
        fpu="single",
        rough_timing=True,
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
    Core(
        name="cortex-m33",
        title="Cortex-M33",
        architecture=ARCH_V8M,
        gcc_flags=_flags("cortex-m33", "fpv5-sp-d16", "cortex-m4"),
        dsp=True,
        fpu="single",
        stack_limit_register=True,
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
    Core(
        name="cortex-m55",
        title="Cortex-M55",
        architecture=ARCH_V81M,
        gcc_flags=_flags("cortex-m55", "auto"),
        dsp=True,
        mve=True,
        fpu="double",
        stack_limit_register=True,
        rough_timing=True,
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
    # gcc 12 does not know the M85, whose instruction set holds all of the M55's.
    Core(
        name="cortex-m85",
        title="Cortex-M85 (built as Cortex-M55)",
        architecture=ARCH_V81M,
        gcc_flags=_flags("cortex-m55", "auto"),
        dsp=True,
        mve=True,
        fpu="double",
        stack_limit_register=True,
        rough_timing=True,
        exception_frame_bytes=_FPU_FRAME_BYTES,
    ),
)


def get_core(name: str) -> Core:
    """Return the core called `name`.

    Raises:
        UserError: there is none; the message lists the nearest names.

    >>> get_core("cortex-m4f").dsp
    True
    """
    names = [core.name for core in CORES]
    for core in CORES:
        if core.name == name:
            return core
    near = get_close_matches(name, names, n=3, cutoff=0.5) or names
    raise UserError(f"unknown core {name!r}; nearest: {', '.join(near)}")
