"""Timing models on sequences whose cycles the cores' manuals give, and decoding."""

import pytest

from edgecomp.build import Instruction
from edgecomp.errors import UserError
from edgecomp.profile.cycles import TIMINGS, timing_of
from edgecomp.profile.decode import Operation, decode
from edgecomp.profile.kinds import CLASSES, Kind
from edgecomp.targets.cores import CORES

START = 0x100


def operations(text: str, target: int = -1) -> list[Operation]:
    """Decode lines of assembly as objdump writes it; `target` is where the last one goes."""
    lines = [line.strip() for line in text.strip().splitlines()]
    decoded = []
    for index, line in enumerate(lines):
        name, _, rest = line.partition(" ")
        size = 4 if name.endswith(".w") or name.startswith(("v", "le", "dls")) else 2
        to = target if index == len(lines) - 1 else -1
        at = Instruction(START + 2 * index, size, name.removesuffix(".w"), rest, to)
        decoded.append(decode(at))
    return decoded


def cycles(core: str, text: str, *, loops: bool = False) -> tuple[int, int]:
    target = START if loops else -1
    return timing_of(core).cycles(operations(text, target), START)


LOADS = "ldr r0, [r1, #0]\nldr r2, [r3, #0]"

# Armv6-M: DDI 0432C and DDI 0484C, table 3-1. Armv7-M: DDI 0337I and DDI 0439D, 3.3.1 and 3.3.2.
MANUALS = [
    ("cortex-m0", "adds r0, r1, r2", (1, 2)),
    ("cortex-m0", "muls r0, r1", (1, 2)),
    ("cortex-m0", LOADS, (4, 2)),
    ("cortex-m0", "ldmia r0!, {r1, r2, r3}", (4, 3)),
    ("cortex-m0", "push {r4, r5, lr}", (4, 3 - 1)),
    ("cortex-m0", "pop {r4, pc}", (3, 3)),  # 4 + N
    ("cortex-m0", "b 110 <x>", (1, 2)),  # 3
    ("cortex-m0", "bl 200 <x>", (1, 3)),  # 4
    ("cortex-m0", "bx lr", (1, 2)),  # 3
    ("cortex-m0", "mov pc, r3", (1, 2)),  # 3
    ("cortex-m0", "dmb sy", (4, 2)),
    ("cortex-m0plus", "b 110 <x>", (1, 1)),  # 2
    ("cortex-m0plus", "bl 200 <x>", (1, 2)),  # 3
    ("cortex-m0plus", "bx lr", (1, 1)),  # 2
    ("cortex-m0plus", "pop {r4, pc}", (3, 2)),  # 3 + N
    ("cortex-m0plus", "dmb sy", (3, 1)),
    ("cortex-m3", LOADS, (3, 2)),
    ("cortex-m3", "ldr r0, [r1, r2]\nstr r0, [r3, #20]", (3, 2)),
    ("cortex-m3", "ldr r0, [r1, r5]\nldr r1, [r2, #0]\nldr r2, [r3, #4]", (4, 2)),
    ("cortex-m3", "ldrd r0, r1, [r2, #0]", (3, 2)),
    ("cortex-m3", "ldr r0, [r1, #0]\nldrd r2, r3, [r4, #0]", (5, 2)),
    ("cortex-m3", "ldmia r0!, {r1, r2, r3}", (4, 2)),
    ("cortex-m3", "mla r0, r1, r2, r3", (2, 2)),
    ("cortex-m3", "smull r0, r1, r2, r3", (4, 2)),
    ("cortex-m3", "smlal r0, r1, r2, r3", (6, 2)),
    ("cortex-m4f", LOADS, (3, 2)),
    ("cortex-m4f", "ldr r0, [r1, #0]\nadds r4, #1\nldr r2, [r3, #0]", (5, 2)),
    ("cortex-m4f", "mla r0, r1, r2, r3", (1, 2)),
    ("cortex-m4f", "smlal r0, r1, r2, r3", (1, 2)),
    ("cortex-m4f", "smlad r0, r1, r2, r0", (1, 2)),
    ("cortex-m4f", "smmlar r0, r1, r2, r3", (1, 2)),
    ("cortex-m4f", "sxtb16 r0, r1, ror #8", (1, 2)),
    ("cortex-m4f", "ssat r0, #8, r1", (1, 2)),
    ("cortex-m4f", "sdiv r0, r1, r2", (7, 2)),
    ("cortex-m4f", "tbb [pc, r3]", (2, 2)),
    ("cortex-m4f", "pop {r4, r5, pc}", (4, 2)),
    ("cortex-m4f", "vldr s0, [r0, #4]", (2, 2)),
    ("cortex-m4f", "vldr d0, [r0, #4]", (3, 2)),
    ("cortex-m4f", "vpush {d8-d10}", (7, 2)),
    ("cortex-m4f", "vmla.f32 s0, s1, s2", (3, 2)),
    ("cortex-m4f", "vdiv.f32 s0, s1, s2", (14, 2)),
    ("cortex-m4f", "vadd.f32 s0, s1, s2", (1, 2)),
]


