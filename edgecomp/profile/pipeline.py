"""Modelled cycles of cores whose manual has no table of timings.

Sketches of in-order pipelines: an instruction starts when a slot, its unit and its operands are
free. Each block is followed from an idle pipeline; one that jumps to its own start, an inner loop,
is followed until its turns are alike. docs/cycles.md has the sources and the limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgecomp.profile.decode import Operation
from edgecomp.profile.kinds import Kind

_TURNS = 6  # turns of a loop until they are alike; the last one counts
_SIMPLE = frozenset(["add", "adds", "sub", "subs", "mov", "movs", "uxtb", "uxth", "sxtb", "sxth"])
_K = Kind


@dataclass(frozen=True)
class Use:
    """What an instruction occupies.

    Attributes:
        unit: the unit that it needs.
        latency: cycles until its result can be read.
        busy: cycles until the unit takes the next one.
        alone: whether nothing else starts in its cycle nor, unless it is a vector instruction,
            while it keeps its unit busy.
    """

    unit: str = "alu"
    latency: int = 1
    busy: int = 1
    alone: bool = False


@dataclass(frozen=True)
class Pipeline:
    """An in-order core.

    Attributes:
        title: what the model is called in reports.
        source: where its numbers come from.
        rough: whether it was never held against hardware.
        width: instructions that start in one cycle.
        units: how many there are of each unit.
        uses: by kind; other kinds use the ALU for one cycle.
        pair_small: whether two start together only if both are of 16 bits and one is simple.
        accumulate: cycles that a product's addend may come late.
        words_per_cycle: words that one instruction transfers in a cycle.
        address: cycles by which an address must be there early.
        jump: cycles that a taken branch adds.
        loop_jump: what it adds at the end of a hardware loop (LE), which itself takes no time.
    """

    title: str
    source: str
    rough: bool
    width: int
    units: Mapping[str, int]
    uses: Mapping[Kind, Use] = field(default_factory=dict)
    pair_small: bool = False
    words_per_cycle: int = 1
    accumulate: int = 1
    address: int = 0
    jump: int = 2
    loop_jump: int = 0

    def cycles(self, block: Sequence[Operation], start: int) -> tuple[int, int]:
        """See `cycles.Timing.cycles`."""
        last = block[-1]
        jump = self.loop_jump if last.kind is _K.LOOP_END else self.jump
        run = _Run(self)
        if last.target != start:
            run.follow(block)
            return run.elapsed, jump
        for _ in range(_TURNS):
            before = run.elapsed
            run.follow(block)
        return run.elapsed - before, jump

    def use(self, operation: Operation) -> Use:
        """What `operation` occupies, its words counted."""
        use = self.uses.get(operation.kind, Use())
        if operation.words == 1:
            return use
        wide = operation.kind in {_K.LOAD_WORDS, _K.STORE_WORDS}
        extra = -(-operation.words // (self.words_per_cycle if wide else 1)) - 1
        return Use(use.unit, use.latency + extra, use.busy + extra, use.alone)


class _Run:
    """Instructions going down a pipeline, one block behind the other."""

    def __init__(self, core: Pipeline) -> None:
        self.core = core
        self.elapsed = 0  # cycles until the next instruction could start
        self.cycle = 0  # in which the last instruction started
        self.held = 0  # before which nothing starts
        self.started: list[Operation] = []  # in that cycle
        self.ready: dict[str, int] = {}
        self.free = {unit: [0] * count for unit, count in core.units.items()}

    def follow(self, block: Sequence[Operation]) -> None:
        """Start every instruction of `block`."""
        for operation in block:
            if operation.kind is _K.LOOP_END:
                continue
            self._start(operation)
        self.started = []
        self.cycle = max(self.elapsed, self.cycle)

    def _start(self, operation: Operation) -> None:
        use = self.core.use(operation)
        lanes = self.free[use.unit]
        lane = min(range(len(lanes)), key=lanes.__getitem__)
        earliest = max(lanes[lane], self._operands(operation), self.cycle, self.held)
        if earliest == self.cycle and not self._pairs(operation, use):
            earliest = max(earliest, self.cycle + 1)
        if earliest > self.cycle:
            self.started = []
        self.cycle = earliest
        self.started.append(operation)
        lanes[lane] = earliest + use.busy
        for register in operation.writes:
            self.ready[register] = earliest + use.latency
        for register in operation.base:  # which moves on at once
            self.ready[register] = earliest + 1 - self.core.address
        if use.alone and not operation.vector:
            self.held = earliest + use.busy
        self.elapsed = max(self.elapsed, earliest + 1, self.held)

    def _operands(self, operation: Operation) -> int:
        times = [0]
        for register in operation.reads:
            time = self.ready.get(register, 0)
            if register in operation.accumulator:
                time -= self.core.accumulate
            elif register in operation.address:
                time += self.core.address if time > 0 else 0
            times.append(time)
        return max(times)

    def _pairs(self, operation: Operation, use: Use) -> bool:
        """Whether `operation` may start in the cycle in which others have started."""
        if not self.started:
            return True
        if len(self.started) >= self.core.width or use.alone:
            return False
        if any(self.core.use(other).alone for other in self.started):
            return False
        if not self.core.pair_small:
            return True
        both = [*self.started, operation]
        return all(other.size == 2 for other in both) and any(map(_is_simple, both))


def _is_simple(operation: Operation) -> bool:
    return operation.kind in {_K.NOP, _K.BRANCH} or operation.name in _SIMPLE
