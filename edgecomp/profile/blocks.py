"""Counts by the program's own blocks instead of QEMU's.

QEMU's blocks overlap (a loop's first turn belongs to the block before it), and where they end
depends on its version and options. A timing model needs what a compiler calls basic blocks: code
that is entered only at its start and left only at its end.
"""

from collections import Counter

from edgecomp.build import Instruction, Program
from edgecomp.errors import InternalError
from edgecomp.profile.counts import Block, Runs, Section


def basic_blocks(section: Section, program: Program) -> Section:
    """Return the same counts by blocks that do not overlap and are as long as can be.

    Raises:
        InternalError: something was executed that is no code of the image.
    """
    executions: Counter[int] = Counter()
    jumps: Counter[int] = Counter()  # by the instruction that jumped
    arrivals: Counter[int] = Counter()  # by jumps, at addresses where blocks of QEMU's begin
    for block, runs in section.items():
        instructions = instructions_of(block, program)
        for at in instructions:
            executions[at.addr] += runs.executions
        jumps[instructions[-1].addr] += runs.jumps
        arrivals[block.start] += runs.executions
        arrivals[block.end] -= runs.executions - runs.jumps
    found: Section = {}
    start = -1
    addrs = sorted(executions)
    for addr, following in zip(addrs, [*addrs[1:], -1], strict=True):
        start = addr if start < 0 else start
        end = program.instructions[addr].next_addr
        if following != end or arrivals[following] > 0 or jumps[addr]:
            found[Block(start, end)] = Runs(executions[addr], jumps[addr])
            start = -1
    return found


def instructions_of(block: Block, program: Program) -> list[Instruction]:
    """Return the instructions of a block.

    Raises:
        InternalError: it is no code of the image.
    """
    found = []
    addr = block.start
    while addr < block.end:
        at = program.instructions.get(addr)
        if at is None:
            raise InternalError(f"{addr:#x} was executed but is no code of the image")
        found.append(at)
        addr = at.next_addr
    return found
