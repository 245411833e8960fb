"""From counted blocks to costs, on a program small enough to count on paper."""

import pytest

from edgecomp.build import Instruction, Program
from edgecomp.errors import InternalError
from edgecomp.profile.attribute import Attributor, Cost
from edgecomp.profile.blocks import basic_blocks
from edgecomp.profile.chart import profile_page
from edgecomp.profile.counts import Block, Runs
from edgecomp.profile.cycles import timing_of
from edgecomp.profile.text import summary

CODE = [
    (0x40, 2, "movs", "r0, #0", -1),
    (0x42, 4, "ldr", "r1, [r2], #4", -1),  # the loop: 4 instructions, 2 + 1 + 1 + 1 cycles
    (0x46, 4, "smlad", "r0, r1, r3, r0", -1),
    (0x4A, 2, "subs", "r4, #1", -1),
    (0x4C, 2, "bne", "42 <f+0x2>", 0x42),
    (0x4E, 2, "bx", "lr", -1),
    (0x60, 2, "str", "r0, [r1, #0]", -1),
    (0x62, 2, "bx", "lr", -1),
]
PROGRAM = Program(
    {row[0]: Instruction(*row) for row in CODE}, {0x40: "f", 0x60: "g"}, ((0x40, bytes(64)),)
)
# f with 10 turns: the first one belongs to the block of the entry.
F = {
    Block(0x40, 0x4E): Runs(1, 1),
    Block(0x42, 0x4E): Runs(9, 8),
    Block(0x4E, 0x50): Runs(1, 1),
}
G = {Block(0x60, 0x64): Runs(3, 3)}


def attributor(core: str = "cortex-m4f") -> Attributor:
    return Attributor(PROGRAM, timing_of(core))


def test_qemus_blocks_become_the_programs_own():
    assert basic_blocks(F, PROGRAM) == {
        Block(0x40, 0x42): Runs(1, 0),
        Block(0x42, 0x4E): Runs(10, 9),
        Block(0x4E, 0x50): Runs(1, 1),
    }


def test_it_does_not_matter_where_qemu_ends_its_blocks():
    parted = {
        Block(0x40, 0x46): Runs(1, 0),
        Block(0x46, 0x4E): Runs(10, 9),
        Block(0x42, 0x46): Runs(9, 0),
        Block(0x4E, 0x50): Runs(1, 1),
    }
    assert basic_blocks(parted, PROGRAM) == basic_blocks(F, PROGRAM)


def test_a_branch_that_is_never_taken_ends_no_block():
    straight = {Block(0x40, 0x4E): Runs(3, 0), Block(0x4E, 0x50): Runs(3, 3)}
    assert basic_blocks(straight, PROGRAM) == {Block(0x40, 0x50): Runs(3, 3)}


def test_instructions_and_cycles_add_up():
    costs = attributor().costs([F, G])
    f = Cost(1 + 10 * 4 + 1, 1 + 10 * 5 + 9 * 2 + (1 + 2))
    g = Cost(3 * 2, 3 * (2 + 1 + 2))
    assert [(function.name, function.cost) for function in costs.functions] == [("f", f), ("g", g)]
    assert costs.total == f + g
    assert costs.classes == {"load": 10, "store": 3, "dsp": 10, "branch": 14, "other": 11}
    assert sum(costs.classes.values()) == costs.total.instructions


def test_sections_can_be_taken_together_or_apart():
    both = attributor().costs([F, G]).total
    assert attributor().costs([F]).total + attributor().costs([G]).total == both
    assert attributor().costs([F, F]).total == Cost(2 * 42, 2 * 72)


def test_cores_differ_in_cycles_alone():
    m4, m0 = attributor().costs([G]), attributor("cortex-m0").costs([G])
    assert m0.total.instructions == m4.total.instructions
    assert attributor("cortex-m0plus").costs([G]).total == Cost(6, 3 * (2 + 1 + 1))


def test_code_that_the_image_has_not_is_refused():
    with pytest.raises(InternalError, match="0x70 was executed"):
        attributor().costs([{Block(0x70, 0x74): Runs(1, 0)}])


PROFILE = {
    "board": "nucleo_f767zi",
    "emulated_board": "mps2-an500",
    "model": "<kws>",
    "sample": "random codes",
    "instructions": 48,
    "modelled_cycles": 87,
    "modelled_ms": 0.00348,
    "clock_hz": 25_000_000,
    "boot": {"instructions": 1200, "modelled_cycles": 1500, "modelled_ms": 0.06},
    "macs": 10,
    "timing": {"model": "Cortex-M7", "source": "a source", "rough": True},
    "counted": {"method": "log", "note": "no C compiler [here]", "layers": "stages"},
    "classes": {"load": 12, "other": 36},
    "layers": [
        {
            "name": "/a&b/Conv", "ops": ["conv2d"], "kernel": "k", "storage": None, "macs": 10,
            "instructions": 42, "modelled_cycles": 72, "modelled_ms": 0.00288,
            "classes": {"load": 12, "other": 30},
        }
    ],
    "functions": [{"name": "f", "instructions": 42, "modelled_cycles": 72}],
}  # fmt: skip


def test_text_says_that_cycles_are_modelled_and_how_they_were_counted():
    text = summary(PROFILE)
    assert "modelled, not measured" in text
    assert "ROUGH" in text
    assert "no C compiler" in text
    assert "each run by itself" in text
    assert "counted   on mps2-an500" in text
    assert "boot      1,200 instructions, 1,500 cycles modelled, 0.060 ms" in text
    assert "boot " not in summary({**PROFILE, "boot": None})


def test_page_is_whole_and_escapes_names():
    page = profile_page(PROFILE)
    assert "&lt;kws&gt; on nucleo_f767zi" in page
    assert "/a&amp;b/Conv" in page
    assert "rough sketch" in page
    for outside in ("http://", "https://", "<script", "<link", "<img", "src="):
        assert outside not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    # the bar's parts are shares of its length: 12 of 42 instructions are loads
    assert 'width="160.00"' in page
    assert 'width="400.00"' in page
