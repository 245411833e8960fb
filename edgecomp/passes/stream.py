"""A network over a whole sequence becomes one that is run tick by tick.

Every tick takes the next frames of the input and makes what they add to the outputs; what earlier
frames have to do with it is remembered in states of the graph (`edgecomp.passes.ticks`).
`docs/streaming.md` says which networks can be streamed, and what is equal to what.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.ir import Graph, Node, Shape, View
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS
from edgecomp.ops.spatial import Window
from edgecomp.passes.tick_rules import RULES
from edgecomp.passes.tick_windows import time_window
from edgecomp.passes.ticks import Line, Ticks, refusal


@dataclass(frozen=True)
class Stream:
    """A network that is run tick by tick.

    Attributes:
        graph: one tick; its states are what it remembers.
        axis: of time, in the inputs as they lie on the device.
        frames: of the inputs, that a tick takes.
        first_tick: the first tick, counted from 0, whose outputs are the whole network's.
        delays: for each output that has a time axis, by how many of its frames it is late: tick m
            gives those from `m * n - delay` on, n being its size along `axes`.
        axes: of time, in these outputs.
    """

    graph: Graph
    axis: int
    frames: int
    first_tick: int
    delays: Mapping[str, int]
    axes: Mapping[str, int]


def stream(whole: Graph, axis: int | None = None, frames: int | None = None) -> Stream:
    """Rewrite a quantized network along its time axis.

    Args:
        whole: the network over a whole sequence.
        axis: of time, in the inputs as they lie on the device; unless given, the first one along
            which the network can be streamed.
        frames: that a tick takes, a multiple of the network's strides over time; as few as
            possible unless given.

    Raises:
        UnsupportedError: a layer needs frames of the future, or all of them.
        UserError: there is no such axis, or no such number of frames.
    """
    if axis is not None:
        return _stream(whole, axis, frames)
    rank = len(whole.tensors[whole.inputs[0]].shape)
    found: list[UnsupportedError] = []
    for candidate in range(1, rank - 1):
        if whole.tensors[whole.inputs[0]].shape[candidate] > 1:
            try:
                return _stream(whole, candidate, frames)
            except UnsupportedError as error:
                found.append(error)
    if found:
        raise found[0]
    raise UserError(
        "--stream needs an input of several frames, one behind the other along an axis that is "
        f"not its last; this one has {'x'.join(map(str, whole.tensors[whole.inputs[0]].shape))}"
    )


def device_axis(whole: Graph, axis: int) -> int:
    """Where an axis of the model's own first input lies on the device.

    Raises:
        UserError: it has no such axis, or its elements are scattered there.
    """
    name = whole.inputs[0]
    shape, view = whole.tensors[name].shape, whole.views.get(name)
    rank = len(view.shape if view else shape)
    if not 0 < axis < rank:
        raise UserError(f"--stream-axis must be from 1 to {rank - 1}, not {axis}")
    if view is None:
        return axis
    if view.shape != tuple(shape[place] for place in view.perm):
        raise UserError("--stream-axis: the model reshapes its input; leave the option out")
    return view.perm[axis]


def _stream(whole: Graph, axis: int, frames: int | None) -> Stream:
    lengths = {_length(whole, name, axis) for name in whole.inputs}
    if len(lengths) > 1:
        raise UserError(f"--stream: the inputs have {sorted(lengths)} frames; make them equal")
    most = math.prod(_strides(node) for node in whole.nodes)
    draft = _ticks(whole, axis, most, {})
    least = math.lcm(*(most // line.frames for line in draft.lines.values()))
    if frames is not None and (frames < 1 or frames % least):
        raise UserError(
            f"--stream: a tick can take {least} frames or a multiple of it, not {frames}"
        )
    ticks = _ticks(whole, axis, frames or least, _needed(whole, draft.lines))
    return _finished(whole, axis, frames or least, ticks)


def _length(whole: Graph, name: str, axis: int) -> int:
    shape = whole.tensors[name].shape
    if not 0 < axis < len(shape):
        raise UserError(
            f"--stream: the input {whole.io_names.get(name, name)!r} has no axis {axis}"
        )
    return shape[axis]


def _strides(node: Node) -> int:
    """A multiple of the layer's stride over time, whichever of its axes that is."""
    if isinstance(node.params, Window):
        return node.params.stride_h * node.params.stride_w
    if node.op == "gather":
        steps = [i[1] - i[0] for i in node.params.indices if i is not None and len(i) > 1]  # type: ignore[attr-defined]
        return math.prod(abs(step) or 1 for step in steps)
    return 1


