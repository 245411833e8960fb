"""What becomes of each operator when its input passes by tick by tick.

A rule gets a layer of the whole network of which at least one input has a time axis, adds what
computes it to the tick graph, and says how its output passes by, or that time has ended.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgecomp.errors import UnsupportedError
from edgecomp.ir import Node
from edgecomp.ops.movement import Pad
from edgecomp.ops.recurrent import RecurrentParams
from edgecomp.passes.tick_mean import running_mean
from edgecomp.passes.tick_recurrent import recurrent
from edgecomp.passes.tick_windows import convolved
from edgecomp.passes.ticks import (
    Line,
    Ticks,
    constants_of,
    mixed_padding,
    params_of,
    refusal,
    time_ends,
)

Rule = Callable[[Ticks, Node], None]


def _line(ticks: Ticks, node: Node) -> Line:
    """The first input's line."""
    return ticks.lines[node.inputs[0]]


def _unpadded(node: Node, line: Line) -> Line:
    if line.fill is not None:
        raise refusal(
            node,
            "frames of padding reach it, which would have to be computed before the first tick",
            "pad right before the convolution that needs it",
        )
    return line


def _passes_by(ticks: Ticks, node: Node, line: Line, **changes: Any) -> None:
    ticks.lines[node.output] = replace(line, **{"name": node.output, **changes})


def frame_by_frame(ticks: Ticks, node: Node) -> None:
    """Each frame of the output is made of the same frame of the input."""
    line = _unpadded(node, _line(ticks, node))
    ticks.emit(node, [line.name, *constants_of(ticks, node)])
    _passes_by(ticks, node, line)


def along_the_last_axis(ticks: Ticks, node: Node) -> None:
    """A layer that mixes the last axis."""
    line = _line(ticks, node)
    if line.axis == len(ticks.tensor(line).shape) - 1:
        raise refusal(node, "it mixes all frames", "let it work along the features of a frame")
    frame_by_frame(ticks, node)


def dense(ticks: Ticks, node: Node) -> None:
    """A dense layer over the features of each frame, or over all frames: time ends."""
    line = _line(ticks, node)
    length = ticks.length(node.inputs[0], line.axis)
    if line.axis == len(ticks.tensor(line).shape) - 1:
        time_ends(ticks, node, length)
    else:
        frame_by_frame(ticks, node)


def operands(ticks: Ticks, node: Node) -> None:
    """Element by element: what comes earlier is held back for what comes later."""
    lines = [_unpadded(node, ticks.lines[n]) for n in node.inputs if n in ticks.lines]
    axis, frames = lines[0].axis, lines[0].frames
    for name in node.inputs:
        tensor = ticks.whole.tensors[name]
        if name in ticks.lines:
            if (ticks.lines[name].axis, ticks.lines[name].frames) != (axis, frames):
                raise refusal(node, "its inputs have other times", "give them the same stride")
            continue
        if not tensor.is_const:
            raise refusal(
                node,
                f"{name!r} is made of all frames and meets single ones",
                "stream up to there, or use frames of the past only",
            )
        if len(tensor.shape) > axis and tensor.shape[axis] != 1:
            raise refusal(
                node,
                "a constant of it differs from frame to frame",
                "let constants be the same for every frame",
            )
    delay = max(line.delay for line in lines)
    inputs = [
        ticks.aligned(ticks.lines[name], delay) if name in ticks.lines else name
        for name in node.inputs
    ]
    ticks.emit(node, inputs)
    _passes_by(ticks, node, lines[0], delay=delay)


def joined(ticks: Ticks, node: Node) -> None:
    """Concatenation of features."""
    if params_of(node).axis == _line_of_any(ticks, node).axis:
        raise refusal(
            node, "it joins sequences one behind the other", "join features of the same frame"
        )
    operands(ticks, node)


def _line_of_any(ticks: Ticks, node: Node) -> Line:
    return next(ticks.lines[name] for name in node.inputs if name in ticks.lines)


def product(ticks: Ticks, node: Node) -> None:
    """A product of matrices, of which the left one has a frame in each row."""
    if node.inputs[0] not in ticks.lines or node.inputs[1] in ticks.lines:
        raise refusal(node, "frames meet frames, as in attention", "attention needs all of them")
    line = _line(ticks, node)
    if line.axis != len(ticks.tensor(line).shape) - 2:
        raise refusal(node, "it mixes all frames", "let each row be a frame")
    frame_by_frame(ticks, node)


def padded(ticks: Ticks, node: Node) -> None:
    """A border: frames before the first become the beginning of windows."""
    line = _line(ticks, node)
    before, after = list(params_of(node).before), list(params_of(node).after)
    axis = line.axis
    length = ticks.length(node.inputs[0], axis)
    if ticks.needed[node.output] > length + before[axis]:
        raise refusal(
            node,
            "it pads behind the last frame, which a stream does not have",
            "pad before the first frame only (causal)",
        )
    frames, before[axis], after[axis] = before[axis], 0, 0
    if any(before + after):
        _unpadded(node, line)
        params = replace(params_of(node), before=tuple(before), after=tuple(after))
        ticks.emit(node, [line.name], params)
        line = replace(line, name=node.output)
    if frames:
        code = Pad().code(params_of(node), ticks.whole.tensors[node.inputs[0]])
        if line.lag or line.fill not in {None, code}:
            raise mixed_padding(node)
        line = replace(line, delay=line.delay - frames, fill=code)
    ticks.lines[node.output] = line


