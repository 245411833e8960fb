"""Many small models as one image: their plans side by side in one arena.

Every model keeps the plan that it would have alone (order, in-place results, offsets), so one
build per core proves hundreds of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecomp.codegen.context import Provenance, build_id, model_context
from edgecomp.codegen.emit import application_headers, model_sources
from edgecomp.device import ModelLayout
from edgecomp.interp import run_int
from edgecomp.ir import Array, DType, Graph, Node, QParams, Tensor
from edgecomp.kernels.base import Goal
from edgecomp.ops.pool import MaxPoolParams
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.types import Buffer, Plan, Stage
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import Core
from edgecomp.verification import as_bytes

STATES_AT = 1 << 30
"""Where states lie while the arena still grows."""
GAP = "behind the arena"
GAP_BYTES = 8
BEFORE_ARENA = 64
"""Painted bytes of the check image in front of its arena: `GUARD_BYTES` of firmware/app/check.c."""


@dataclass(frozen=True)
class Model:
    """A quantized graph with its samples.

    Attributes:
        name: what messages call it.
        graph: the graph.
        codes: input codes `(samples, *shape)` by input; equally many samples in all models.
        keep_input: plan it so that its inputs survive.
        goal: what it is optimized for.
        forced: kernels by the outputs that they are to compute, see `plan_graph`.
    """

    name: str
    graph: Graph
    codes: Mapping[str, Array]
    keep_input: bool = False
    goal: Goal = "balanced"
    forced: Mapping[str, str] | None = None

    def plan(self, core: Core) -> Plan:
        """The plan that it has alone."""
        return plan_graph(
            self.graph, core, keep_input=self.keep_input, goal=self.goal, forced=self.forced
        )

    def expected(self) -> dict[str, Array]:
        """Every tensor in the integers of the reference."""
        return run_int(self.graph, self.codes, keep=True)


@dataclass(frozen=True)
class Bundle:
    """The sources of several models as one, and how to talk to its image."""

    models: tuple[Model, ...]
    plan: Plan
    sources: Mapping[str, str]
    layout: ModelLayout

    @property
    def c_file(self) -> str:
        """Path of the C file in a working directory that `write` filled."""
        return f"src/{self.plan.graph.name}.c"

    def write(self, work: Path) -> Path:
        """Write the sources to `work`/src and return `work`."""
        (work / "src").mkdir(parents=True)
        for name, text in self.sources.items():
            (work / "src" / name).write_text(text)
        return work

    def inputs(self) -> npt.NDArray[np.int8]:
        """The samples of all models, `(samples, bytes)`."""
        parts = [
            as_bytes(model.codes[name]) for model in self.models for name in model.graph.inputs
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def expected(self) -> dict[str, Array]:
        """Every tensor of every model, `(samples, *shape)`, by its name in the bundle.

        The bytes between the models' arenas must keep the paint that the check image gave them.
        """
        samples = len(next(iter(self.models[0].codes.values())))
        found = {
            _joined(model, name): array
            for model in self.models
            for name, array in model.expected().items()
        }
        for stage in self.plan.stages:
            if stage.output.endswith(GAP):
                offset = self.plan.buffer(stage.output).arena_offset
                index = np.arange(offset, offset + GAP_BYTES, dtype=np.uint64) + BEFORE_ARENA
                paint = ((index * 2654435761 & 0xFFFFFFFF) >> 24).astype(np.uint8).view(np.int8)
                found[stage.output] = np.tile(paint, (samples, 1))
        return found


def bundle(models: Sequence[Model], core: Core, name: str = "bundle") -> Bundle:
    """Plan every model for `core` and generate one source for all."""
    plan = merge_plans(models, core, name)
    context = model_context(plan, Provenance("bundle", "0" * 64), {})
    sources = model_sources(context)
    headers = application_headers(context, sources)
    size = {key: tensor.size_bytes for key, tensor in plan.graph.tensors.items()}
    layout = ModelLayout(
        build_id=build_id(sources),
        arena_bytes=plan.arena_bytes,
        input_bytes=tuple(size[key] for key in plan.graph.inputs),
        output_bytes=tuple(size[key] for key in plan.graph.outputs),
        stage_output_bytes=tuple(size[stage.output] for stage in plan.stages),
        state_bytes=plan.state_bytes,
    )
    return Bundle(tuple(models), plan, {**sources, **headers}, layout)


def merge_plans(models: Sequence[Model], core: Core, name: str) -> Plan:
    """Put the plan of each model behind that of the one before, with a gap between the two."""
    merged = Plan(Graph(name, (), (), (), {}), (), {}, {}, 0, 0, False)
    gaps = []
    for model in models:
        plan = model.plan(core)
        merged = _append(merged, model, plan)
        merged = replace(merged, arena_bytes=merged.arena_bytes + GAP_BYTES)
        gaps.append((model, merged.arena_bytes - GAP_BYTES))
    merged = _with_states_behind(merged)
    verify_plan(merged)
    for model, offset in gaps:
        merged = _with_gap(merged, model, offset)
    return merged


def _with_states_behind(merged: Plan) -> Plan:
    """Let the states begin where the arena ends."""
    return replace(
        merged,
        buffers={
            name: replace(buffer, arena_offset=buffer.arena_offset - STATES_AT + merged.arena_bytes)
            if buffer.arena_offset >= STATES_AT
            else buffer
            for name, buffer in merged.buffers.items()
        },
    )


def _with_gap(merged: Plan, model: Model, offset: int) -> Plan:
    """Add a stage that reads the bytes behind a model's arena and writes them as they are."""
    name = _joined(model, GAP)
    graph, shape = merged.graph, (1, 1, 1, GAP_BYTES)
    qparams = QParams.per_tensor(1.0, 0)
    tensors = {key: Tensor(key, shape, DType.INT8, qparams) for key in (f"{name}.before", name)}
    window = MaxPoolParams(kernel_h=1, kernel_w=1)
    node = Node(name, "max_pool", (f"{name}.before",), name, window)
    index = len(merged.stages)
    return replace(
        merged,
        graph=graph.replace(nodes=(*graph.nodes, node), tensors={**graph.tensors, **tensors}),
        stages=(
            *merged.stages,
            Stage(index, (node,), "max_pool_generic", "", node.inputs, node.output),
        ),
        buffers={
            **merged.buffers,
            **{key: Buffer(key, GAP_BYTES, -1, index, offset) for key in tensors},
        },
        aliases={**merged.aliases, **{key: key for key in tensors}},
    )