@pytest.mark.parametrize(("core", "text", "expected"), MANUALS)
def test_table_gives_the_manuals_cycles(core, text, expected):
    assert cycles(core, text) == expected


# Measured on an RP2350 (SLOTHY, targets/arm_v7m/cortex_m33.py), as latencies and throughputs.
M33 = [
    ("adds r0, r0, r1\nadds r0, r0, r1", (2, 2)),  # results can be used at once
    ("ldr r0, [r1, #0]\nadds r2, r3, r4", (2, 2)),
    ("ldr r0, [r1, #0]\nadds r2, r0, r4", (3, 2)),  # a load's result a cycle later
    ("ldr r0, [r1, #0]\nldr r2, [r3, #0]", (2, 2)),
    ("muls r0, r1, r0\nadds r2, r0, r3", (3, 2)),
    ("smlad r0, r1, r2, r0\nsmlad r0, r3, r4, r0", (2, 2)),  # accumulators are read late
    ("smlad r0, r1, r2, r0\nsmlad r5, r0, r4, r5", (3, 2)),
    ("eor.w r0, r1, r2, ror #3\nadds r0, r0, r3", (3, 2)),
    ("eor.w r0, r1, r2, lsl #3\nadds r0, r0, r3", (2, 2)),
    ("ldrd r0, r1, [r2, #0]\nadds r3, r4, r5", (3, 2)),
]


@pytest.mark.parametrize(("text", "expected"), M33)
def test_m33_gives_what_was_measured(text, expected):
    assert cycles("cortex-m33", text) == expected


def test_m7_starts_two_independent_instructions_at_once():
    assert cycles("cortex-m7", "adds r0, r0, r1\nadds r2, r2, r3")[0] == 1
    assert cycles("cortex-m7", "adds r0, r0, r1\nadds r0, r0, r3")[0] == 2
    assert cycles("cortex-m7", "adds r0, r0, #1\nadds r1, r1, #1\nadds r2, r2, #1")[0] == 2
    # one multiplier
    assert cycles("cortex-m7", "smlad r0, r1, r2, r0\nsmlad r3, r4, r5, r3")[0] == 2
    # two words at once
    assert cycles("cortex-m7", "ldmia r0!, {r1, r2, r3, r4}")[0] == 2
    # an address must be there a cycle early, but a base register moves at once
    assert cycles("cortex-m7", "adds r1, r1, r2\nldr r0, [r1, #0]")[0] == 3
    assert cycles("cortex-m7", "ldr.w r0, [r1], #4\nldr.w r2, [r1], #4")[0] == 1


def test_m7_loop_ends_without_a_cycle_for_its_branch():
    loop = "ldr.w r0, [r1], #4\nsmlad r2, r0, r3, r2\nsubs r4, #1\nbne 100 <x>"
    assert cycles("cortex-m7", loop, loops=True) == (3, 0)
    narrow = loop.replace("ldr.w", "ldrsh.w")  # a cycle later than a word
    assert cycles("cortex-m7", narrow, loops=True) == (4, 0)


def test_loops_settle_to_the_cycles_of_a_turn():
    text = "vmul.i8 q0, q1, q2\nle lr, 100 <x>"
    assert cycles("cortex-m55", text)[0] == 1  # the second beat overlaps with what follows,
    assert cycles("cortex-m55", text, loops=True)[0] == 2  # which needs the same unit


def test_m55_overlaps_beats_of_different_units_only():
    one = "vldrb.8 q0, [r0]"
    assert cycles("cortex-m55", f"{one}\nvadd.i8 q1, q2, q3\nvmul.i8 q4, q5, q6")[0] == 3
    assert cycles("cortex-m55", f"{one}\nvldrb.8 q1, [r1]\nvldrb.8 q2, [r2]")[0] == 5
    gather = "vldrb.u8 q0, [r0, q1]"
    assert cycles("cortex-m55", f"{gather}\n{gather}")[0] == 17


def test_m55_hardware_loop_end_takes_no_time():
    loop = "vldrb.8 q0, [r0], #16\nvmladava.s8 r2, q0, q1\nle lr, 100 <x>"
    assert cycles("cortex-m55", loop, loops=True) == (2, 0)


def test_m55_pairs_small_instructions_if_one_is_simple():
    assert cycles("cortex-m55", "ldr r0, [r1, #0]\nadds r2, #1")[0] == 1
    assert cycles("cortex-m55", "ldr.w r0, [r1, #0]\nadds r2, #1")[0] == 2
    assert cycles("cortex-m55", "lsls r0, r1, #1\nlsls r2, r3, #1")[0] == 2


