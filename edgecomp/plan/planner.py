"""From a quantized graph to a plan: kernels, order, live ranges, arena."""

from collections.abc import Mapping
from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph, Node
from edgecomp.kernels import Kernel, Layer, kernel_of
from edgecomp.kernels.base import Goal
from edgecomp.plan.bands import Band, Bands
from edgecomp.plan.buffers import Blocks, numbered, split_plan
from edgecomp.plan.costs import CostTable, cost_table
from edgecomp.plan.least_arena import LeastArena
from edgecomp.plan.lighten import lighten
from edgecomp.plan.schedule import order_nodes
from edgecomp.plan.segments import Segments
from edgecomp.plan.select import select_kernels
from edgecomp.plan.storages import choose_storages
from edgecomp.plan.types import Plan, StorageChoice
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import Core

CYCLES_FOR_RAM = 1.605
"""`ram` takes at most so many times the estimated cycles of what `balanced` chooses; rows are
estimated half a percent too high."""


def plan_graph(
    graph: Graph,
    core: Core,
    *,
    keep_input: bool = False,
    goal: Goal = "balanced",
    table: CostTable | None = None,
    flash_bytes: int | None = None,
    forced: Mapping[str, str] | None = None,
    stream_input: bool = False,
    rooms: tuple[int, ...] = (),
    data_room: int | None = None,
) -> Plan:
    """Plan stages for `graph` on `core`: of one operator each, or of several, fused by rows.

    Args:
        graph: a quantized graph.
        core: the processor.
        keep_input: let the model's inputs survive the inference.
        goal: what the build is optimized for.
        table: what kernels cost, the kept measurements of the core unless given.
        flash_bytes: what the board has for the image.
        forced: names of kernels by the output that they are to compute, whatever they cost.
        stream_input: let the caller hand over the input row by row; for the goal `ram`.
        rooms: bytes of the memories that could hold an arena, the largest first: where the first
            is too small for the whole arena it is split over two, if these are enough.
        data_room: bytes of the memory of static data that weights decoded at boot may take; the
            arena comes first where that is its only memory.

    Returns:
        A verified plan.

    Raises:
        UserError: the input cannot be streamed, or weights not be decoded when a layer asks.
        DoesNotFitError: weights that are to be decoded at boot have no room.
    """
    costs = cost_table(core) if table is None else table
    stored, storage_choices = choose_storages(graph, core, goal, costs, forced or {}, data_room)
    ordered = stored.replace(nodes=order_nodes(stored, keep_input=keep_input))
    layers = [Layer(ordered, node) for node in ordered.nodes if node.op != "reshape"]

    fusing = Bands(ordered, layers, core, costs)

    def chosen(goal: Goal) -> tuple[list[Kernel], tuple[Band, ...]]:
        found = select_kernels(layers, core, goal, table=costs, flash_bytes=flash_bytes)
        bands: tuple[Band, ...] = ()
        if goal in {"balanced", "size"}:
            found, bands = lighten(fusing, found, core, goal, keep_input=keep_input)
        return [found[layer.output.name] for layer in layers], bands

    kernels, bands = chosen(goal)
    if forced:
        names = [forced.get(layer.output.name) for layer in layers]
        kernels = [kernel_of(n) if n else k for n, k in zip(names, kernels, strict=True)]
    stages = fusing.stages(kernels, () if forced else bands)
    assert stages is not None
    plan = Blocks(ordered, numbered(stages), keep_input).plan()
    by_rows = not graph.states and not graph.has_int16
    if goal == "ram" and not forced and by_rows:  # a tick has few rows to save
        _require_streamable(ordered, stream_input=stream_input, keep_input=keep_input)
        segments = Segments(ordered, core, costs, keep_input=keep_input, stream_input=stream_input)
        usual = fusing.total_cycles(*chosen("balanced"))
        lean = LeastArena(segments, CYCLES_FOR_RAM * usual).plan()
        plan = lean if stream_input or lean.arena_bytes < plan.arena_bytes else plan
    elif stream_input:
        raise UserError("--stream-input computes by rows: add --optimize ram")
    if len(rooms) > 1 and plan.arena_bytes > rooms[0] and not plan.state_bytes:
        plan = split_plan(plan, (rooms[0], rooms[1])) or plan
    plan = replace(plan, storage_choices=_as_decoded(plan, storage_choices))
    shared = plan.boot_ram_bytes + plan.arena_bytes
    if data_room is not None and len(rooms) == 1 and plan.boot_ram_bytes and shared > data_room:
        return plan_graph(
            graph,
            core,
            keep_input=keep_input,
            goal=goal,
            table=table,
            flash_bytes=flash_bytes,
            forced=forced,
            stream_input=stream_input,
            data_room=data_room - plan.arena_bytes,
        )
    verify_plan(plan)
    return plan


def _as_decoded(plan: Plan, choices: tuple[StorageChoice, ...]) -> tuple[StorageChoice, ...]:
    """The choices with when, and into how much RAM, the plan's kernels decode."""
    stages = {stage.output: stage for stage in plan.stages if not stage.rows}
    return tuple(
        replace(choice, decode=plan.kernel(stage).decode or "", boot_bytes=plan.boot_bytes(stage))
        if (stage := stages.get(choice.output))
        else replace(choice, decode="", boot_bytes=0)
        for choice in choices
    )


def _require_streamable(graph: Graph, *, stream_input: bool, keep_input: bool) -> None:
    """Refuse to stream what has no rows, or what is to be kept."""
    if not stream_input:
        return
    if keep_input:
        raise UserError("--stream-input leaves no input in the arena that --keep-input could keep")
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] < 2:
        raise UserError(
            "--stream-input needs a model with one input of several rows, "
            f"this one has {', '.join('x'.join(map(str, shape)) for shape in shapes)}"
        )


def macs_of(graph: Graph) -> int:
    """Multiply-accumulates of one inference of any graph."""
    return sum(_node_macs(graph, node) for node in graph.nodes)


def _node_macs(graph: Graph, node: Node) -> int:
    return Layer(graph, node).macs
