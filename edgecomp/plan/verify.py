"""An independent check of a plan: it looks at the stages only, not at how they were placed."""

from edgecomp.errors import InternalError
from edgecomp.ir import DType
from edgecomp.plan.schedule import reshape_roots
from edgecomp.plan.types import BUFFER_ALIGN, Plan, Stage
from edgecomp.plan.verify_events import check_events
from edgecomp.plan.verify_rows import RowReplay, check_kernels


def verify_plan(plan: Plan) -> None:
    """Replay the plan on a map of the arena's bytes.

    Every byte remembers which tensor was last written there.  Before a stage runs, each input must
    still own all its bytes.  While it runs, its scratch may cover neither its inputs nor its
    output, and where its output covers inputs, its events are replayed element by element: none
    may read what an earlier one has overwritten.

    Raises:
        InternalError: a stage would read bytes that another tensor has overwritten, or a buffer
            lies outside the arena or is not aligned.
    """
    memory_bytes = plan.arena_bytes + plan.state_bytes
    owner: list[str] = [""] * memory_bytes
    root = reshape_roots(plan.graph)

    def claim(tensor: str) -> None:
        buffer = plan.buffer(tensor)
        end = buffer.arena_offset + plan.graph.tensors[tensor].size_bytes
        limit = memory_bytes if plan.is_state(buffer.arena_offset) else plan.arena_bytes
        if buffer.arena_offset % BUFFER_ALIGN or end > limit:
            raise InternalError(f"plan: {tensor!r} lies outside the arena or is not aligned")
        owner[buffer.arena_offset : end] = [root[tensor]] * (end - buffer.arena_offset)

    def check(tensor: str, reader: str) -> None:
        buffer = plan.buffer(tensor)
        end = buffer.arena_offset + plan.graph.tensors[tensor].size_bytes
        lost = {name for name in owner[buffer.arena_offset : end] if name != root[tensor]}
        if lost:
            raise InternalError(
                f"plan: {reader} reads {tensor!r}, part of which {lost.pop() or 'scratch'!r} holds"
            )

    streamed = plan.streamed_inputs
    for tensor in plan.graph.inputs:
        if plan.graph.tensors[tensor].dtype not in {DType.INT8, DType.INT16}:
            raise InternalError(f"plan: model input {tensor!r} has no codes")
        if tensor not in streamed:
            claim(tensor)
    for state in plan.graph.states:
        claim(state.source)
    for tensor in (*plan.graph.inputs, *(state.source for state in plan.graph.states)):
        if tensor not in streamed:
            check(tensor, "the first stage")
    for stage in plan.stages:
        for tensor in stage.inputs:
            if tensor not in streamed:
                check(tensor, f"stage {stage.index} ({stage.name})")
        if stage.scratch_bytes:
            begin, end = stage.scratch_offset, stage.scratch_offset + stage.scratch_bytes
            _check_scratch(plan, stage, begin, end)
            owner[begin:end] = [""] * (end - begin)
        if stage.rows is not None:
            _check_rows(plan, stage)
        else:
            for tensor in stage.inputs:
                check(tensor, f"stage {stage.index} ({stage.name}), whose scratch overlaps,")
            for index, source in enumerate(plan.layer(stage).inputs):
                if not source.is_const:
                    _check_overlap(plan, stage, index)
        claim(stage.output)
    for tensor in plan.graph.outputs:
        check(tensor, "the caller")
    for state in plan.graph.states:
        check(state.update, "the next run")
        places = {plan.buffer(name).arena_offset for name in (state.source, state.update)}
        if len(places) > 1 or not plan.is_state(min(places)):
            raise InternalError(f"plan: the state {state.source!r} is not kept where it lies")
    if plan.keep_input:
        for tensor in plan.graph.inputs:
            check(tensor, "the caller, who keeps the input,")


def _check_scratch(plan: Plan, stage: Stage, begin: int, end: int) -> None:
    """Check where the scratch lies: inside the arena, aligned, and apart from the output."""
    where = f"plan: the scratch of stage {stage.index} ({stage.name})"
    if begin % BUFFER_ALIGN or begin < 0 or end > plan.arena_bytes:
        raise InternalError(f"{where} lies outside the arena or is not aligned")
    output = plan.buffer(stage.output).arena_offset
    if begin < output + plan.graph.tensors[stage.output].size_bytes and output < end:
        raise InternalError(f"{where} lies over its output")


def _check_rows(plan: Plan, stage: Stage) -> None:
    """Replay the turns of a stage that is fused by rows."""
    assert stage.rows is not None
    name = f"stage {stage.index} ({stage.name})"
    layers = {layer.output.name: layer for layer in plan.layers(stage)}
    check_kernels(name, stage.rows, layers)
    source = 0 if stage.rows.streamed else plan.buffer(stage.rows.source).arena_offset
    replay = RowReplay(name, stage.rows, layers, plan.arena_bytes)
    replay.run(source, plan.buffer(stage.output).arena_offset, stage.scratch_offset)


def _check_overlap(plan: Plan, stage: Stage, index: int) -> None:
    """Replay the stage's events where its output lies over input `index`."""
    layer, kernel = plan.layer(stage), plan.kernel(stage)
    source, result = layer.inputs[index], layer.output
    gap = plan.buffer(result.name).arena_offset - plan.buffer(source.name).arena_offset
    where = f"plan: stage {stage.index} ({stage.name}) writes its output over {source.name!r}"
    check_events(where, kernel, layer, index, gap)
