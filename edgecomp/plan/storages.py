"""How the weights of each layer are stored, where a graph allows more than plain int8.

Of the storages that a layer allows the best for the goal is taken.  One that costs both more flash
and more cycles than plain int8 is refused, and so are those of all layers together where what they
save is less than the code that decodes them.

Decoding at boot takes RAM for good.  Where a layer does not ask for it by name, only `speed` takes
it, for layers that may not be plain, and as much of it as there is room for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from edgecomp.errors import DoesNotFitError
from edgecomp.ir import Graph
from edgecomp.kernels import Layer
from edgecomp.kernels.base import Goal
from edgecomp.plan.costs import PLAIN, CostTable
from edgecomp.plan.select import Candidate, candidates
from edgecomp.plan.storable import storage_refusal
from edgecomp.plan.types import StorageChoice
from edgecomp.storage import look_at
from edgecomp.targets.cores import Core

WHOLE_BYTES = 4096
"""Weights that may be decoded as a whole wherever that is best: kernels that decode row by row take
about as much.  More of them only where the arena is as large anyway."""


def choose_storages(
    graph: Graph,
    core: Core,
    goal: Goal,
    table: CostTable,
    forced: Mapping[str, str],
    boot_room: int | None = None,
) -> tuple[Graph, tuple[StorageChoice, ...]]:
    """Decide the storage of every layer that allows others than plain int8.

    Args:
        graph: a quantized graph.
        core: the processor.
        goal: what the build is optimized for.
        table: what kernels cost.
        forced: outputs whose kernel is given, and with it the storage.
        boot_room: bytes of RAM for weights that are decoded at boot; any number unless given.

    Returns:
        The graph, in which such weights allow exactly one storage, and decoding at boot or at
        each inference; and what was decided.

    Raises:
        UserError: weights are to be decoded at a time at which no kernel does that.
        DoesNotFitError: what is to be decoded at boot has no room.
    """
    asked = [
        layer
        for node in graph.nodes
        if (layer := Layer(graph, node)).storages != (PLAIN,) and node.output not in forced
    ]
    largest = max((_activations(Layer(graph, node)) for node in graph.nodes), default=0)
    times = {layer.output.name: _times(layer, goal, largest) for layer in asked}
    chosen = {
        layer.output.name: _choose(layer, core, goal, table, times[layer.output.name])
        for layer in asked
    }
    for layer in _without_room(asked, chosen, boot_room):
        each = tuple(time for time in times[layer.output.name] if time != "boot")
        chosen[layer.output.name] = _choose(layer, core, goal, table, each)
    _refuse_decoders(chosen)
    for layer in asked:
        choice = chosen[layer.output.name].choice
        # By row or by layer is decided with the arena in view.
        each = tuple(time for time in times[layer.output.name] if time != "boot")
        when = ("boot",) if choice.decode == "boot" else each if choice.decode else ()
        here = Layer(graph, layer.node)
        graph = here.replace_weights(storages=(choice.storage,), decode=when).graph
    return graph, tuple(one.choice for one in chosen.values())


@dataclass(frozen=True)
class _Chosen:
    """What became of a layer, what that costs unless it is plain int8, and what that would."""

    choice: StorageChoice
    taken: Candidate | None
    plain: Candidate


def _activations(layer: Layer) -> int:
    """Bytes of a layer's inputs and output."""
    inputs = sum(tensor.size_bytes for tensor in layer.inputs if not tensor.is_const)
    return inputs + layer.output.size_bytes


def _times(layer: Layer, goal: Goal, largest: int) -> tuple[str, ...]:
    """When a layer's weights may be decoded; `largest` is the most activations of one, in bytes."""
    if layer.decodes:
        return layer.decodes
    room = max(largest - _activations(layer), WHOLE_BYTES)
    each = ("row", "layer") if layer.stored_weights.size <= room else ("row",)
    takes_ram = goal == "speed" and PLAIN not in layer.storages
    return (*each, "boot") if takes_ram else each


def _without_room(
    asked: Sequence[Layer], chosen: Mapping[str, _Chosen], boot_room: int | None
) -> list[Layer]:
    """Layers that cannot be decoded at boot: those that gain the fewest cycles for their RAM."""
    at_boot = {o: one.choice for o, one in chosen.items() if one.choice.boot_bytes}
    needed = sum(choice.boot_bytes for choice in at_boot.values())
    if boot_room is None or needed <= boot_room:
        return []
    left = sorted(
        (layer for layer in asked if layer.output.name in at_boot and "boot" not in layer.decodes),
        key=lambda layer: layer.macs / at_boot[layer.output.name].boot_bytes,
        reverse=True,
    )
    dropped = []
    while left and needed > boot_room:
        dropped.append(left.pop())
        needed -= at_boot[dropped[-1].output.name].boot_bytes
    if needed > boot_room:
        rest = [
            at_boot[x.output.name]
            for x in asked
            if "boot" in x.decodes and x.output.name in at_boot
        ]
        largest = sorted(rest, key=lambda choice: choice.boot_bytes, reverse=True)
        listed = ", ".join(f"{one.layer} {one.boot_bytes:,}" for one in largest[:4])
        raise DoesNotFitError(
            f"weights that are decoded at boot need {needed:,} bytes of RAM, "
            f"there are at most {max(boot_room, 0):,} for them\n"
            f"  largest layers: {listed}\n"
            "  let these be decoded by layer or row, or take a board with more RAM"
        )
    return dropped


