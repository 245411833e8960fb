"""An independent check of a plan: it looks at the stages only, not at how they were placed."""

from edgecomp.errors import InternalError
from edgecomp.ir import DType
from edgecomp.plan.types import BUFFER_ALIGN, Plan


def verify_plan(plan: Plan) -> None:
    """Replay the plan on a map of the arena's bytes.

    Every byte remembers which tensor was last written there.  Before a stage runs, each input must
    still own all its bytes; while it runs, its output and its scratch may only cover bytes that
    nobody needs any more, or those of an input that its kernel may overwrite at this stage.

    Raises:
        InternalError: a stage would read bytes that another tensor has overwritten, or a buffer
            lies outside the arena or is not aligned.
    """
    owner: list[str] = [""] * plan.arena_bytes
    root = plan.aliases

    def claim(tensor: str) -> None:
        buffer = plan.buffer(tensor)
        end = buffer.arena_offset + plan.graph.tensors[tensor].size_bytes
        if buffer.arena_offset % BUFFER_ALIGN or end > plan.arena_bytes:
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

    for tensor in plan.graph.inputs:
        if plan.graph.tensors[tensor].dtype is not DType.INT8:
            raise InternalError(f"plan: model input {tensor!r} is not int8")
        claim(tensor)
    for tensor in plan.graph.inputs:
        check(tensor, "the first stage")
    for stage in plan.stages:
        for tensor in stage.inputs:
            check(tensor, f"stage {stage.index} ({stage.name})")
        if stage.scratch_bytes:
            begin, end = stage.scratch_offset, stage.scratch_offset + stage.scratch_bytes
            owner[begin:end] = [""] * (end - begin)
            for tensor in stage.inputs:
                check(tensor, f"stage {stage.index} ({stage.name}), whose scratch overlaps,")
        layer = plan.layer(stage)
        names = [tensor.name for tensor in layer.inputs]
        overwritable = {root[names[index]] for index in plan.kernel(stage).in_place_inputs(layer)}
        claim(stage.output)
        output = plan.buffer(stage.output)
        for tensor in stage.inputs:
            same_place = plan.buffer(tensor).arena_offset == output.arena_offset
            if not (root[tensor] in overwritable and same_place):
                check(tensor, f"stage {stage.index} ({stage.name}), while writing its output,")
    for tensor in plan.graph.outputs:
        check(tensor, "the caller")
    if plan.keep_input:
        for tensor in plan.graph.inputs:
            check(tensor, "the caller, who keeps the input,")
