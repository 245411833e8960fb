"""Which kernel computes each layer, by what the kernels were measured to cost.

`speed` takes the fewest cycles, and where their model is rough weighs instructions, too.  For the
other goals one percent of flash is worth as much as some percent of cycles: `FLASH_WEIGHT` for
`balanced` and `ram`, which also take no more than `CYCLES_LIMIT` times the cycles of `speed`, and
`SIZE_WEIGHT` for `size`.
Kernels of which nothing is known on a core are taken by their order in `KERNELS` and by the goals
that they name.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgecomp.errors import UnsupportedError
from edgecomp.kernels import DECODED, KERNELS, Kernel, Layer
from edgecomp.kernels.base import Goal
from edgecomp.plan.costs import PLAIN, Cost, CostTable, cost_table
from edgecomp.plan.decoding import cost_of
from edgecomp.targets.cores import Core

CYCLES_LIMIT = 1.2
"""`balanced` takes at most so many times the cycles of `speed`."""
FLASH_WEIGHT = 2.2
"""Percents of cycles that `balanced` gives for one percent of flash."""
SIZE_WEIGHT = 4.0
"""Percents of cycles that `size` gives for one percent of flash."""
ROUGH_CYCLES = 0.25
"""What an instruction weighs against a modelled cycle on cores whose model is rough."""
FRAME_BYTES = 2_000
"""Flash of an image beside its stages: vectors, start-up, the interface of the model."""


@dataclass(frozen=True)
class Candidate:
    """A kernel that can compute a layer, and what that costs."""

    kernel: Kernel
    cost: Cost
    weights_bytes: int


Selection = tuple[Candidate, ...]
"""The candidate chosen for each layer, in the order of the layers."""


def applicable(layer: Layer, core: Core) -> list[Kernel]:
    """Return every kernel that can compute `layer` on `core`, in order of preference.

    Those that decode at boot, for RAM beside the arena, only where the layer asks for it.

    Raises:
        UnsupportedError: there is none; the reasons of each are listed.
    """
    found, reasons = [], []
    for kernel in (*KERNELS.values(), *(() if PLAIN in layer.storages else DECODED.values())):
        if kernel.op == layer.node.op and (kernel.decode != "boot" or "boot" in layer.decodes):
            reason = _refusal(kernel, layer) or kernel.applies(layer, core)
            if reason is None:
                found.append(kernel)
            elif kernel.name in KERNELS:
                reasons.append(f"{kernel.name}: {reason}")
    if not found:
        raise UnsupportedError(
            layer.node.op, layer.node.name, "; ".join(reasons) or "no kernel computes it"
        )
    return found


def _refusal(kernel: Kernel, layer: Layer) -> str | None:
    if layer.node.numerics not in kernel.numerics:
        return f"the layer's numerics are {layer.node.numerics}"
    if kernel.storage not in layer.storages:
        return f"its weights may be stored as {' or '.join(layer.storages)} only"
    if kernel.decode and layer.decodes and kernel.decode not in layer.decodes:
        return f"its weights may be decoded by {' or '.join(layer.decodes)} only"
    return None


def candidates(layer: Layer, core: Core, goal: Goal, table: CostTable) -> list[Candidate]:
    """The kernels among which costs decide: all that were measured, or else the preferred one.

    A kernel without a measurement that is preferred to all measured ones is taken for better.
    """
    kernels = [kernel for kernel in applicable(layer, core) if not kernel.is_lean]
    preferred = next((kernel for kernel in kernels if goal in kernel.goals), kernels[0])
    unknown = Cost(max(layer.macs, 1), max(layer.macs, 1), 0, {})
    known = [
        Candidate(kernel, cost, _weights_bytes(kernel, layer))
        for kernel in kernels
        if (cost := cost_of(kernel, layer, table)) is not None
    ]
    if any(candidate.kernel is preferred for candidate in known):
        return known
    return [Candidate(preferred, unknown, _weights_bytes(preferred, layer))]


def _weights_bytes(kernel: Kernel, layer: Layer) -> int:
    return sum(constant.size_bytes for constant in kernel.constants(layer))


def _time(one: Candidate, core: Core) -> tuple[float, int]:
    """What `speed` makes least: of two with the same cycles that with fewer instructions."""
    weight = ROUGH_CYCLES if core.rough_timing else 0
    return one.cost.cycles + weight * one.cost.instructions, one.cost.instructions


def cycles_of(selection: Sequence[Candidate]) -> int:
    """Modelled cycles of all layers."""
    return sum(candidate.cost.cycles for candidate in selection)


def estimated_cycles(
    layers: Sequence[Layer], kernels: Mapping[str, Kernel], table: CostTable
) -> int:
    """Modelled cycles of all layers with these kernels, by output; one per MAC where unknown."""
    costs = [(layer, table.cost(kernels[layer.output.name].name, layer)) for layer in layers]
    return sum(layer.macs if cost is None else cost.cycles for layer, cost in costs)


def flash_of(selection: Sequence[Candidate]) -> int:
    """Bytes of constants and of code; functions of one name stand there once."""
    functions: dict[str, int] = {}
    for candidate in selection:
        functions.update(candidate.cost.functions)
    return (
        FRAME_BYTES
        + sum(functions.values())
        + sum(candidate.cost.own_bytes + candidate.weights_bytes for candidate in selection)
    )


def choose_kernel(layer: Layer, core: Core, goal: Goal = "balanced") -> Kernel:
    """Return the kernel for a layer by itself: with the fewest cycles, or bytes for `size`.

    Raises:
        UnsupportedError: there is none.
    """
    found = candidates(layer, core, goal, cost_table(core))
    if goal == "size":
        return min(found, key=lambda one: (flash_of([one]), one.cost.cycles)).kernel
    fast = min(found, key=lambda one: _time(one, core))
    if goal == "speed":
        return fast.kernel
    return min(found, key=lambda one: one.cost.cycles * flash_of([one])).kernel


def select_kernels(
    layers: Sequence[Layer],
    core: Core,
    goal: Goal = "balanced",
    *,
    table: CostTable | None = None,
    flash_bytes: int | None = None,
) -> dict[str, Kernel]:
    """Choose a kernel for every layer of a network.

    Args:
        layers: the layers in the order of execution.
        core: the processor.
        goal: what the build is optimized for.
        table: costs, those that are kept for the core unless given.
        flash_bytes: what the board has; where the choice does not fit, cycles are given up for
            bytes until it does or nothing smaller is left.

    Returns:
        The kernel by the name of the layer's output.

    Raises:
        UnsupportedError: no kernel computes one of the layers.
    """
    costs = cost_table(core) if table is None else table
    every = [candidates(layer, core, goal, costs) for layer in layers]
    chosen = select(layers, every, core, goal)
    if flash_bytes is not None and flash_of(chosen) > flash_bytes:
        groups = exchange_groups(layers)
        chosen = _descend(chosen, every, groups, lambda one: _until_fits(one, flash_bytes))
    return {
        layer.output.name: candidate.kernel for layer, candidate in zip(layers, chosen, strict=True)
    }


def select(
    layers: Sequence[Layer],
    every: Sequence[Sequence[Candidate]],
    core: Core,
    goal: Goal,
    least_cycles: int = 0,
) -> Selection:
    """Choose one of the candidates of every layer, by cycles and flash alone.

    `least_cycles`: what the fastest kernels take, where they are not among the candidates.
    """
    fastest = tuple(min(several, key=lambda one: _time(one, core)) for several in every)
    if goal == "speed":
        return fastest
    limit, weight = CYCLES_LIMIT * (least_cycles or cycles_of(fastest)), FLASH_WEIGHT
    if goal == "size":
        limit, weight = math.inf, SIZE_WEIGHT

    def badness(one: Selection) -> tuple[float, ...]:
        return _product(one, limit, weight)

    groups = exchange_groups(layers)
    # From where all code is shared, too: no single exchange pays for a shared function.
    starts = (fastest, tuple(min(several, key=_own_product) for several in every))
    return min((_descend(start, every, groups, badness) for start in starts), key=badness)


def exchange_groups(layers: Sequence[Layer]) -> list[tuple[int, ...]]:
    """Indices of layers that may change kernels together: one, those alike, those of one op."""
    alike: dict[object, list[int]] = {}
    for index, layer in enumerate(layers):
        weights = layer.inputs[1].shape if len(layer.inputs) > 1 else ()
        for key in (index, (layer.node.op, weights), (layer.node.op, weights[1:3]), layer.node.op):
            alike.setdefault(key, []).append(index)
    return list(dict.fromkeys(tuple(indices) for indices in alike.values()))


def exchanges(
    start: Selection, every: Sequence[Sequence[Candidate]], groups: Sequence[tuple[int, ...]]
) -> Iterator[Selection]:
    """Every selection in which the layers of one group have another kernel."""
    for group in groups:
        names = dict.fromkeys(one.kernel.name for index in group for one in every[index])
        for name in names:
            changed = list(start)
            for index in group:
                for candidate in every[index]:
                    if candidate.kernel.name == name:
                        changed[index] = candidate
            if tuple(changed) != start:
                yield tuple(changed)


def _descend(
    start: Selection,
    every: Sequence[Sequence[Candidate]],
    groups: Sequence[tuple[int, ...]],
    badness: Callable[[Selection], tuple[float, ...]],
) -> Selection:
    """Take the best move again and again, as long as there is one that betters the selection."""
    best, value = start, badness(start)
    while True:
        moves = [
            (badness(move), number, move)
            for number, move in enumerate(exchanges(best, every, groups))
        ]
        if not moves or min(moves)[0] >= value:
            return best
        value, _, best = min(moves)


def _product(selection: Selection, limit: float, weight: float) -> tuple[float, ...]:
    cycles = cycles_of(selection)
    product = math.log(max(cycles, 1)) + weight * math.log(flash_of(selection))
    return max(0.0, cycles - limit), product


def _own_product(one: Candidate) -> int:
    """Cycles times bytes of a layer, the functions that it shares with others not counted."""
    return one.cost.cycles * (one.cost.own_bytes + one.weights_bytes)


def _until_fits(selection: Selection, flash_bytes: int) -> tuple[float, ...]:
    return max(0, flash_of(selection) - flash_bytes), cycles_of(selection)
