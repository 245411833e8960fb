"""Where lines and scratch lie in a stage that is fused by rows."""

from collections.abc import Mapping
from dataclasses import replace

from edgecomp.plan.arena import Block, place
from edgecomp.plan.rows import MEAN, Line, RowProgram, RowStep
from edgecomp.plan.types import BUFFER_ALIGN


def laid_out(program: RowProgram, overlaps: Mapping[tuple[str, str], int]) -> RowProgram:
    """Give lines and the kernels' scratch their places.

    Args:
        program: the stage, without places.
        overlaps: for a row that is read and one that is written then: by how much the latter must
            begin before the former where it may lie over it.

    What lives within a turn shares memory by the order of the steps and comes first; then come the
    lasting lines, and sums, in the order in which their ends are first written, so that the late
    ones may lie over rows of the source that are dead by then.
    """
    steps = program.steps
    position = {step.tensor: index for index, step in enumerate(steps)}
    passing: dict[str, Block] = {}
    for index, step in enumerate(steps):
        line = program.lines.get(step.tensor)
        if line and not line.lasting and not line.within:
            readers = [
                number
                for number, other in enumerate(steps)
                if any(read.tensor == step.tensor for read in other.reads)
            ]
            first = [
                position[one.tensor] for one in program.lines.values() if one.within == step.tensor
            ]
            passing[f"line {step.tensor}"] = Block(
                line.size_bytes, min([index, *first]), max(readers)
            )
        if step.scratch_bytes and step.kernel != MEAN:
            passing[f"step {step.tensor}"] = Block(step.scratch_bytes, index, index)
    offsets: dict[str, int] = {}
    end = 0
    if passing:
        names = {name: index for index, name in enumerate(passing)}
        over = {
            (names[f"line {a}"], names[f"line {b}"]): distance
            for (a, b), distance in overlaps.items()
            if f"line {a}" in names and f"line {b}" in names
        }
        places, end = place(list(passing.values()), BUFFER_ALIGN, over)
        offsets = dict(zip(passing, places, strict=True))
    lasting = [
        (_end_touched(line, steps[position[line.tensor]]), f"line {line.tensor}", line.size_bytes)
        for line in program.lines.values()
        if line.lasting and not line.within
    ]
    sums = [
        (step.first, f"step {step.tensor}", step.scratch_bytes)
        for step in steps
        if step.kernel == MEAN
    ]
    for _, name, size in sorted((*lasting, *sums), key=lambda one: one[0]):
        offsets[name] = end
        end += _aligned(size)
    return replace(
        program,
        steps=tuple(
            replace(step, scratch_offset=offsets.get(f"step {step.tensor}", 0)) for step in steps
        ),
        lines=_moved(program.lines, offsets),
        scratch_bytes=end,
    )


def _moved(lines: Mapping[str, Line], offsets: Mapping[str, int]) -> dict[str, Line]:
    return {
        name: line if line.within else replace(line, offset=offsets[f"line {name}"])
        for name, line in lines.items()
    }


def _end_touched(line: Line, step: RowStep) -> int:
    """The turn in which the last rows of a line are first written."""
    return step.first + step.every * max(line.filling - 1, 0)


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // BUFFER_ALIGN) * BUFFER_ALIGN
