"""The stack bound on functions whose stack is known by hand, and on those it must refuse."""

from pathlib import Path

import pytest

from edgecomp.build.toolchain import run_tool
from edgecomp.errors import InternalError
from edgecomp.plan.stack import stack_bound
from edgecomp.targets.cores import get_core

M4, M0 = get_core("cortex-m4f"), get_core("cortex-m0")

HEAD = """
.syntax unified
.thumb
.macro function name
    .global \\name
    .type \\name, %function
    .thumb_func
\\name:
.endm
"""


def link(tmp_path: Path, source: str, core, suffix: str = ".S", *flags: str) -> Path:
    (tmp_path / f"code{suffix}").write_text((HEAD if suffix == ".S" else "") + source)
    run_tool(
        [
            "arm-none-eabi-gcc",
            *core.gcc_flags,
            *flags,
            "-nostdlib",
            "-Wl,-eReset_Handler",
            f"code{suffix}",
            "-lgcc",
            "-o",
            "code.elf",
        ],
        tmp_path,
    )
    return tmp_path / "code.elf"


def bytes_of(tmp_path, source, core=M4, suffix=".S", *flags):
    elf = link(tmp_path, source, core, suffix, *flags)
    return stack_bound(elf, core).without_exception_bytes


def refusal(tmp_path, source, core=M4, suffix=".S", *flags):
    with pytest.raises(InternalError) as caught:
        bytes_of(tmp_path, source, core, suffix, *flags)
    return str(caught.value)


def test_pushes_calls_and_tail_calls_add_up(tmp_path):
    source = """
    function Reset_Handler
        push {r4, lr}
        bl middle
        pop {r4, pc}
    function middle
        push {r4-r7, lr}
        sub sp, #12
        vpush {d8-d9}
        bl leaf
        vpop {d8-d9}
        add sp, #12
        pop {r4-r7, lr}
        b.w after
    function leaf
        str lr, [sp, #-8]!
        ldr pc, [sp], #8
    function after
        stmdb sp!, {r4-r11, lr}
        ldmia.w sp!, {r4-r11, pc}
    """
    elf = link(tmp_path, source, M4)
    bound = stack_bound(elf, M4)
    assert bound.path == (("Reset_Handler", 8), ("middle", 48), ("leaf", 8))
    assert bound.without_exception_bytes == 64
    assert bound.total_bytes == 64 + 104 + 4 + 4  # one exception, rounded up to eight


def test_multiple_transfers_without_write_back_leave_the_stack_alone(tmp_path):
    source = """
    function Reset_Handler
        sub sp, #32
        vstmia sp, {d0-d3}
        stmia sp, {r0-r3}
        ldmia sp, {r4-r7}
        vldmia sp, {d4-d7}
        add sp, #32
    1:  b 1b
    """
    assert bytes_of(tmp_path, source) == 32


def test_what_is_stored_below_the_return_address_leaves_it_known(tmp_path):
    source = """
    function Reset_Handler
        bl middle
    1:  b 1b
    function middle
        push {r4, lr}
        sub sp, #16
        stmia.w sp, {r0-r2}
        add sp, #16
        pop {r4, pc}
    """
    assert bytes_of(tmp_path, source) == 24


def test_branches_that_return_in_it_blocks_and_loops(tmp_path):
    source = """
    function Reset_Handler
        push {r4, lr}
        cmp r0, #0
        it eq
        popeq {r4, pc}
    1:  sub sp, #40
        add sp, #40
        subs r0, #1
        bne 1b
        cbz r1, 2f
        push {r0-r3}
        add sp, sp, #16
    2:  pop {r4, pc}
    """
    assert bytes_of(tmp_path, source) == 8 + 40


def test_armv6m_frames_from_literals_and_returns_through_low_registers(tmp_path):
    source = """
    function Reset_Handler
        push {r4, r5, lr}
        ldr r4, =-1024
        add sp, r4
        bl leaf
        movs r3, #128
        lsls r3, r3, #3
        add sp, r3
        pop {r4, r5}
        pop {r3}
        bx r3
    function leaf
        push {r0-r3}
        mov r0, sp
        add sp, #16
        bx lr
    .ltorg
    """
    assert bytes_of(tmp_path, source, M0) == 12 + 1024 + 16


