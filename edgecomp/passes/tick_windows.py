"""The window of a convolution or pool along the time axis, whichever of its two axes that is."""

import math
from dataclasses import dataclass, replace
from typing import Any

from edgecomp.ir import Node
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.spatial import Window
from edgecomp.passes.tick_mean import running_mean
from edgecomp.passes.ticks import Line, Ticks, mixed_padding, params_of, refusal, time_ends

LOWEST_CODE = -128
MOST_COPIED = 2
"""Windows of a tick that are copied out for a dense layer: convolutions are faster from 3 on."""


@dataclass(frozen=True)
class TimeWindow:
    """A window along time; `letter` says whether that is height or width.

    Attributes:
        letter: `h` or `w`.
        kernel: frames that are read.
        stride: frames from one window to the next.
        dilation: frames from one tap to the next.
        before: frames of padding before the first.
        after: and behind the last.
    """

    letter: str
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        """Frames from the first tap to the last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    def changed(self, params: Any, **changes: int) -> Any:
        """The parameters with another window along time."""
        names = _names(self.letter)
        return replace(params, **{names[key]: value for key, value in changes.items()})


def _names(letter: str) -> dict[str, str]:
    before, after = ("pad_top", "pad_bottom") if letter == "h" else ("pad_left", "pad_right")
    names = {key: f"{key}_{letter}" for key in ("kernel", "stride", "dilation")}
    return {**names, "before": before, "after": after}


def time_window(node: Node, line: Line, rank: int) -> TimeWindow:
    """The window of a layer along its input's time axis.

    Raises:
        UnsupportedError: the axis is that of channels.
    """
    letter = {(4, 1): "h", (4, 2): "w", (3, 1): "w"}.get((rank, line.axis))
    if letter is None:
        raise refusal(
            node, "time lies along its channels", "let the channels be the features of a frame"
        )
    return TimeWindow(
        letter, **{key: getattr(node.params, name) for key, name in _names(letter).items()}
    )


def is_dense(ticks: Ticks, node: Node, line: Line, window: TimeWindow, rows: int) -> bool:
    """Whether each of a convolution's windows is a row of codes: a dense layer computes the same.

    It is, where a window has whole frames, and frames are contiguous or there is one window only.
    """
    given: Any = node.params
    if rows > 1 and math.prod(ticks.tensor(line).shape[: line.axis]) > 1:
        return False
    if node.op != "conv2d" or node.numerics != "edgecomp" or given.groups != 1:
        return False
    frame = ticks.tensor(line).size // line.frames
    taken = math.prod(ticks.tensors[node.inputs[1]].shape[1:])
    other: Window = window.changed(given, before=0, after=0)
    return taken == window.kernel * frame and not other.has_padding


def emit_dense(ticks: Ticks, node: Node, axis: int, source: str, rows: int) -> None:
    """Add a convolution as a dense layer.

    Args:
        ticks: the graph in the making.
        node: the convolution.
        axis: of time.
        source: the frames of its windows, one window behind the other.
        rows: number of windows.
    """
    given: Any = node.params
    weights, frames = ticks.tensors[node.inputs[1]], ticks.tensors[source]
    channels, taken = weights.shape[0], math.prod(weights.shape[1:])
    flat, made = f"{weights.name}.flat", f"{node.output}.rows"
    data = weights.value.reshape(channels, taken)
    ticks.tensors[flat] = replace(weights.with_data(data, name=flat), layout="OI")
    dense = replace(node, op="dense", output=made)
    operands = [ticks.reshaped(source, (rows, taken)), flat, *node.inputs[2:]]
    like = ticks.whole.tensors[node.output]
    ticks.emit(dense, operands, DenseParams(given.clamp), like)
    shape = [1] * len(frames.shape)
    shape[axis], shape[-1] = rows, channels
    ticks.reshaped(made, tuple(shape), node.output)


def convolved(ticks: Ticks, node: Node) -> None:
    """A window over time and features: of frames that are remembered."""
    line = ticks.lines[node.inputs[0]]
    window = time_window(node, line, len(ticks.tensor(line).shape))
    length = ticks.length(node.inputs[0], line.axis)
    if ticks.length(node.output, line.axis) == 1 and not window.before and line.fill is None:
        if not (window.span == length and running_mean(ticks, node)):
            time_ends(ticks, node, window.span)
        return
    code = LOWEST_CODE if node.op == "max_pool" else ticks.zero(line)
    if (ticks.needed[node.output] - 1) * window.stride - window.before + window.span > length:
        raise refusal(
            node,
            "it looks at frames behind the last one (padding at the end of time)",
            "pad before the first frame only: (kernel - 1) * dilation frames (causal)",
        )
    if window.before and node.op == "average_pool" and not params_of(node).count_include_pad:
        raise refusal(
            node,
            "its padding over time is not counted, so the first means are of fewer frames",
            "count the padding (count_include_pad), or do not pad",
        )
    if window.before and (line.lag or line.fill not in {None, code}):
        raise mixed_padding(node)
    code = code if line.fill is None else line.fill
    late = line.delay + window.span - window.stride - window.before
    delay = -(-late // window.stride)
    if delay < 0:
        raise refusal(
            node, "it pads more frames than its kernel reaches back", "pad less, or not at all"
        )
    count = line.frames // window.stride
    age = line.frames - 1 - line.delay + delay * window.stride + window.before
    _emit_window(ticks, node, line, _Ages(age, count, code))
    ticks.lines[node.output] = Line(node.output, line.axis, count, delay)


@dataclass(frozen=True)
class _Ages:
    """Age of the first frame that a tick's windows read, the windows' number, the first code."""

    first: int
    windows: int
    code: int


def _emit_window(ticks: Ticks, node: Node, line: Line, ages: _Ages) -> None:
    """Add a convolution or pool of remembered frames; as a dense layer where that is faster.

    Kernels of convolutions want several windows without dilation; copying a few out costs less.
    """
    window = time_window(node, line, len(ticks.tensor(line).shape))
    is_copied = ages.windows <= MOST_COPIED or window.dilation > 1
    if is_copied and is_dense(ticks, node, line, window, ages.windows):
        emit_dense(ticks, node, line.axis, _columns(ticks, line, window, ages), ages.windows)
        return
    params = window.changed(params_of(node), before=0, after=0)
    if ages.windows == 1:
        name = ticks.frames_of(line, ages.first, window.kernel, ages.code, spacing=window.dilation)
        params = window.changed(params, dilation=1, stride=1)
    else:
        frames = (ages.windows - 1) * window.stride + window.span
        name = ticks.frames_of(line, ages.first, frames, ages.code)
    ticks.emit(node, [name, *node.inputs[1:]], params)


def _columns(ticks: Ticks, line: Line, window: TimeWindow, ages: _Ages) -> str:
    """The frames of each window, one window behind the other."""
    if ages.windows == 1:
        return ticks.frames_of(line, ages.first, window.kernel, ages.code, spacing=window.dilation)
    frames = (ages.windows - 1) * window.stride + window.span
    name = ticks.frames_of(line, ages.first, frames, ages.code)
    return ticks.chosen(
        line,
        name,
        tuple(
            number * window.stride + tap * window.dilation
            for number in range(ages.windows)
            for tap in range(window.kernel)
        ),
    )