def _ticks(whole: Graph, axis: int, frames: int, needed: Mapping[str, int]) -> Ticks:
    """Apply the rule of each layer."""
    ticks = Ticks(whole, needed)
    for name in whole.inputs:
        ticks.add_input(name, axis, frames)
    for node in whole.nodes:
        if not any(name in ticks.lines for name in node.inputs):
            ticks.whole_layer(node)
        elif node.op in RULES:
            RULES[node.op](ticks, node)
        else:
            raise refusal(node, "it cannot be computed tick by tick", "leave the layer out")
    return ticks


def _needed(whole: Graph, lines: Mapping[str, Line]) -> dict[str, int]:
    """For each tensor with a time axis how many frames, from the first on, any output needs."""
    needed = dict.fromkeys(lines, 0)
    for name in whole.outputs:
        if name in lines:
            needed[name] = whole.tensors[name].shape[lines[name].axis]
    for node in reversed(whole.nodes):
        for name in node.inputs:
            if name in lines:
                length = whole.tensors[name].shape[lines[name].axis]
                wanted = _wanted(node, lines[name], needed.get(node.output), whole, length)
                needed[name] = max(needed[name], min(wanted, length))
    return needed


def _wanted(node: Node, line: Line, count: int | None, whole: Graph, length: int) -> int:
    """Frames of an input that the first `count` of the output need; None where it has no time."""
    if isinstance(node.params, Window):
        window = time_window(node, line, len(whole.tensors[node.inputs[0]].shape))
        return ((count or 1) - 1) * window.stride - window.before + window.span
    params = node.params
    if node.op == "gather" and (index := params.indices[line.axis]) is not None:  # type: ignore[attr-defined]
        return max(index[:count], default=-1) + 1
    if count is None:
        return length
    if node.op == "pad":
        return count - int(params.before[line.axis])  # type: ignore[attr-defined]
    return count


def _finished(whole: Graph, axis: int, frames: int, ticks: Ticks) -> Stream:
    """Name inputs and outputs, and check the graph."""
    outputs = {name: ticks.add_output(name) for name in whole.outputs}
    ports = {**{name: name for name in whole.inputs}, **outputs}
    views = {}
    for name, made in ports.items():
        view = whole.views.get(name)
        if view is not None:
            shapes = whole.tensors[name].shape, ticks.tensors[made].shape
            resized = _resized_view(view, *shapes)
            if resized is not None:
                views[made] = resized
    graph = Graph(
        whole.name,
        whole.inputs,
        tuple(outputs.values()),
        (),
        ticks.tensors,
        views,
        {made: whole.io_names.get(name, name) for name, made in ports.items()},
        tuple(ticks.states),
        whole.constant_outputs,
    ).with_nodes(ticks.nodes, ticks.tensors)
    verify(graph, OPS)
    timed = {made: ticks.lines[name] for name, made in outputs.items() if name in ticks.lines}
    first = max([ticks.ready, *(line.lag // line.frames for line in timed.values())])
    return Stream(
        graph,
        axis,
        frames,
        first,
        {made: line.delay for made, line in timed.items()},
        {made: line.axis for made, line in timed.items()},
    )


def _resized_view(view: View, old: Shape, new: Shape) -> View | None:
    """The view of a tensor of which one axis has another size; None where that scatters time."""
    if old == new:
        return view
    moved_old, moved_new = (tuple(shape[axis] for axis in view.perm) for shape in (old, new))
    (place,) = [
        i for i, sizes in enumerate(zip(moved_old, moved_new, strict=True)) if len(set(sizes)) > 1
    ]
    outer = math.prod(moved_old[:place])
    for axis, size in enumerate(view.shape):
        if size == moved_old[place] and math.prod(view.shape[:axis]) == outer:
            shape = (*view.shape[:axis], moved_new[place], *view.shape[axis + 1 :])
            return View(view.perm, shape)
    return None
