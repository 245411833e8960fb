"""The plan with the least arena: which segments, by rows or not, and which kernels.

The arena cannot be smaller than the largest segment by itself; among all ways to put segments
together that need no more, the one with the fewest cycles is taken.  What neighbours push apart is
found by placing them, and given up.
"""

import math

from edgecomp.errors import UserError
from edgecomp.plan.arena import ATTEMPTS
from edgecomp.plan.buffers import Blocks, numbered
from edgecomp.plan.segments import Segments, Way, ways_of
from edgecomp.plan.types import ARENA_ALIGN, Plan, Stage

MAX_ARENA = 1 << 28
SLACK = 1.01
"""How many times the least arena are given for fewer cycles."""
FEW_ATTEMPTS = 20
"""Orders of placement that are tried for a plan among many."""
MAX_FORBIDDEN = 12
"""Ways to compute a stage that are given up because neighbours leave no room for them."""
PATIENCE = 4
"""Such ways one after the other that may be given up in vain."""
RESTARTS = 4
"""Ways that are given up first, each in turn, where all others did not help."""
NEIGHBOURS = 4
"""Stages behind those at the peak that are looked at."""


class LeastArena:
    """The search among the segments of a network, within a limit of cycles."""

    def __init__(self, segments: Segments, limit: float) -> None:
        """Search what takes at most `limit` estimated cycles."""
        self.segments, self.limit = segments, limit
        self._given_up: list[Way] = []

    def plan(self) -> Plan:
        """The plan; not verified yet."""
        low, high = self._least_possible(), self._least_possible()
        while self._cheapest_stages(high)[0] > self.limit and high < MAX_ARENA:
            low, high = high, 2 * high
        if high >= MAX_ARENA:
            high = low = self._least_possible()
        while low < high:
            middle = (low + high) // 2
            if self._cheapest_stages(middle)[0] <= self.limit:
                high = middle
            else:
                low = middle + 1
        high = math.ceil(high * SLACK)
        best = self._without_drift(self._plan(high), high)
        more = self._plan(max(best.arena_bytes, high))
        return more if more.arena_bytes <= best.arena_bytes else best

    def _plan(self, arena_bytes: int, attempts: int = ATTEMPTS) -> Plan:
        stages = numbered(self._cheapest_stages(arena_bytes)[1])
        return Blocks(
            self.segments.graph, stages, self.segments.keep_input, self.segments.known
        ).plan(attempts)

    def _without_drift(self, first: Plan, arena_bytes: int) -> Plan:
        """Better a plan whose stages fit `arena_bytes` each by itself, but not together.

        Each stage pushes its output a little before its input; several in a row may push it too
        far.  One way to compute a stage after the other is given up; where that is not enough,
        again with another one given up at the very beginning.
        """
        best = self._descend(first, arena_bytes)
        given_up = list(self._given_up)
        starts = [way for stage in self._around_peak(first) for way in ways_of(stage)[1:]]
        for way in starts[:RESTARTS]:
            if best.arena_bytes <= arena_bytes + ARENA_ALIGN:
                break
            self._given_up = [way]
            if self._cheapest_stages(arena_bytes, tolerant=True)[0] <= self.limit:
                found = self._descend(self._plan(arena_bytes, FEW_ATTEMPTS), arena_bytes)
                if found.arena_bytes < best.arena_bytes:
                    best, given_up = found, list(self._given_up)
        self._given_up = given_up
        return best

    def _descend(self, best: Plan, arena_bytes: int) -> Plan:
        """Give up one way after the other, that which helps most, as long as it helps."""
        plan, fruitless = best, 0
        for _ in range(MAX_FORBIDDEN):
            if best.arena_bytes <= arena_bytes + ARENA_ALIGN or fruitless > PATIENCE:
                break
            found: list[tuple[int, Way, Plan]] = []
            ways = [way for stage in self._around_peak(plan) for way in ways_of(stage)]
            for way in dict.fromkeys(ways):
                self._given_up.append(way)
                cycles = self._cheapest_stages(arena_bytes, tolerant=True)[0]
                if cycles <= self.limit:
                    other = self._plan(arena_bytes, FEW_ATTEMPTS)
                    found.append((other.arena_bytes, way, other))
                self._given_up.pop()
            if not found:
                break
            least = min(found, key=lambda one: one[0])
            plan, fruitless = least[2], fruitless + 1
            if plan.arena_bytes < best.arena_bytes:
                best, fruitless = plan, 0
            self._given_up.append(least[1])
        return best

    def _around_peak(self, plan: Plan) -> list[Stage]:
        """The stages in which the arena is used to its end, and their neighbours."""
        top = plan.arena_bytes - ARENA_ALIGN
        ends = [
            index
            for buffer in plan.buffers.values()
            if buffer.arena_offset + buffer.size_bytes > top
            for index in range(buffer.first_use, buffer.last_use + 1)
        ]
        ends += [
            stage.index for stage in plan.stages if stage.scratch_offset + stage.scratch_bytes > top
        ]
        reach = range(min(ends, default=0) - 2, max(ends, default=0) + NEIGHBOURS)
        return [stage for stage in plan.stages if stage.index in reach]

    def _cheapest_stages(
        self, arena_bytes: int, *, tolerant: bool = False
    ) -> tuple[int, tuple[Stage, ...]]:
        """Cycles and stages of the cheapest segments that each need at most `arena_bytes`.

        Where there are none, `tolerant` gives endless cycles.
        """
        best: dict[int, tuple[int, tuple[Stage, ...]]] = {0: (0, ())}
        for last in self.segments.cuts[1:]:
            for first in (cut for cut in self.segments.cuts if cut < last and cut in best):
                way = self.segments.cheapest(first, last, arena_bytes, self._given_up)
                if way is not None:
                    cycles, stages = best[first]
                    found = cycles + way.cycles, (*stages, *way.stages)
                    if last not in best or found[0] < best[last][0]:
                        best[last] = found
        if tolerant and self.segments.cuts[-1] not in best:
            return MAX_ARENA**2, ()
        return best[self.segments.cuts[-1]]

    def _least_possible(self) -> int:
        """The least over all cuts of the largest segment."""
        best = {0: 0}
        for last in self.segments.cuts[1:]:
            found = [
                max(best[first], way)
                for first in self.segments.cuts
                if first < last
                and first in best
                and (way := self.segments.least(first, last)) is not None
            ]
            if found:
                best[last] = min(found)
        if self.segments.cuts[-1] not in best:
            first = self.segments.graph.nodes[0].name
            raise UserError(
                f"--stream-input: the first layer, {first!r}, cannot be computed by rows"
            )
        return best[self.segments.cuts[-1]]