def _append(merged: Plan, model: Model, plan: Plan) -> Plan:
    def joined(name: str) -> str:
        return _joined(model, name)

    graph, begin, first = merged.graph, merged.arena_bytes, len(merged.stages)
    states_begin = STATES_AT + merged.state_bytes - plan.arena_bytes
    nodes = {
        node.output: replace(
            node,
            name=joined(node.name),
            inputs=tuple(joined(n) for n in node.inputs),
            output=joined(node.output),
        )
        for node in plan.graph.nodes
    }
    tensors = {
        joined(n): replace(tensor, name=joined(n)) for n, tensor in plan.graph.tensors.items()
    }
    return Plan(
        graph=graph.replace(
            inputs=(*graph.inputs, *(joined(n) for n in plan.graph.inputs)),
            outputs=(*graph.outputs, *(joined(n) for n in plan.graph.outputs)),
            nodes=(*graph.nodes, *nodes.values()),
            tensors={**graph.tensors, **tensors},
            states=(
                *graph.states,
                *(
                    replace(state, source=joined(state.source), update=joined(state.update))
                    for state in plan.graph.states
                ),
            ),
        ),
        stages=(
            *merged.stages,
            *(
                replace(
                    stage,
                    index=stage.index + first,
                    nodes=tuple(nodes[node.output] for node in stage.nodes),
                    inputs=tuple(joined(n) for n in stage.inputs),
                    output=joined(stage.output),
                    scratch_offset=stage.scratch_offset + begin,
                    rows=stage.rows
                    and stage.rows.renamed({n: joined(n) for n in plan.graph.tensors}),
                )
                for stage in plan.stages
            ),
        ),
        buffers={
            **merged.buffers,
            **{
                joined(n): replace(
                    buffer,
                    name=joined(buffer.name),
                    first_use=buffer.first_use + first,
                    last_use=buffer.last_use + first,
                    arena_offset=buffer.arena_offset
                    + (states_begin if plan.is_state(buffer.arena_offset) else begin),
                )
                for n, buffer in plan.buffers.items()
            },
        },
        aliases={**merged.aliases, **{joined(a): joined(b) for a, b in plan.aliases.items()}},
        arena_bytes=begin + plan.arena_bytes,
        lower_bound_bytes=merged.lower_bound_bytes + plan.lower_bound_bytes,
        state_bytes=merged.state_bytes + plan.state_bytes,
        keep_input=False,
    )


def _joined(model: Model, name: str) -> str:
    return f"{model.name}/{name}"


def in_pieces(models: Sequence[Model], arena_bytes: int, core: Core) -> Iterator[list[Model]]:
    """Split models into groups whose arenas together stay below `arena_bytes`.

    A model that is larger alone is left out.
    """
    piece: list[Model] = []
    used = 0
    for model in models:
        needed = model.plan(core).arena_bytes + GAP_BYTES
        if needed > arena_bytes:
            continue
        if used + needed > arena_bytes:
            yield piece
            piece, used = [], 0
        piece.append(model)
        used += needed
    if piece:
        yield piece
