"""The window of a convolution or pool along the time axis, whichever of its two axes that is."""

import math
from dataclasses import dataclass, replace
from typing import Any

from edgecomp.ir import Node
from edgecomp.ops.dense import DenseParams
from edgecomp.ops.spatial import Window
from edgecomp.passes.ticks import Line, Ticks, refusal


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