def test_frame_pointers_and_aligned_frames(tmp_path):
    source = """
    function Reset_Handler
        push {r4, r7, lr}
        mov r7, sp
        sub.w r4, sp, #64
        bic r4, r4, #31
        mov sp, r4
        mov sp, r7
        pop {r4, r7, pc}
    """
    assert bytes_of(tmp_path, source) == 12 + 64 + 31


def test_code_behind_a_call_that_never_returns_does_not_count(tmp_path):
    source = """
    function Reset_Handler
        push {r4, lr}
        bl stop
    function never
        sub sp, #400
        add sp, #400
        bx lr
    function stop
        b .
    """
    assert bytes_of(tmp_path, source) == 8


SWITCH = """
int one(int); int two(int); int three(int); int volatile x;
#define F(name, n) \\
    __attribute__((noinline)) int name(int a) { volatile char b[n]; b[a] = 1; return b[a]; }
F(one, 8) F(two, 200) F(three, 24)
void Reset_Handler(void) {
    switch (x) {
    case 0: x = one(1); break; case 1: x = two(1); break; case 2: x = three(1); break;
    case 3: x = one(2) + 1; break; case 4: x = three(5) + two(3); break;
    case 5: x = two(7) - 3; break;
    case 6: x = 9; break; case 7: x = 11 + one(7); break; default: x = 3;
    }
}
"""


@pytest.mark.parametrize("level", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m4f", "cortex-m55"])
def test_switches_through_jump_tables(tmp_path, name, level):
    core = get_core(name)
    elf = link(tmp_path, SWITCH, core, ".c", level)
    bound = stack_bound(elf, core)
    assert 200 <= bound.without_exception_bytes <= 232
    assert bound.path[-1][0] == "two"


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m3", "cortex-m7", "cortex-m33"])
def test_libgcc_is_followed(tmp_path, name):
    source = """
    long long volatile x; float volatile f; double volatile d; int volatile i;
    void Reset_Handler(void) { x = x / 7 * x; f = f * 2.5f; d = d / 3; i = i / (int)x; }
    void __aeabi_idiv0(void) {} void __aeabi_ldiv0(void) {} void abort(void) { for (;;) {} }
    void raise(void) {} void __aeabi_unwind_cpp_pr0(void) {}
    """
    core = get_core(name)
    assert 16 <= bytes_of(tmp_path, source, core, ".c", "-O2") <= 400


def test_recursion_is_refused_with_its_ring(tmp_path):
    source = """
    function Reset_Handler
        push {r4, lr}
        bl ping
        pop {r4, pc}
    function ping
        push {r4, lr}
        bl pong
        pop {r4, pc}
    function pong
        push {r4, lr}
        bl ping
        pop {r4, pc}
    """
    assert "recursion" in refusal(tmp_path, source)
    assert "ping -> pong -> ping" in refusal(tmp_path, source)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("push {lr}\n blx r0\n pop {pc}", "indirect call"),
        ("bx r0", "indirect call or jump"),
        ("ldr pc, [r0]", "target is not known"),
        ("sub sp, r0\n add sp, r0\n bx lr", "becomes something that is not known"),
        ("mov sp, r0\n bx lr", "becomes something that is not known"),
        ("push {r4, lr}\n bx lr", "a return with 8 bytes left on the stack"),
        ("cbz r0, 1f\n push {r1}\n1: nop\n b .", "the stack is"),
        ("push {lr}\n bl Reset_Handler\n pop {pc}", "recursion"),
        ("tbb [pc, r0]\n .byte 1, 2", "without a compare"),
        ("it eq\n pusheq {r0}\n bx lr", "a conditional instruction moves the stack pointer"),
        ("nop\n .word 0", "where there is no code"),
    ],
)
def test_what_cannot_be_known_is_refused(tmp_path, body, expected):
    assert expected in refusal(tmp_path, f"function Reset_Handler\n {body}\n")


def test_unknown_root(tmp_path):
    elf = link(tmp_path, "function Reset_Handler\n bx lr\n", M4)
    with pytest.raises(InternalError, match="no function 'main'"):
        stack_bound(elf, M4, roots=("main",))
