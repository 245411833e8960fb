"""From a stage that is fused by rows to the text of its loop."""

import re
from dataclasses import dataclass

from edgecomp.codegen.decoded import signature_of, with_decoder
from edgecomp.codegen.env import render
from edgecomp.ir import Shape
from edgecomp.kernels import Kernel, Layer
from edgecomp.kernels.decoded import Decoded
from edgecomp.kernels.rows_mean import TEMPLATE as MEAN_TEMPLATE
from edgecomp.kernels.rows_mean import RowMean
from edgecomp.plan.rows import COPY, MEAN, Line, Read, RowProgram, RowStep
from edgecomp.plan.types import BUFFER_ALIGN, Plan, Stage
from edgecomp.requant import REQUANTIZERS


@dataclass(frozen=True)
class Filling:
    """Bytes of the scratch that are filled with padding."""

    offset: int
    code: int
    bytes: int


@dataclass(frozen=True)
class StepSource:
    """One step of a turn as the template writes it.

    Attributes:
        comment: what it computes.
        condition: in which turns; empty for all.
        row: C expression of its row, or of its band where that has several.
        name: what the code calls that.
        needs_row: whether any other text names it.
        last: turn of its last computed row.
        pad: what is filled with the first row.
        moves: C condition for moving the line on.
        move: the statement that does; empty where there is none.
        below: what is filled instead of a row behind the last.
        call: the statement that computes a row.
    """

    comment: str
    condition: str
    row: str
    name: str
    needs_row: bool
    last: int
    pad: Filling | None
    moves: str
    move: str
    below: Filling | None
    call: str


@dataclass(frozen=True)
class RowsSource:
    """A stage as its template needs it."""

    turns: int
    band: int
    steps: tuple[StepSource, ...]
    streamed: bool


def rows_body(plan: Plan, stage: Stage) -> str:
    """The functions of a stage: one for each of its layers, and the loop that calls them."""
    program = stage.rows
    assert program is not None
    parts = [render("rows/helpers.c.j2")]
    calls: dict[str, str] = {}
    for index, (step, layer, kernel) in enumerate(plan.row_steps(stage)):
        if layer is not None:
            label = f"{stage.label}_{index}"
            text, calls[step.tensor] = (
                layer_function(label, layer, kernel) if kernel else _mean_function(label, layer)
            )
            parts.append(text)
    steps = tuple(_step(program, step, calls.get(step.tensor, ""), plan) for step in program.steps)
    source = RowsSource(program.turns, program.band, steps, program.streamed)
    loop = render("rows/stage.c.j2", label=stage.label, s=source)
    parts.append(_as_stage(loop))
    return "\n".join(parts)


def _as_stage(text: str) -> str:
    return text.replace("static void", "static EC_STAGE void", 1).strip() + "\n"


def layer_function(label: str, layer: Layer, kernel: Kernel) -> tuple[str, str]:
    """The text of the functions that compute a layer, and the name of the one to call."""
    text = _as_stage(
        render(
            f"kernels/{kernel.template}",
            layer=label,
            op=layer.node.op,
            requantize=REQUANTIZERS[layer.node.numerics].c_function,
            **kernel.context(layer),
        )
    )
    if isinstance(kernel, Decoded):
        return with_decoder(label, layer, kernel, text)
    return text, signature_of(text)[1]


def _mean_function(label: str, layer: Layer) -> tuple[str, str]:
    text = _as_stage(render(MEAN_TEMPLATE, layer=label, m=RowMean.of(layer)))
    return text, f"{label}_mean"


def _at(base: str, offset: int) -> str:
    return f"{base} + {offset}" if offset else base


def _shape(shape: Shape) -> str:
    return "x".join(str(n) for n in shape[2:])


