"""How the weights of each layer are stored, where a graph allows more than plain int8.

Of the storages that a layer allows the best for the goal is taken.  One that costs both more flash
and more cycles than plain int8 is refused, and so are those of all layers together where what they
save is less than the code that decodes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgecomp.ir import Graph
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.base import Goal
from edgecomp.kernels.stored import GENERIC
from edgecomp.plan.costs import PLAIN, CostTable
from edgecomp.plan.select import Candidate, candidates
from edgecomp.plan.types import StorageChoice
from edgecomp.storage import STORAGES, look_at
from edgecomp.targets.cores import Core


def choose_storages(
    graph: Graph, core: Core, goal: Goal, table: CostTable, forced: Mapping[str, str]
) -> tuple[Graph, tuple[StorageChoice, ...]]:
    """Decide the storage of every layer that allows others than plain int8.

    Args:
        graph: a quantized graph.
        core: the processor.
        goal: what the build is optimized for.
        table: what kernels cost.
        forced: outputs whose kernel is given, and with it the storage.

    Returns:
        The graph, in which such weights allow exactly one storage, and what was decided.
    """
    asked = [
        layer
        for node in graph.nodes
        if (layer := Layer(graph, node)).storages != (PLAIN,) and node.output not in forced
    ]
    chosen = {layer.output.name: _choose(layer, core, goal, table) for layer in asked}
    _refuse_decoders(chosen)
    for layer in asked:
        graph = _restricted(graph, layer.inputs[1].name, (chosen[layer.output.name][0].storage,))
    return graph, tuple(choice for choice, _ in chosen.values())


_Chosen = tuple[StorageChoice, Candidate | None]


def _restricted(graph: Graph, tensor: str, storages: tuple[str, ...]) -> Graph:
    marked = replace(graph.tensors[tensor], storages=storages)
    return graph.replace(tensors={**graph.tensors, tensor: marked})


def _best(
    layer: Layer, storages: tuple[str, ...], core: Core, goal: Goal, table: CostTable
) -> Candidate:
    found: list[Candidate] = []
    for name in storages:
        graph = _restricted(layer.graph, layer.inputs[1].name, (name,))
        found += candidates(Layer(graph, layer.node), core, goal, table)
    return min(found, key=lambda one: _badness(one, goal))


def _badness(one: Candidate, goal: Goal) -> tuple[float, ...]:
    if goal == "speed":
        return one.cost.cycles, _flash(one)
    if goal == "size":
        return _flash(one), one.cost.cycles
    return (float(one.cost.cycles) * _flash(one) ** 2,)


def _flash(one: Candidate) -> int:
    return one.weights_bytes + one.cost.own_bytes


def _refusal(layer: Layer, storage: str, core: Core) -> str | None:
    """Say why a layer's weights cannot be stored so; None if they can."""
    reason = STORAGES[storage].refusal(layer.inputs[1].value)
    if reason is not None or storage == PLAIN:
        return reason
    own = [k for k in KERNELS.values() if k.op == layer.node.op and k.storage == storage]
    if any(kernel.applies(layer, core) is None for kernel in own):
        return None
    generic = [k for k in own if isinstance(k, GENERIC) and k.form_refusal(layer) is None]
    return "; ".join(filter(None, (kernel.applies(layer, core) for kernel in generic)))


def _choose(layer: Layer, core: Core, goal: Goal, table: CostTable) -> _Chosen:
    plain = _best(layer, (PLAIN,), core, goal, table)
    reasons = {name: _refusal(layer, name, core) for name in layer.storages}
    refusals = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    possible = tuple(name for name, reason in reasons.items() if reason is None)
    best = _best(layer, possible, core, goal, table) if possible else None
    measured = best is not None and bool(best.cost.functions or best.cost.own_bytes)
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
        found=look_at(layer.inputs[1].value).text,
    )
    if best is None or best.kernel.storage == PLAIN:
        return choice, None
    more_flash = choice.flash_bytes - choice.plain_flash_bytes
    more_cycles = choice.cycles - choice.plain_cycles
    if more_flash >= 0 and (more_cycles >= 0 or not measured):
        lost = f"{best.kernel.storage} would cost {more_flash:,} bytes of flash"
        lost += f" and {more_cycles:,} cycles more than plain int8" if measured else " more"
        reason = "; ".join([*refusals, lost])
        return replace(choice, storage=PLAIN, reason=reason), None
    return choice, best


def _refuse_decoders(chosen: dict[str, _Chosen]) -> None:
    """Fall back to plain int8 where the code of the decoders costs more than they all save."""
    by_storage: dict[str, list[str]] = {}
    for output, (choice, best) in chosen.items():
        if best is not None:
            by_storage.setdefault(choice.storage, []).append(output)
    for storage, outputs in by_storage.items():
        code = _shared_bytes([best for o in outputs if (best := chosen[o][1]) is not None])
        choices = [chosen[output][0] for output in outputs]
        saved = sum(one.plain_flash_bytes - one.flash_bytes for one in choices)
        faster = all(one.cycles and one.cycles < one.plain_cycles for one in choices)
        if saved > code or faster:
            continue
        lost = f"{storage} would save {saved:,} bytes and its decoder takes {code:,}"
        for output in outputs:
            choice = chosen[output][0]
            reason = "; ".join(filter(None, [choice.reason, lost]))
            chosen[output] = replace(choice, storage=PLAIN, reason=reason), None


def _shared_bytes(taken: Sequence[Candidate]) -> int:
    functions: dict[str, int] = {}
    for one in taken:
        functions.update(one.cost.functions)
    return sum(functions.values())