def transposed(ticks: Ticks, node: Node) -> None:
    """The axes in another order."""
    line = _line(ticks, node)
    ticks.emit(node, [line.name])
    _passes_by(ticks, node, line, axis=params_of(node).perm.index(line.axis))


def reshaped(ticks: Ticks, node: Node) -> None:
    """The features of each frame in another shape; otherwise all frames together: time ends."""
    line = _line(ticks, node)
    old = ticks.whole.tensors[node.inputs[0]].shape
    new = ticks.whole.tensors[node.output].shape
    outer, length = math.prod(old[: line.axis]), old[line.axis]
    for axis, size in enumerate(new):
        if size == length and math.prod(new[:axis]) == outer:
            shape = (*new[:axis], line.frames, *new[axis + 1 :])
            name = ticks.reshaped(line.name, shape, node.output)
            ticks.lines[node.output] = replace(line, name=name, axis=axis)
            return
    time_ends(ticks, node, length)


def reduced(ticks: Ticks, node: Node) -> None:
    """A sum, mean or extreme: of features, or of all frames."""
    line = _line(ticks, node)
    axes = params_of(node).axes
    if line.axis in axes:
        if not running_mean(ticks, node):
            time_ends(ticks, node, ticks.length(node.inputs[0], line.axis))
        return
    ticks.emit(node, [_unpadded(node, line).name])
    gone = 0 if params_of(node).keepdims else sum(axis < line.axis for axis in axes)
    _passes_by(ticks, node, line, axis=line.axis - gone)


def gathered(ticks: Ticks, node: Node) -> None:
    """A choice of features; of frames, those from one on, or every n-th, or a single one."""
    line = _line(ticks, node)
    index = params_of(node).indices[line.axis]
    if index is not None and len(index) > 1:
        _skips(ticks, node, line, index)
        return
    rest = replace(
        params_of(node),
        indices=tuple(
            None if axis == line.axis else chosen
            for axis, chosen in enumerate(params_of(node).indices)
        ),
    )
    is_rest = any(chosen is not None for chosen in rest.indices)
    if index is None:
        ticks.emit(node, [line.name])
        _passes_by(ticks, node, line)
        return
    name = ticks.collapsed(node.inputs[0], index[0], index[0] + 1)
    ticks.names[node.output] = ticks.emit(node, [name], rest).name if is_rest else name


def _reads_backwards(ticks: Ticks, node: Node) -> UnsupportedError | None:
    """The error for a recurrent layer to which `node` gives the frames in another order."""
    readers = [n for n in ticks.whole.nodes if isinstance(n.params, RecurrentParams)]
    for reader in readers:
        if reader.inputs[0] == node.output:
            both = any(other.inputs[0] == node.inputs[0] for other in readers)
            return refusal(
                reader,
                ("the layer is bidirectional: one half" if both else "the layer is reversed: it")
                + " begins with the last frame",
                "use a layer of the direction forward",
            )
    return None


def _skips(ticks: Ticks, node: Node, line: Line, index: tuple[int, ...]) -> None:
    """Frames from `index[0]` on, every n-th."""
    stride = index[1] - index[0]
    if stride < 1 or index != tuple(range(index[0], index[-1] + 1, stride)):
        if (backwards := _reads_backwards(ticks, node)) is not None:
            raise backwards
        raise refusal(node, "it takes frames out of order", "take them in the order of time")
    if any(i is not None for axis, i in enumerate(params_of(node).indices) if axis != line.axis):
        raise refusal(node, "it takes frames and features at once", "use two layers")
    later = line.delay + index[0]
    delay = -(-(later + 1 - stride) // stride)
    age = line.frames - 1 - later + delay * stride
    count = line.frames // stride
    code = ticks.zero(line) if line.fill is None else line.fill
    name = ticks.frames_of(line, age, count, code, spacing=stride)
    fill = line.fill if delay < 0 else None
    ticks.lines[node.output] = Line(name, line.axis, count, delay, fill)


def never(limit: str, suggestion: str) -> Rule:
    """The rule of an operator that needs every frame."""

    def refuse(ticks: Ticks, node: Node) -> None:
        raise refusal(node, limit, suggestion)

    return refuse


RULES: dict[str, Rule] = {
    "conv2d": convolved,
    "max_pool": convolved,
    "average_pool": convolved,
    "lstm": recurrent,
    "gru": recurrent,
    "rnn": recurrent,
    "dense": dense,
    "softmax": along_the_last_axis,
    "log_softmax": along_the_last_axis,
    "layer_norm": along_the_last_axis,
    "argmax": along_the_last_axis,
    "top_values": along_the_last_axis,
    "top_indices": along_the_last_axis,
    "prelu": along_the_last_axis,
    "unary": frame_by_frame,
    "add": operands,
    "sub": operands,
    "mul": operands,
    "div": operands,
    "maximum": operands,
    "minimum": operands,
    "compare": operands,
    "where": operands,
    "concat": joined,
    "matmul": product,
    "pad": padded,
    "gather": gathered,
    "embedding": frame_by_frame,
    "reshape": reshaped,
    "transpose": transposed,
    "reduce_mean": reduced,
    "reduce_sum": reduced,
    "reduce_max": reduced,
    "reduce_min": reduced,
    "resize": never("it resizes what passes by", "leave it out, or repeat frames outside"),
}
"""A rule for every operator that can be computed tick by tick, or that has its own refusal."""
