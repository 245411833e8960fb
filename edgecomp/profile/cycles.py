"""Modelled cycles: one row per core, from published instruction timings.

Memory never waits. docs/cycles.md has the sources, what the models leave out, and how far they
are from hardware.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from edgecomp.errors import UserError
from edgecomp.profile.decode import Operation
from edgecomp.profile.kinds import Kind
from edgecomp.profile.pipeline import Pipeline, Use
from edgecomp.profile.table import TimingTable


class Timing(Protocol):
    """What a profile asks of a core's timing model."""

    @property
    def title(self) -> str:
        """What the model is called in reports."""

    @property
    def source(self) -> str:
        """Where its numbers come from."""

    @property
    def rough(self) -> bool:
        """Whether it is a sketch that was never held against hardware."""

    def cycles(self, block: Sequence[Operation], start: int) -> tuple[int, int]:
        """Cycles of one run of a block that begins at address `start`.

        Returns:
            Cycles where the next block is the one behind it, and the cycles that a jump adds.
        """


_K = Kind
_PRODUCTS = (
    _K.MULTIPLY,
    _K.MULTIPLY_ADD,
    _K.LONG_MULTIPLY,
    _K.LONG_MULTIPLY_ADD,
    _K.DSP_MULTIPLY,
    _K.DSP_MULTIPLY_ADD,
)
_ARMV6M = {
    _K.LOAD: 2,
    _K.LOAD_NARROW: 2,
    _K.STORE: 2,
    _K.LOAD_WORDS: 1,
    _K.STORE_WORDS: 1,
}
_ARMV7M = {**_ARMV6M, _K.TABLE_BRANCH: 2, _K.DIVIDE: 7}