def _step(program: RowProgram, step: RowStep, function: str, plan: Plan) -> StepSource:
    line = program.lines.get(step.tensor)
    made = program.bands_made(step)
    call = _call(program, step, function)
    name, rows = _name(step), f"{step.each} rows" if step.each > 1 else "a row"
    shape = plan.graph.tensors[step.tensor].shape
    what = f"{step.tensor}: {rows} of {_shape(shape)}" if step.kernel != MEAN else step.tensor
    pad = move = below = moves = None
    moved = program.moved(step, 0) or program.moved(step, made - 1)
    if moved and moved.rows > moved.each:
        words = moved.row_bytes % BUFFER_ALIGN == 0
        move = (
            f"ec_move_{'words' if words else 'bytes'}({_at('scratch', moved.offset)}, "
            f"{_at('scratch', moved.offset + moved.band_bytes)}, "
            f"{moved.size_bytes - moved.band_bytes});"
        )
        is_ready = program.moved(step, 0) is None
        moves = f"{name} >= {max(moved.filling, step.bands if is_ready else 1)}"
        if moved.pad_top and not is_ready:
            pad = Filling(moved.first_pad(), moved.code, moved.pad_top * moved.row_bytes)
    if line and made > step.bands:
        below = Filling(line.newest, line.code, line.band_bytes)
    return StepSource(
        comment=what,
        condition=_condition(program, step, made),
        row=_row(step),
        name=name,
        needs_row=move is not None or bool(re.search(rf"\b{name}\b", call)),
        last=step.last,
        pad=pad,
        moves=moves or "",
        move=move or "",
        below=below,
        call=call,
    )


def _name(step: RowStep) -> str:
    """What the code calls the number of what a step makes."""
    return "band" if step.each > 1 else "row"


def _target(program: RowProgram, line: Line) -> str:
    """Where the new row, or band, of a line lies."""
    if line.within:
        return _target(program, program.lines[line.within])
    if line.filling <= 1:
        return _at("scratch", line.newest)
    first, name = _at("scratch", line.place_of(0)), "band" if line.each > 1 else "row"
    last = line.filling - 1
    return f"{first} + ({name} < {last} ? {name} : {last}) * {line.band_bytes}"


def _row(step: RowStep) -> str:
    since = f"turn - {step.first}" if step.first else "turn"
    if step.every == 1:
        return since
    return f"({since}) / {step.every}" if step.first else f"{since} / {step.every}"


def _condition(program: RowProgram, step: RowStep, made: int) -> str:
    """In which turns a step makes a row; what always holds is left out."""
    parts = []
    last = step.first + step.every * (made - 1)
    if step.first:
        parts.append(f"turn >= {step.first}")
    if last + step.every < program.turns:
        parts.append(f"turn <= {last}")
    if step.every > 1:
        since = f"(turn - {step.first})" if step.first else "turn"
        parts.append(f"{since} % {step.every} == 0")
    return " && ".join(parts)


def _call(program: RowProgram, step: RowStep, function: str) -> str:
    line = program.lines.get(step.tensor)
    if step.kernel == COPY:
        assert line is not None
        size = step.each * program.source_row_bytes
        source = "source" if program.streamed else f"source + turn * {size}"
        return f"__builtin_memcpy({_target(program, line)}, {source}, {size});"
    arguments = [_window(program, step, read) for read in step.reads]
    scratch = _at("scratch", step.scratch_offset)
    if step.kernel == MEAN:
        sums = (
            f"(int32_t *)(void *)({scratch})"
            if step.scratch_offset
            else "(int32_t *)(void *)scratch"
        )
        return f"{function}({', '.join([*arguments, 'result', sums, 'row'])});"
    if line:
        arguments.append(_target(program, line))
    else:
        arguments.append(f"result + {_name(step)} * {step.each * program.result_row_bytes}")
    if step.scratch_bytes:
        arguments.append(scratch)
    return f"{function}({', '.join(arguments)});"


def _window(program: RowProgram, step: RowStep, read: Read) -> str:
    """Where the rows lie that a step reads."""
    line: Line | None = program.lines.get(read.tensor)
    if line and line.within:
        return _target(program, line)
    if line:
        return _at("scratch", line.offset + read.slot * line.row_bytes)
    return f"source + {_name(step)} * {read.stride * program.source_row_bytes}"
