"""From counts of blocks to instructions and modelled cycles: of layers, functions and classes."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgecomp.build import Program
from edgecomp.profile.blocks import basic_blocks, instructions_of
from edgecomp.profile.counts import Block, Section
from edgecomp.profile.cycles import Timing
from edgecomp.profile.decode import Operation, decode
from edgecomp.profile.kinds import CLASSES


@dataclass(frozen=True)
class Cost:
    """Instructions executed, and the cycles that a timing model gives them."""

    instructions: int = 0
    modelled_cycles: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """The two together."""
        return Cost(
            self.instructions + other.instructions, self.modelled_cycles + other.modelled_cycles
        )


@dataclass(frozen=True)
class Function:
    """What the code of one function cost, its callees not counted."""

    name: str
    cost: Cost


@dataclass(frozen=True)
class Costs:
    """What some sections cost together.

    Attributes:
        total: everything.
        classes: instructions by class, in the order of `kinds.CLASSES`, without empty ones.
        functions: by decreasing instructions.
    """

    total: Cost
    classes: dict[str, int]
    functions: tuple[Function, ...]


class Attributor:
    """Costs of sections of one image on one core."""

    def __init__(self, program: Program, timing: Timing) -> None:
        """Prepare for the code of `program` with the cycles of `timing`."""
        self._program = program
        self._timing = timing
        self._blocks: dict[Block, tuple[list[Operation], int, int]] = {}

    def costs(self, sections: Sequence[Section]) -> Costs:
        """Return what `sections` cost together.

        Raises:
            InternalError: a block is not code of the image.
        """
        total = Cost()
        classes: Counter[str] = Counter()
        functions: dict[str, Cost] = {}
        for section in sections:
            for block, runs in basic_blocks(section, self._program).items():
                operations, through, jump = self._modelled(block)
                cost = Cost(
                    runs.executions * len(operations),
                    runs.executions * through + runs.jumps * jump,
                )
                total += cost
                name = self._function_at(block.start)
                functions[name] = functions.get(name, Cost()) + cost
                for operation in operations:
                    classes[operation.category] += runs.executions
        ranked = sorted(functions.items(), key=lambda item: (-item[1].instructions, item[0]))
        return Costs(
            total,
            {name: classes[name] for name in CLASSES if classes[name]},
            tuple(Function(name, cost) for name, cost in ranked),
        )

    def _modelled(self, block: Block) -> tuple[list[Operation], int, int]:
        """The block's operations, cycles of one run, and cycles that leaving by a jump adds."""
        if block not in self._blocks:
            operations = [decode(at) for at in instructions_of(block, self._program)]
            self._blocks[block] = (operations, *self._timing.cycles(operations, block.start))
        return self._blocks[block]

    @cached_property
    def _starts(self) -> list[int]:
        return sorted(self._program.functions)

    def _function_at(self, addr: int) -> str:
        index = bisect_right(self._starts, addr) - 1
        return self._program.functions[self._starts[index]] if index >= 0 else f"{addr:#x}"