TIMINGS: dict[str, Timing] = {
    "cortex-m0": TimingTable(
        title="Cortex-M0",
        source="Cortex-M0 Technical Reference Manual r0p0 (DDI 0432C), table 3-1; "
        "multiplier of one cycle",
        cycles_of={**_ARMV6M, _K.SYSTEM: 4},
        pipelined_memory=False,
        jump=2,
        call=3,
        pop_pc=3,
    ),
    "cortex-m0plus": TimingTable(
        title="Cortex-M0+",
        source="Cortex-M0+ Technical Reference Manual r0p1 (DDI 0484C), table 3-1; "
        "multiplier of one cycle",
        cycles_of={**_ARMV6M, _K.SYSTEM: 3},
        pipelined_memory=False,
        jump=1,
        call=2,
        pop_pc=2,
    ),
    "cortex-m3": TimingTable(
        title="Cortex-M3",
        source="Cortex-M3 Technical Reference Manual r2p1 (DDI 0337I), table 3-1; "
        "the middle of ranges: P = 2, SMULL 4, SMLAL 6, SDIV 7",
        cycles_of={
            **_ARMV7M,
            _K.MULTIPLY_ADD: 2,
            _K.LONG_MULTIPLY: 4,
            _K.LONG_MULTIPLY_ADD: 6,
        },
        pipelined_memory=True,
        jump=2,
        call=2,
        pop_pc=2,
    ),
    "cortex-m4f": TimingTable(
        title="Cortex-M4",
        source="Cortex-M4 Technical Reference Manual r0p1 (DDI 0439D), tables 3-1 and 7-1; "
        "the middle of ranges: P = 2, SDIV 7",
        cycles_of={**_ARMV7M, _K.FLOAT_MULTIPLY_ADD: 3, _K.FLOAT_DIVIDE: 14},
        pipelined_memory=True,
        jump=2,
        call=2,
        pop_pc=2,
    ),
    "cortex-m33": Pipeline(
        title="Cortex-M33",
        source="Arm publishes no table; measurements of an RP2350 in the SLOTHY project "
        "(targets/arm_v7m/cortex_m33.py)",
        rough=False,
        width=1,
        units={"alu": 1},
        uses={
            _K.SHIFTED: Use(latency=2),
            **dict.fromkeys(_PRODUCTS, Use(latency=2)),
            _K.DSP: Use(latency=2),
            _K.DIVIDE: Use(latency=7, busy=7, alone=True),
            _K.LOAD: Use(latency=2),
            _K.LOAD_NARROW: Use(latency=2),
            _K.LOAD_WORDS: Use(latency=2, alone=True),
            _K.STORE_WORDS: Use(alone=True),
            _K.FLOAT: Use(latency=2),
            _K.FLOAT_MULTIPLY_ADD: Use(latency=3, busy=3),
            _K.FLOAT_DIVIDE: Use(latency=14, busy=14),
        },
        jump=2,
    ),
    "cortex-m7": Pipeline(
        title="Cortex-M7",
        source="Arm publishes no table; LLVM's scheduling model (ARMScheduleM7.td); "
        "every branch predicted",
        rough=True,
        width=2,
        units={"alu": 2, "shift": 1, "simd": 1, "mac": 1, "load": 2, "store": 1, "fpu": 1},
        uses={
            _K.SHIFT: Use("shift"),
            _K.SHIFTED: Use("shift", latency=2),
            **dict.fromkeys(_PRODUCTS, Use("mac", latency=2)),
            _K.DSP: Use("simd"),
            _K.DIVIDE: Use(latency=7, busy=7, alone=True),
            _K.LOAD: Use("load"),
            _K.LOAD_NARROW: Use("load", latency=2),
            _K.STORE: Use("store"),
            _K.LOAD_WORDS: Use("load", alone=True),
            _K.STORE_WORDS: Use("store", alone=True),
            _K.TABLE_BRANCH: Use("load", busy=2, alone=True),
            _K.SYSTEM: Use(latency=3, alone=True),
            _K.FLOAT: Use("fpu", latency=3),
            _K.FLOAT_MULTIPLY_ADD: Use("fpu", latency=6),
            _K.FLOAT_DIVIDE: Use("fpu", latency=16, busy=14),
        },
        words_per_cycle=2,
        address=1,
        jump=0,
    ),
}
_M55 = Pipeline(
    title="Cortex-M55",
    source="Arm publishes no table; LLVM's scheduling model (ARMScheduleM55.td): two beats per "
    "vector instruction, which overlap with those of other units",
    rough=True,
    width=2,
    units={"alu": 2, "vls": 1, "vint": 1, "vmul": 1, "vsys": 1},
    uses={
        _K.SHIFTED: Use(latency=2, alone=True),
        **dict.fromkeys(_PRODUCTS, Use(latency=2, alone=True)),
        _K.DSP: Use(latency=2, alone=True),
        _K.DIVIDE: Use(latency=7, busy=7, alone=True),
        _K.LOAD: Use(latency=2),
        _K.LOAD_NARROW: Use(latency=2),
        _K.LOAD_WORDS: Use(latency=2, alone=True),
        _K.STORE_WORDS: Use(alone=True),
        _K.VECTOR_LOAD: Use("vls", busy=2, alone=True),
        _K.VECTOR_STORE: Use("vls", busy=2, alone=True),
        _K.VECTOR_GATHER: Use("vls", latency=2, alone=True),
        _K.VECTOR_SCATTER: Use("vls", alone=True),
        _K.VECTOR_ALU: Use("vint", busy=2, alone=True),
        _K.VECTOR_MOVE: Use("vint", alone=True),
        _K.VECTOR_MULTIPLY: Use("vmul", latency=2, busy=2, alone=True),
        _K.VECTOR_REDUCE: Use("vmul", latency=3, busy=2, alone=True),
        _K.VECTOR_CONTROL: Use("vsys", alone=True),
        _K.FLOAT: Use("vmul", latency=2, alone=True),
        _K.FLOAT_MULTIPLY_ADD: Use("vmul", latency=4, alone=True),
        _K.FLOAT_DIVIDE: Use("vmul", latency=15, busy=13, alone=True),
    },
    pair_small=True,
    accumulate=2,
    jump=2,
)
TIMINGS |= {
    "cortex-m7-sp": TIMINGS["cortex-m7"],
    "cortex-m55": _M55,
    "cortex-m85": replace(_M55, title="Cortex-M55, standing in for the Cortex-M85"),
}


def timing_of(core: str) -> Timing:
    """Return the timing model of the core called `core`.

    Raises:
        UserError: there is none.

    >>> timing_of("cortex-m4f").rough
    False
    """
    if core not in TIMINGS:
        raise UserError(
            f"there is no timing model of {core!r}\n  there is one of {', '.join(TIMINGS)}"
        )
    return TIMINGS[core]
