"""Instructions as objdump reads them, and those that it does not."""

import subprocess

import pytest

from edgecomp.build import disassemble


@pytest.fixture
def program(tmp_path):
    def build(cpu, body):
        (tmp_path / "f.s").write_text(
            ".syntax unified\n.thumb\n.global f\n.type f, %function\nf:\n" + body
        )
        subprocess.run(
            ["arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", "-nostdlib", "-Wl,-e,f", "f.s", "-o",
             "f.elf"],
            cwd=tmp_path, check=True,
        )  # fmt: skip
        found = disassemble(tmp_path / "f.elf")
        start = found.addr_of("f")
        assert start is not None
        return [found.instructions[addr] for addr in sorted(found.instructions) if addr >= start]

    return build


def test_conditional_selects_are_read(program):
    body = "cinc r0, r1, ge\ncset r9, eq\ncsneg r10, r1, r2, lt\ncsel r3, r4, r5, gt\nbx lr\n"
    found = program("cortex-m55", body)
    assert [at.size for at in found] == [4, 4, 4, 4, 2]
    assert [at.operands.split(",")[0] for at in found] == ["r0", "r9", "sl", "r3", "lr"]
    assert [at.next_addr for at in found[:-1]] == [at.addr for at in found[1:]]


def test_instructions_in_an_it_block_lose_their_condition(program):
    found = program("cortex-m4", "cmp r0, #0\nitt lt\nmovlt r1, #0\naddlt r2, r2, #1\nbx lr\n")
    assert [at.name for at in found] == ["cmp", "itt", "mov", "add", "bx"]
    assert [at.conditional for at in found] == [False, False, True, True, False]


def test_register_lists_are_written_out(program):
    found = program("cortex-m4", "push {r4-r6, lr}\npop {r4-r6, pc}\n")
    assert found[0].register_list == ("r4", "r5", "r6", "lr")
    assert found[1].register_list == ("r4", "r5", "r6", "pc")
