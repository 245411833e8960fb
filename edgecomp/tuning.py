"""Measuring what kernels cost: many layers in one image, counted stage by stage in the emulator."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgecomp.artifact import layout_of
from edgecomp.build import Program, compile_images, disassemble
from edgecomp.build.sizes import measure
from edgecomp.codegen.context import Provenance, build_id, model_context
from edgecomp.codegen.emit import application_headers, model_sources
from edgecomp.device import QemuEngine
from edgecomp.errors import DeviceError, UserError
from edgecomp.ir import Graph
from edgecomp.kernels import KERNELS, Kernel, Layer
from edgecomp.plan.arena import aligned
from edgecomp.plan.costs import Cost, CostTable, Point, cost_table, signature, sizes
from edgecomp.plan.select import applicable
from edgecomp.plan.stack import stack_bound
from edgecomp.plan.types import ARENA_ALIGN, Buffer, Plan, Stage
from edgecomp.profile import Layer as ProfileLayer
from edgecomp.profile import profile_image
from edgecomp.profiling import stand_in
from edgecomp.targets.boards import Board, load_boards
from edgecomp.targets.cores import Core
from edgecomp.tuning_layers import tuning_graphs

NAME = "tuning"
PIECE_BYTES = 300_000
"""Constants of one image; larger ones take the assembler long."""
PIECE_STAGES = 48


@dataclass(frozen=True)
class Trial:
    """A layer, and the kernel that is to compute it."""

    layer: Layer
    kernel: Kernel

    @property
    def constant_bytes(self) -> int:
        """Bytes of its constants."""
        return sum(constant.size_bytes for constant in self.kernel.constants(self.layer))


def board_of(core: Core) -> Board:
    """The emulated board on which `core` is measured.

    Raises:
        UserError: none executes its code.
    """
    any_board = next((board for board in load_boards().values() if board.core == core), None)
    if any_board is None:
        raise UserError(f"no board of the table has a {core.title}")
    return stand_in(any_board)


def tune_core(core: Core, say: Callable[[str], None]) -> CostTable:
    """Measure every kernel that `core` can execute on all the layers of `tuning_graphs`."""
    layers = [Layer(graph, graph.nodes[0]) for graph in tuning_graphs()]
    return tune_layers(layers, board_of(core), say)


def tune_model(graph: Graph, board: Board, say: Callable[[str], None]) -> CostTable:
    """Measure every kernel on the very layers of `graph`; the kept table fills the rest."""
    layers = [Layer(graph, node) for node in graph.nodes if node.op != "reshape"]
    measured = tune_layers(layers, stand_in(board), say)
    return cost_table(board.core).with_points(measured.points)


def tune_layers(layers: Sequence[Layer], board: Board, say: Callable[[str], None]) -> CostTable:
    """Measure every kernel on every one of `layers`, layers alike once.

    Args:
        layers: of any graphs.
        board: an emulated board.
        say: called with progress.

    Raises:
        DeviceError: an image failed.
    """
    alike = {signature(layer): layer for layer in reversed(layers)}
    trials = [
        Trial(layer, kernel)
        for layer in reversed(alike.values())
        for kernel in applicable(layer, board.core)
        if kernel.name in KERNELS  # what decodes whole layers is estimated from plain kernels
    ]
    points: dict[str, list[Point]] = {}
    done = 0
    for piece in _pieces(trials):
        for trial, cost in zip(piece, measure_trials(piece, board), strict=True):
            point = Point(signature(trial.layer), sizes(trial.layer), cost)
            points.setdefault(trial.kernel.name, []).append(point)
        done += len(piece)
        say(f"measured {done} of {len(trials)} layers on the {board.core.title}")
    return CostTable({name: tuple(several) for name, several in points.items()})


def _pieces(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """Split trials into groups, each small enough for one image."""
    piece: list[Trial] = []
    used = 0
    for trial in trials:
        needed = trial.constant_bytes
        if piece and (used + needed > PIECE_BYTES or len(piece) == PIECE_STAGES):
            yield piece
            piece, used = [], 0
        piece.append(trial)
        used += needed
    if piece:
        yield piece


def measure_trials(trials: Sequence[Trial], board: Board) -> list[Cost]:
    """Count each trial as a stage of one image.

    The stages know nothing of each other: all work at the same place, on whatever lies there.
    """
    plan = trial_plan(trials)
    context = model_context(plan, Provenance(NAME, "0" * 64), {})
    sources = model_sources(context)
    layout = layout_of(plan, build_id(sources))
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
        work = Path(temporary)
        (work / "src").mkdir()
        for name, text in {**sources, **application_headers(context, sources)}.items():
            (work / "src" / name).write_text(text)
        stack_of = functools.partial(stack_bound, core=board.core)
        images = compile_images(work, board, [f"src/{NAME}.c"], stack_of=stack_of)
        if images.check is None:
            raise DeviceError("; ".join(images.check_problems))
        sample = np.zeros((1, sum(layout.input_bytes)), np.int8)
        named = [
            ProfileLayer(stage.label, stage.ops, stage.kernel, stage.storage, 0)
            for stage in plan.stages
        ]
        profile = profile_image(
            QemuEngine(board, images.check), layout, sample, model=NAME, layers=named
        )
        code = _Code(images.check)
    return [
        Cost(
            entry.cost.instructions,
            entry.cost.modelled_cycles,
            *code.of_stage(stage.label),
        )
        for stage, entry in zip(plan.stages, profile.layers, strict=True)
    ]


def trial_plan(trials: Sequence[Trial]) -> Plan:
    """A plan in which every stage has its inputs at the start, its output and scratch behind."""
    stages: list[Stage] = []
    buffers: dict[str, Buffer] = {}
    tensors, nodes = {}, []
    arena = ARENA_ALIGN
    for index, trial in enumerate(trials):
        layer = trial.layer
        renamed = {tensor.name: f"t{index}/{tensor.name}" for tensor in layer.inputs}
        renamed[layer.output.name] = f"t{index}/{layer.output.name}"
        for tensor in (*layer.inputs, layer.output):
            tensors[renamed[tensor.name]] = replace(tensor, name=renamed[tensor.name])
        node = replace(
            layer.node,
            inputs=tuple(renamed[name] for name in layer.node.inputs),
            output=renamed[layer.output.name],
        )
        nodes.append(node)
        computed = [tensor for tensor in layer.inputs if not tensor.is_const]
        end = 0
        for tensor in (*{t.name: t for t in computed}.values(), layer.output):
            name = renamed[tensor.name]
            buffers[name] = Buffer(name, tensor.size_bytes, index - 1, index, end)
            end = aligned(end + tensor.size_bytes, ARENA_ALIGN)
        scratch = trial.kernel.scratch_bytes(layer)
        stages.append(
            Stage(
                index=index,
                nodes=(node,),
                kernel=trial.kernel.name,
                storage="",
                inputs=tuple(renamed[tensor.name] for tensor in computed),
                output=node.output,
                scratch_bytes=scratch,
                scratch_offset=end,
            )
        )
        arena = max(arena, aligned(end + scratch, ARENA_ALIGN))
    graph = Graph(NAME, (stages[0].inputs[0],), (stages[0].output,), tuple(nodes), tensors)
    aliases = {name: name for name in buffers}
    return Plan(graph, tuple(stages), buffers, aliases, arena, arena, keep_input=False)


class _Code:
    """The functions of an image: their sizes, and which calls which."""

    def __init__(self, elf: Path) -> None:
        self.program: Program = disassemble(elf)
        self.bytes = {
            symbol.addr & ~1: symbol.size_bytes
            for symbol in measure(elf).symbols
            if symbol.addr & ~1 in self.program.functions
        }

    def of_stage(self, label: str) -> tuple[int, Mapping[str, int]]:
        """Bytes of the stage's own function, and of each that it calls."""
        own = next(
            addr
            for addr, name in self.program.functions.items()
            if name.lstrip("_").startswith(f"{label}_")
        )
        called: set[int] = set()
        todo = [own]
        while todo:
            for target in self._targets(todo.pop()):
                if target not in called and target != own:
                    called.add(target)
                    todo.append(target)
        names = {self.program.functions[addr]: self.bytes.get(addr, 0) for addr in sorted(called)}
        return self.bytes[own], names

    def _targets(self, entry: int) -> set[int]:
        """Functions whose start an instruction of the function at `entry` refers to."""
        end = entry + self.bytes.get(entry, 0)
        return {
            instruction.target
            for addr, instruction in self.program.instructions.items()
            if entry <= addr < end and instruction.target in self.program.functions
        } - {entry}