def _best(
    layer: Layer,
    storages: tuple[str, ...],
    core: Core,
    goal: Goal,
    table: CostTable,
    times: tuple[str, ...] = (),
) -> Candidate:
    found = [one for name in storages for one in _stored(layer, name, core, goal, table, times)]
    return min(found, key=lambda one: _badness(one, goal))


def _stored(
    layer: Layer,
    storage: str,
    core: Core,
    goal: Goal,
    table: CostTable,
    times: tuple[str, ...] = (),
) -> list[Candidate]:
    """Every kernel that computes the layer with weights of one storage."""
    return candidates(layer.replace_weights(storages=(storage,), decode=times), core, goal, table)


def _is_better(one: Candidate, other: Candidate) -> bool:
    """Whether `one` costs neither more flash nor more cycles, nor code that layers share."""
    costs_more = _flash(one) > _flash(other) or one.cost.cycles > other.cost.cycles
    return not (costs_more or one.cost.functions)


def _badness(one: Candidate, goal: Goal) -> tuple[float, ...]:
    if goal == "speed":
        return one.cost.cycles, _flash(one)
    if goal == "size":
        return _flash(one), one.cost.cycles
    return (float(one.cost.cycles) * _flash(one) ** 2,)


def _flash(one: Candidate) -> int:
    return one.weights_bytes + one.cost.own_bytes


def _choose(
    layer: Layer, core: Core, goal: Goal, table: CostTable, times: tuple[str, ...]
) -> _Chosen:
    several = _stored(layer, PLAIN, core, goal, table)
    plain = min(several, key=lambda one: _badness(one, goal))
    reasons = {name: storage_refusal(layer, name, core, times) for name in layer.storages}
    refusals = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    possible = tuple(name for name, reason in reasons.items() if reason is None)
    best = _best(layer, possible, core, goal, table, times) if possible else None
    measured = best is not None and bool(best.cost.functions or best.cost.own_bytes)
    if best is not None and measured:
        # The network as a whole may want another plain kernel than this layer by itself.
        better = [one for one in several if _is_better(one, best)]
        plain = min(better, key=lambda one: _badness(one, goal), default=plain)
    choice = StorageChoice(
        layer=layer.node.name,
        output=layer.output.name,
        allowed=layer.storages,
        storage=best.kernel.storage if best else PLAIN,
        flash_bytes=_flash(best) if best else 0,
        plain_flash_bytes=_flash(plain),
        cycles=best.cost.cycles if best and measured else 0,
        plain_cycles=plain.cost.cycles,
        reason="; ".join(refusals),
        found=look_at(layer.stored_weights).text,
        decode=best.kernel.decode or "" if best else "",
        boot_bytes=best.kernel.boot_bytes(layer) if best else 0,
    )
    if best is None or best.kernel.storage == PLAIN:
        return _Chosen(choice, None, plain)
    more_flash = choice.flash_bytes - choice.plain_flash_bytes
    more_cycles = choice.cycles - choice.plain_cycles
    if more_flash >= 0 and (more_cycles >= 0 or not measured):
        lost = f"{best.kernel.storage} would cost {more_flash:,} bytes of flash"
        lost += f" and {more_cycles:,} cycles more than plain int8" if measured else " more"
        reason = "; ".join([*refusals, lost])
        return _Chosen(_as_plain(choice, reason), None, plain)
    return _Chosen(choice, best, plain)


def _as_plain(choice: StorageChoice, reason: str) -> StorageChoice:
    return replace(choice, storage=PLAIN, reason=reason, decode="", boot_bytes=0)


def _refuse_decoders(chosen: dict[str, _Chosen]) -> None:
    """Fall back to plain int8 where the code of the decoders costs more than they all save."""
    there = {name for one in chosen.values() for name in one.plain.cost.functions}
    by_storage: dict[str, list[str]] = {}
    for output, one in chosen.items():
        if one.taken is not None:
            by_storage.setdefault(one.choice.storage, []).append(output)
    for storage, outputs in by_storage.items():
        taken = [best for o in outputs if (best := chosen[o].taken) is not None]
        code = _code_bytes(taken, there)
        choices = [chosen[output].choice for output in outputs]
        saved = sum(one.plain_flash_bytes - one.flash_bytes for one in choices)
        faster = all(one.cycles and one.cycles < one.plain_cycles for one in choices)
        if saved > code or faster:
            continue
        lost = f"{storage} would save {saved:,} bytes and its decoder takes {code:,}"
        for output, choice in zip(outputs, choices, strict=True):
            reason = "; ".join(filter(None, [choice.reason, lost]))
            plain = _as_plain(choice, reason)
            chosen[output] = replace(chosen[output], choice=plain, taken=None)


def _code_bytes(taken: Sequence[Candidate], there: Collection[str]) -> int:
    """Bytes of functions that the layers call, but for those that plain weights need as well."""
    functions: dict[str, int] = {}
    for one in taken:
        functions.update(one.cost.functions)
    return sum(size for name, size in functions.items() if name not in there)