KINDS = [
    ("ldrsb.w r3, [r1], #1", Kind.LOAD_NARROW, "load", {"r1"}, {"r1", "r3"}),
    ("ldr.w r3, [r1, r2, lsl #2]", Kind.LOAD, "load", {"r1", "r2"}, {"r3"}),
    ("strb.w r3, [r1, r2]", Kind.STORE, "store", {"r1", "r2", "r3"}, set()),
    ("stmdb sp!, {r4, r5, lr}", Kind.STORE_WORDS, "store", {"sp", "r4", "r5", "lr"}, {"sp"}),
    ("pop {r4, pc}", Kind.LOAD_WORDS, "load", {"sp"}, {"sp", "r4", "pc"}),
    ("muls r0, r1", Kind.MULTIPLY, "multiply", {"r0", "r1"}, {"r0"}),
    ("mla r0, r1, r2, r3", Kind.MULTIPLY_ADD, "multiply", {"r1", "r2", "r3"}, {"r0"}),
    ("smlal r0, r1, r2, r3", Kind.LONG_MULTIPLY_ADD, "multiply", {"r0", "r1", "r2", "r3"},
     {"r0", "r1"}),
    ("smlabb r0, r1, r2, r3", Kind.DSP_MULTIPLY_ADD, "dsp", {"r1", "r2", "r3"}, {"r0"}),
    ("smmulr r0, r1, r2", Kind.DSP_MULTIPLY, "dsp", {"r1", "r2"}, {"r0"}),
    ("sxtab16 r0, r1, r2", Kind.DSP, "dsp", {"r1", "r2"}, {"r0"}),
    ("ssat r0, #8, r1", Kind.DSP, "dsp", {"r1"}, {"r0"}),
    ("sxtb r0, r1", Kind.ALU, "other", {"r1"}, {"r0"}),
    ("cmp r0, r1", Kind.ALU, "other", {"r0", "r1"}, set()),
    ("bne 104 <x>", Kind.BRANCH, "branch", set(), set()),
    ("cbz r3, 104 <x>", Kind.BRANCH, "branch", {"r3"}, set()),
    ("bl 104 <add_r0_r1>", Kind.CALL, "branch", set(), set()),
    ("le lr, 100 <x>", Kind.LOOP_END, "branch", {"lr"}, set()),
    ("dlstp.8 lr, r3", Kind.LOOP_START, "branch", {"r3"}, {"lr"}),
    ("vldrb.8 q0, [r0], #16", Kind.VECTOR_LOAD, "mve", {"r0"}, {"r0", "q0"}),
    ("vldrh.u16 q0, [r0, q1]", Kind.VECTOR_GATHER, "mve", {"r0", "q1"}, {"q0"}),
    ("vstrw.32 q0, [r0]", Kind.VECTOR_STORE, "mve", {"q0", "r0"}, set()),
    ("vmladava.s8 r2, q0, q1", Kind.VECTOR_REDUCE, "mve", {"r2", "q0", "q1"}, {"r2"}),
    ("vmlava.s8 r2, q0, q1", Kind.VECTOR_REDUCE, "mve", {"r2", "q0", "q1"}, {"r2"}),
    ("vqrdmlash.s32 q0, q1, r2", Kind.VECTOR_MULTIPLY, "mve", {"q0", "q1", "r2"}, {"q0"}),
    ("vmov q0[2], q0[0], r1, r2", Kind.VECTOR_MOVE, "mve", None, None),
    ("vctp.8 r3", Kind.VECTOR_CONTROL, "mve", {"r3"}, set()),
    ("vldr s0, [r0, #4]", Kind.LOAD, "load", {"r0"}, {"s0"}),
    ("vmul.f32 s0, s1, s2", Kind.FLOAT, "float", {"s1", "s2"}, {"s0"}),
    ("sdiv r0, r1, r2", Kind.DIVIDE, "other", {"r1", "r2"}, {"r0"}),
    ("mrs r0, CONTROL", Kind.SYSTEM, "other", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "category", "reads", "writes"), KINDS)
def test_decoding(text, kind, category, reads, writes):
    (operation,) = operations(text)
    assert operation.kind is kind
    assert operation.category == category
    assert category in CLASSES
    if reads is not None:
        assert set(operation.reads) == reads
        assert set(operation.writes) == writes


def test_every_core_has_a_timing_model_that_names_its_source():
    assert set(TIMINGS) == {core.name for core in CORES}
    for name, timing in TIMINGS.items():
        assert timing.source, name
    assert {name for name, timing in TIMINGS.items() if not timing.rough} == {
        *("cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m33")
    }
    assert all(core.rough_timing == TIMINGS[core.name].rough for core in CORES)
    with pytest.raises(UserError, match=r"cortex-m99.*\n.*cortex-m4f"):
        timing_of("cortex-m99")
