"""Modelled cycles as a sum of what each instruction takes, for cores that issue one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgecomp.profile.decode import Operation
from edgecomp.profile.kinds import Kind

_WORDS = frozenset([Kind.LOAD_WORDS, Kind.STORE_WORDS])
_SINGLE = frozenset([Kind.LOAD, Kind.LOAD_NARROW, Kind.STORE])


@dataclass(frozen=True)
class TimingTable:
    """Cycles by kind of instruction, for cores that issue one at a time.

    Attributes:
        title: what the table is called in reports.
        source: the manual.
        cycles_of: kinds that do not take 1 cycle; of transfers of N words, the part beside N.
        pipelined_memory: whether a single load or store right behind another takes 1 cycle less.
        jump: cycles that a taken branch adds.
        call: what it adds where it is a BL.
        pop_pc: what it adds where it is a POP or LDM into the program counter.
    """

    title: str
    source: str
    cycles_of: dict[Kind, int]
    pipelined_memory: bool
    jump: int
    call: int
    pop_pc: int
    rough: bool = False

    def cycles(self, block: Sequence[Operation], start: int) -> tuple[int, int]:
        """See `Timing.cycles`; nothing is known of what ran before the block."""
        total = 0
        single_before = False
        for operation in block:
            cost = self.cycles_of.get(operation.kind, 1)
            if operation.kind in _WORDS:
                cost += operation.words
            single = operation.kind in _SINGLE
            if single:
                cost += operation.words - 1  # VLDR and VSTR of double precision move two words
                cost -= self.pipelined_memory and single_before
            total += cost
            single_before = single
        return total, self._jump(block[-1])

    def _jump(self, last: Operation) -> int:
        if last.kind is Kind.CALL:
            return self.call
        if last.kind is Kind.LOAD_WORDS:
            return self.pop_pc
        return self.jump
