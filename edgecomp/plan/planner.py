"""From a quantized graph to a plan: kernels, order, live ranges, arena."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edgecomp.ir import Graph, Node
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.base import Goal
from edgecomp.plan.arena import Block, aligned, lower_bound, place
from edgecomp.plan.costs import CostTable
from edgecomp.plan.schedule import activation_aliases, order_nodes
from edgecomp.plan.select import select_kernels
from edgecomp.plan.types import ARENA_ALIGN, BUFFER_ALIGN, Buffer, Plan, Stage
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import Core


def plan_graph(
    graph: Graph,
    core: Core,
    *,
    keep_input: bool = False,
    goal: Goal = "balanced",
    table: CostTable | None = None,
    flash_bytes: int | None = None,
    forced: Mapping[str, str] | None = None,
) -> Plan:
    """Plan one-op stages for `graph` on `core`.

    Args:
        graph: a quantized graph.
        core: the processor.
        keep_input: let the model's inputs survive the inference.
        goal: what the build is optimized for.
        table: what kernels cost, the kept measurements of the core unless given.
        flash_bytes: what the board has for the image.
        forced: names of kernels by the output that they are to compute, whatever they cost.

    Returns:
        A verified plan.
    """
    ordered = graph.replace(nodes=order_nodes(graph, keep_input=keep_input))
    aliases = activation_aliases(ordered)
    stages: list[Stage] = []
    layers = [Layer(ordered, node) for node in ordered.nodes if node.op != "reshape"]
    kernels = select_kernels(layers, core, goal, table=table, flash_bytes=flash_bytes)
    kernels |= {output: KERNELS[name] for output, name in (forced or {}).items()}
    for layer in layers:
        node, kernel = layer.node, kernels[layer.output.name]
        stages.append(
            Stage(
                index=len(stages),
                nodes=(node,),
                kernel=kernel.name,
                storage="dense8" if any(c.is_weight for c in kernel.constants(layer)) else "",
                inputs=tuple(n for n in node.inputs if not ordered.tensors[n].is_const),
                output=node.output,
                scratch_bytes=kernel.scratch_bytes(layer),
            )
        )
    plan = _place_buffers(ordered, tuple(stages), aliases, keep_input=keep_input)
    verify_plan(plan)
    return plan


def _life(
    graph: Graph, stages: tuple[Stage, ...], aliases: dict[str, str], keep_input: bool
) -> dict[str, tuple[int, int]]:
    """First and last use of each root tensor."""
    first = {aliases[name]: -1 for name in graph.inputs}
    last = dict(first)
    for stage in stages:
        first.setdefault(aliases[stage.output], stage.index)
        last[aliases[stage.output]] = stage.index
        for name in stage.inputs:
            last[aliases[name]] = stage.index
    survivors: Iterable[str] = (*graph.outputs, *(graph.inputs if keep_input else ()))
    for name in survivors:
        last[aliases[name]] = len(stages)
    return {root: (first[root], last[root]) for root in first}


def _overlaps(
    graph: Graph,
    stages: tuple[Stage, ...],
    aliases: dict[str, str],
    life: dict[str, tuple[int, int]],
) -> dict[tuple[str, str], int]:
    """For each pair of a dying input and the output over which it may lie: the distance."""
    found: dict[tuple[str, str], int] = {}
    for stage in stages:
        layer = Layer(graph, stage.nodes[-1])
        output = aliases[stage.output]
        distances: dict[str, list[int | None]] = {}
        for index, tensor in enumerate(layer.inputs):
            if not tensor.is_const:
                root = aliases[tensor.name]
                if life[root][1] == stage.index and root != output:
                    distances.setdefault(root, []).append(
                        KERNELS[stage.kernel].overlap(layer, index)
                    )
        for root, several in distances.items():
            known = [distance for distance in several if distance is not None]
            if len(known) == len(several):
                found[root, output] = max(known)
    return found


def _in_place(
    graph: Graph,
    stages: tuple[Stage, ...],
    aliases: dict[str, str],
    life: dict[str, tuple[int, int]],
) -> set[tuple[str, str]]:
    """Pairs of a dying input and the output that may lie exactly over it."""
    found = set()
    for stage in stages:
        layer = Layer(graph, stage.nodes[-1])
        allowed = KERNELS[stage.kernel].in_place_inputs(layer)
        for name in stage.inputs:
            root = aliases[name]
            uses = [i for i, x in enumerate(layer.inputs) if aliases.get(x.name) == root]
            if life[root][1] == stage.index and all(index in allowed for index in uses):
                found.add((root, aliases[stage.output]))
    return found


def _place_buffers(
    graph: Graph, stages: tuple[Stage, ...], aliases: dict[str, str], *, keep_input: bool
) -> Plan:
    """Place buffers and scratch, outputs over dying inputs where the kernels allow it."""
    life = _life(graph, stages, aliases, keep_input)
    roots = list(life)
    number = {root: index for index, root in enumerate(roots)}
    blocks = [Block(graph.tensors[root].size_bytes, *life[root]) for root in roots]
    scratch = [stage for stage in stages if stage.scratch_bytes]
    blocks += [Block(stage.scratch_bytes, stage.index, stage.index) for stage in scratch]
    overlaps = {
        (number[source], number[result]): distance
        for (source, result), distance in _overlaps(graph, stages, aliases, life).items()
    }
    in_place = {
        (number[source], number[result])
        for source, result in _in_place(graph, stages, aliases, life)
    }
    offsets, total = place(blocks, BUFFER_ALIGN, overlaps, in_place)
    scratch_offsets = dict(
        zip((stage.index for stage in scratch), offsets[len(roots) :], strict=True)
    )
    return Plan(
        graph=graph,
        stages=tuple(
            replace(stage, scratch_offset=scratch_offsets.get(stage.index, 0)) for stage in stages
        ),
        buffers={
            root: Buffer(root, graph.tensors[root].size_bytes, *life[root], offset)
            for root, offset in zip(roots, offsets, strict=False)
        },
        aliases=aliases,
        arena_bytes=max(aligned(total, ARENA_ALIGN), ARENA_ALIGN),
        lower_bound_bytes=lower_bound(blocks, BUFFER_ALIGN, overlaps, in_place),
        keep_input=keep_input,
    )


def macs_of(graph: Graph) -> int:
    """Multiply-accumulates of one inference of any graph."""
    return sum(_node_macs(graph, node) for node in graph.nodes)


def _node_macs(graph: Graph, node: Node) -> int:
    return Layer(graph, node).macs
