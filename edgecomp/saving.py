"""What a tick saves against computing the whole sequence again for every frame that comes."""

from collections.abc import Callable
from dataclasses import dataclass

from edgecomp.ir import Graph
from edgecomp.kernels import Layer
from edgecomp.kernels.base import Goal
from edgecomp.passes.stream import Stream
from edgecomp.plan.costs import cost_table
from edgecomp.plan.planner import macs_of, plan_graph
from edgecomp.plan.types import Plan
from edgecomp.targets.cores import Core

CALL_CYCLES = 40
"""Of a layer that moves frames, beside the bytes."""
CYCLES_PER_BYTE = 1
"""Of moving a byte: words take less, single bytes more."""
MOVED: dict[str, Callable[[Layer], int]] = {
    "shift": lambda layer: layer.output.size,
    "ring": lambda layer: layer.inputs[1].size,
    "taps": lambda layer: layer.output.size,
    "running_sum": lambda layer: 4 * layer.output.size,
    "running_mean": lambda layer: 20 * layer.output.size,
}
"""Bytes that a layer moves for what is remembered, or what takes as long."""


@dataclass(frozen=True)
class Saving:
    """A tick beside the whole network, which would have to be run as often.

    Attributes:
        frames: that a tick takes.
        whole_frames: that the whole network takes.
        first_tick: the first tick, counted from 0, whose outputs are the whole network's.
        macs: multiply-accumulates of a tick.
        whole_macs: of the whole network.
        cycles: modelled, of a tick, estimated from the kernels' measurements; None where one has
            none.
        whole_cycles: of the whole network, likewise.
        state_bytes: RAM that is kept between ticks.
        arena_bytes: RAM during a tick.
        whole_arena_bytes: RAM of the whole network, its input included.
    """

    frames: int
    whole_frames: int
    first_tick: int
    macs: int
    whole_macs: int
    cycles: int | None
    whole_cycles: int | None
    state_bytes: int
    arena_bytes: int
    whole_arena_bytes: int

    @property
    def text(self) -> str:
        """One line for people."""
        taken = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        parts = [f"{self.macs:,} MACs instead of {self.whole_macs:,}"]
        if self.cycles is not None and self.whole_cycles is not None:
            parts.append(f"about {self.cycles:,} modelled cycles instead of {self.whole_cycles:,}")
        parts.append(
            f"{self.state_bytes:,} bytes kept and an arena of {self.arena_bytes:,} "
            f"instead of {self.whole_arena_bytes:,}"
        )
        return f"a tick takes {taken} of {self.whole_frames}: {'; '.join(parts)}"


def saving_of(whole: Graph, stream: Stream, plan: Plan, core: Core, goal: Goal) -> Saving:
    """Compare a tick with the whole network.

    Args:
        whole: the network over the whole sequence.
        stream: the same tick by tick.
        plan: of a tick.
        core: the processor.
        goal: what both are optimized for.
    """
    other = plan_graph(whole, core, goal=goal)
    return Saving(
        frames=stream.frames,
        whole_frames=whole.tensors[whole.inputs[0]].shape[stream.axis],
        first_tick=stream.first_tick,
        macs=macs_of(stream.graph),
        whole_macs=macs_of(whole),
        cycles=_cycles(plan, core),
        whole_cycles=_cycles(other, core),
        state_bytes=plan.state_bytes,
        arena_bytes=plan.arena_bytes,
        whole_arena_bytes=other.arena_bytes,
    )


def _cycles(plan: Plan, core: Core) -> int | None:
    """Estimated cycles of a run; None where a kernel was never measured."""
    table, total = cost_table(core), 0
    for stage in plan.stages:
        if stage.rows is not None:
            return None
        layer = plan.layer(stage)
        cost = table.cost(stage.kernel, layer)
        if cost is not None:
            total += cost.cycles
        elif layer.node.op in MOVED:
            total += CALL_CYCLES + CYCLES_PER_BYTE * MOVED[layer.node.op](layer)
        else:
            return None
    return total
