"""A tick graph in the making: how each tensor passes by in time, and what has to be remembered.

A *frame* is one index of a tensor's time axis.  In every tick a tensor has its next `frames` of
them: in tick m those that the whole network numbers `m * frames - delay` and up.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgecomp.errors import UnsupportedError
from edgecomp.ir import DType, Graph, Node, OpParams, Shape, State, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.expression import X
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.history import RingParams, ShiftParams, TapsParams
from edgecomp.ops.movement import ReshapeParams
from edgecomp.ops.unary import UnaryParams

TAP_BYTES = 55
"""Bytes of a window that are moved in the time that a frame of a ring takes beside its copy.

Measured on Cortex-M4 and M0: 70 and 95 cycles, and 1.3 and 2.1 cycles per byte.
"""


@dataclass(frozen=True)
class Line:
    """A tensor of the whole network as it passes by.

    Attributes:
        name: the tensor of the tick graph.
        axis: of time.
        frames: in a tick.
        delay: by how many frames it is late, see the module's text; negative where frames of
            padding come before it.
        fill: code of the frames of padding that come before it.
    """

    name: str
    axis: int
    frames: int
    delay: int = 0
    fill: int | None = None

    @property
    def lag(self) -> int:
        """Frames after a reset that are no results yet."""
        return max(self.delay, 0)


def refusal(node: Node, limit: str, suggestion: str) -> UnsupportedError:
    """The error for a layer that cannot be computed tick by tick."""
    return UnsupportedError(node.op, node.name, f"--stream: {limit}", suggestion)


class Ticks:
    """Builds the tick graph; the rules of the operators call it.

    Attributes:
        whole: the network over the whole sequence.
        lines: tensors of `whole` that have a time axis, by name.
        names: the other tensors of `whole` that exist already: what they are called here.
        needed: frames of each tensor, counted from the first, that any output depends on.
        ready: the first tick in which every output is one of the whole network.
    """

    def __init__(self, whole: Graph, needed: Mapping[str, int]) -> None:
        """Begin with an empty tick graph; what is not in `needed` nothing depends on."""
        self.whole = whole
        self.needed = defaultdict(int, needed)
        self.lines: dict[str, Line] = {}
        self.names: dict[str, str] = {}
        self.ready = 0
        self.tensors = {name: t for name, t in whole.tensors.items() if t.is_const}
        self.nodes: list[Node] = []
        self.states: list[State] = []
        self._made: dict[object, str] = {}
        self._kept: dict[object, State] = {}

    def add_input(self, name: str, axis: int, frames: int) -> None:
        """Let the caller hand over `frames` frames of an input in every tick."""
        shape = list(self.whole.tensors[name].shape)
        shape[axis] = frames
        self.tensors[name] = replace(self.whole.tensors[name], shape=tuple(shape))
        self.lines[name] = Line(name, axis, frames)

    def add_output(self, name: str) -> str:
        """The tensor that stands for an output of the whole network, a copy of what is a state."""
        made = self.lines[name].name if name in self.lines else self.names[name]
        makers = {node.output: node for node in self.nodes}
        root = made
        while root in makers and makers[root].op == "reshape":
            root = makers[root].inputs[0]
        is_taken = root not in makers or root in {state.update for state in self.states}
        return self.copied(made) if is_taken else made

    def tensor(self, line: Line) -> Tensor:
        """The tensor of a line."""
        return self.tensors[line.name]

    def length(self, name: str, axis: int) -> int:
        """Size of a tensor of the whole network along an axis."""
        return self.whole.tensors[name].shape[axis]

    def emit(
        self,
        node: Node,
        inputs: Sequence[str],
        params: OpParams | None = None,
        like: Tensor | None = None,
    ) -> Tensor:
        """Add a layer of the whole network with other inputs and parameters.

        Its output has the scale of `like`, or that which it has in the whole network.
        """
        made = replace(node, inputs=tuple(inputs), params=params or node.params)
        shape = OPS[made.op].infer(made.params, [self.tensors[name] for name in inputs])
        output = replace(like or self.whole.tensors[node.output], name=node.output, shape=shape)
        self.tensors[output.name] = output
        self.nodes.append(made)
        return output

    def whole_layer(self, node: Node) -> None:
        """Add a layer that nothing of time reaches any more, as it is."""
        inputs = [self.names.get(name, name) for name in node.inputs]
        self.names[node.output] = self.emit(node, inputs).name

    def frames_of(self, line: Line, age: int, count: int, code: int, *, spacing: int = 1) -> str:
        """A tensor with frames of now and of earlier ticks, the oldest first.

        Args:
            line: which pass by.
            age: of the first frame; 0 is the newest of this tick.
            count: number of frames.
            code: of the frames before the first tick.
            spacing: distance of the frames in time.
        """
        tensor = self.tensor(line)
        last = age - spacing * (count - 1)
        if (age, last) == (line.frames - 1, 0) and spacing == 1:
            return line.name
        if age < line.frames:
            first = line.frames - 1 - age
            return self.chosen(
                line, line.name, tuple(range(first, first + count * spacing, spacing))
            )
        frame = tensor.size // line.frames
        is_outer = math.prod(tensor.shape[: line.axis]) == 1
        is_window = (last, spacing) == (0, 1)
        by_ring = (line.frames + count) * frame + (count + 1) * TAP_BYTES
        by_window = (age + 1) * frame + (0 if is_window else count * (frame + TAP_BYTES))
        narrow = tensor.dtype is not DType.INT16
        if is_outer and narrow and by_ring < by_window:
            return self._taps(line, age, count, spacing, code)
        window = self.window(line, age + 1, code)
        if is_window:
            return window
        return self.chosen(line, window, tuple(range(0, count * spacing, spacing)))

    def window(self, line: Line, length: int, code: int) -> str:
        """A state with the last `length` frames, those of this tick included."""
        if length == line.frames:
            return line.name
        shape = self._resized(line, length)
        params = ShiftParams(line.axis)
        return self.state(line, "shift", params, shape, code).update

    def aligned(self, line: Line, delay: int) -> str:
        """The line, held back until it is as late as `delay` says."""
        held = delay - line.delay
        return self.frames_of(line, line.frames - 1 + held, line.frames, self.zero(line))

    def zero(self, line: Line) -> int:
        """The code of 0 of a line's tensor."""
        qparams = self.tensor(line).qparams
        assert qparams is not None
        return qparams.zero_point

    def collapsed(self, name: str, first: int, end: int) -> str:
        """Frames that the whole network takes together, `first` to `end`: time ends here.

        In later ticks they are those that have come as much later.
        """
        line = self.lines[name]
        tick = -(-(end + line.delay) // line.frames) - 1
        self.ready = max(self.ready, tick)
        newest = (tick + 1) * line.frames - line.delay - 1
        code = self.zero(line) if line.fill is None else line.fill
        return self.frames_of(line, newest - first, end - first, code)

    def _taps(self, line: Line, age: int, count: int, spacing: int, code: int) -> str:
        """Frames of a ring, which is long enough for the oldest of them."""
        tensor = self.tensor(line)
        slots = -(-(age + 1) // line.frames)
        ring = RingParams(slots * line.frames, tensor.size // line.frames, line.frames)
        ring_state = self.state(line, "ring", ring, ring.shape, code)
        params = TapsParams(
            ring.frames, ring.frame_elements, ring.step, age, spacing, self._resized(line, count)
        )
        return self.layer(self.tensor(line), "taps", [ring_state.update], params)

    def chosen(self, line: Line, source: str, index: tuple[int, ...]) -> str:
        """Frames of a tensor by their numbers in it, copied out unless they are all."""
        shape = self.tensors[source].shape
        if index == tuple(range(shape[line.axis])):
            return source
        indices = tuple(index if axis == line.axis else None for axis in range(len(shape)))
        return self.layer(self.tensor(line), "gather", [source], GatherParams(indices))

    def state(self, line: Line, op: str, params: OpParams, shape: Shape, code: int) -> State:
        """A state that a layer brings up to date; one for all who ask for the same."""
        key = (line.name, op, params, shape, code)
        if key not in self._kept:
            source = replace(
                self.tensor(line), name=self.unused(f"{line.name}.{op}.kept"), shape=shape
            )
            self.tensors[source.name] = source
            update = self.layer(self.tensor(line), op, [source.name, line.name], params)
            self._kept[key] = State(source.name, update, (code,))
            self.states.append(self._kept[key])
        return self._kept[key]

    def layer(self, like: Tensor, op: str, inputs: Sequence[str], params: OpParams) -> str:
        """Add a layer whose output has the scale of `like`, or return the one that does the same.

        It is named after that tensor.
        """
        key = (op, tuple(inputs), params)
        if key not in self._made:
            name = self.unused(f"{like.name}.{op}")
            shape = OPS[op].infer(params, [self.tensors[n] for n in inputs])
            self.tensors[name] = replace(like, name=name, shape=shape)
            self._add(Node(name, op, tuple(inputs), name, params))
            self._made[key] = name
        return self._made[key]

    def reshaped(self, name: str, shape: Shape, made: str = "") -> str:
        """A tensor under another shape, called `made` if that is given."""
        if self.tensors[name].shape == shape and not made:
            return name
        made = made or self.unused(f"{name}.reshaped")
        self.tensors[made] = replace(self.tensors[name], name=made, shape=shape)
        self._add(Node(f"{made}.reshape", "reshape", (name,), made, ReshapeParams(shape)))
        return made

    def copied(self, name: str) -> str:
        """A tensor of its own with the codes of another."""
        made = self.unused(f"{name}.copy")
        self.tensors[made] = replace(self.tensors[name], name=made)
        self._add(Node(made, "unary", (name,), made, UnaryParams(X)))
        return made

    def _add(self, node: Node) -> None:
        """Add a layer that only moves codes, of whichever type."""
        wide = self.tensors[node.output].dtype is DType.INT16
        self.nodes.append(replace(node, numerics="tflite16") if wide else node)

    def _resized(self, line: Line, frames: int) -> Shape:
        shape = list(self.tensor(line).shape)
        shape[line.axis] = frames
        return tuple(shape)

    def unused(self, wanted: str) -> str:
        """A name that no tensor has, `wanted` if it is free."""
        name, count = wanted, 1
        while name in self.tensors or name in self.whole.tensors:
            count += 1
            name = f"{wanted}_{count}"
        return name


def params_of(node: Node) -> Any:
    """The parameters, of whichever operator."""
    return node.params


def constants_of(ticks: Ticks, node: Node) -> list[str]:
    """The constants behind the first input."""
    for name in node.inputs[1:]:
        if not ticks.whole.tensors[name].is_const:
            raise refusal(
                node,
                "its other inputs must be constants",
                "compute in every frame from that frame alone",
            )
    return list(node.inputs[1:])


def time_ends(ticks: Ticks, node: Node, count: int) -> None:
    """A layer over the first frames of the whole network: over the last ones, as many."""
    name = ticks.collapsed(node.inputs[0], 0, count)
    ticks.names[node.output] = ticks.emit(node, [name, *constants_of(ticks, node)]).name


def mixed_padding(node: Node) -> UnsupportedError:
    """The error where a window begins with padding that is no result yet."""
    return refusal(
        node,
        "it pads a sequence whose first frames need later ones (a layer before it does not pad)",
        "let every layer before the last one that pads be padded, too",
    )
