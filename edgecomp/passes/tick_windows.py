"""The window of a convolution or pool along the time axis, whichever of its two axes that is."""

import math
from dataclasses import dataclass, replace
from typing import Any

from edgecomp.ir import Node
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.spatial import Window
from edgecomp.passes.ticks import Line, Ticks, mixed_padding, params_of, refusal, time_ends

LOWEST_CODE = -128


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


def as_dense(ticks: Ticks, node: Node, source: str, params: Window) -> bool:
    """Add a convolution with a single window as a dense layer, where that computes the same.

    Args:
        ticks: the graph in the making.
        node: the convolution.
        source: exactly the frames of its window.
        params: its window over them.

    Returns:
        Whether it was added.
    """
    given: Any = node.params
    if node.op != "conv2d" or node.numerics != "edgecomp" or given.groups != 1:
        return False
    weights = ticks.tensors[node.inputs[1]]
    frames = ticks.tensors[source]
    per_window = math.prod(weights.shape[1:])
    if frames.size != per_window or params.has_padding:
        return False
    flat = f"{weights.name}.flat"
    ticks.tensors[flat] = replace(
        weights.with_data(weights.value.reshape(weights.shape[0], per_window), name=flat),
        layout="OI",
    )
    output = ticks.whole.tensors[node.output]
    name = f"{node.output}.row"
    ticks.tensors[name] = replace(output, name=name, shape=(1, weights.shape[0]))
    dense = replace(
        node,
        op="dense",
        inputs=(ticks.reshaped(source, (1, per_window)), flat, *node.inputs[2:]),
        output=name,
        params=DenseParams(given.clamp),
    )
    ticks.nodes.append(dense)
    shape = tuple(1 for _ in frames.shape[:-1])
    ticks.reshaped(name, (*shape, weights.shape[0]), node.output)
    return True


def convolved(ticks: Ticks, node: Node) -> None:
    """A window over time and features: of frames that are remembered."""
    line = ticks.lines[node.inputs[0]]
    window = time_window(node, line, len(ticks.tensor(line).shape))
    if ticks.length(node.output, line.axis) == 1 and not window.before and line.fill is None:
        time_ends(ticks, node, window.span)
        return
    code = LOWEST_CODE if node.op == "max_pool" else ticks.zero(line)
    length = ticks.length(node.inputs[0], line.axis)
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
    """Add a convolution or pool of remembered frames; of one window as a dense layer if it is."""
    rank = len(ticks.tensor(line).shape)
    window = time_window(node, line, rank)
    constants = list(node.inputs[1:])
    if ages.windows == 1:
        name = ticks.frames_of(line, ages.first, window.kernel, ages.code, spacing=window.dilation)
        params: Window = window.changed(params_of(node), dilation=1, stride=1, before=0, after=0)
        if as_dense(ticks, node, name, params):
            return
    else:
        frames = (ages.windows - 1) * window.stride + window.span
        name = ticks.frames_of(line, ages.first, frames, ages.code)
        params = window.changed(params_of(node), before=0, after=0)
    ticks.emit(node, [name, *constants], params)
