"""A recurrent layer goes on in every tick with the state that it left in the one before."""

import math
from dataclasses import dataclass, replace

from edgecomp.ir import Node, Shape, State, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.history import ShiftParams
from edgecomp.ops.recurrent import Recurrent, RecurrentParams
from edgecomp.passes.ticks import Line, Ticks, mixed_padding, params_of, refusal
from edgecomp.requant import prepare_node


@dataclass(frozen=True)
class Stepped:
    """A recurrent layer whose state is one of the graph's.

    Attributes:
        ticks: the tick graph.
        name: its output: hidden states, and the state behind them.
        steps: of a run.
        units: of a hidden state.
    """

    ticks: Ticks
    name: str
    steps: int
    units: int

    def rows(self, shape: Shape, made: str) -> str:
        """The hidden states of the last steps, as many as `shape` has, called `made`."""
        count = math.prod(shape)
        part = _part(self.ticks, self.name, self.steps * self.units - count, count)
        return self.ticks.reshaped(part, shape, made)


def stepped(ticks: Ticks, node: Node, x: Tensor) -> Stepped:
    """Let a layer go on with the state that it left in the tick before.

    Args:
        ticks: the tick graph.
        node: the layer, which begins with zeros or constants.
        x: its input there, one sequence.
    """
    op = OPS[node.op]
    assert isinstance(op, Recurrent)
    params: RecurrentParams = node.params  # type: ignore[assignment]
    operands = op.by_role(params, node.inputs)
    tensors = [x, *(ticks.whole.tensors[name] for name in node.inputs[1:])]
    output = ticks.whole.tensors[node.output]
    prepared = prepare_node(node, tensors, output)
    first = op.initial_state(params, prepared, output.name).reshape(-1)
    units, size = op.units(tensors), op.state_size(tensors)

    own = replace(params, begins="state", emits="state")
    source = replace(output, name=ticks.unused(f"{node.output}.kept"), shape=(1, size))
    ticks.tensors[source.name] = source
    inputs = [operands.get(role, "") for role in op.roles(own)[1:-1]]
    made = ticks.unused(f"{node.output}.and_state")
    ticks.emit(replace(node, output=made), [x.name, *inputs, source.name], own, output)
    steps = x.shape[1]
    ended = _part(ticks, made, (steps - 1) * units, size)
    update = ticks.layer(source, "shift", [source.name, ended], ShiftParams(1))
    ticks.states.append(State(source.name, update, tuple(int(code) for code in first)))
    return Stepped(ticks, made, steps, units)


def recurrent(ticks: Ticks, node: Node) -> None:
    """Its state becomes one of the graph's; hidden states pass by, or the last one stays."""
    line = ticks.lines[node.inputs[0]]
    if line.delay or line.fill is not None:
        raise mixed_padding(node)
    _refuse(ticks, node, line)
    made = stepped(ticks, node, ticks.tensor(line))
    if params_of(node).emits == "last":
        ticks.names[node.output] = made.rows(ticks.whole.tensors[node.output].shape, node.output)
        ticks.ready = max(ticks.ready, ticks.length(node.inputs[0], 1) // line.frames - 1)
        return
    name = made.rows((1, line.frames, made.units), node.output)
    ticks.lines[node.output] = Line(name, 1, line.frames)


def _refuse(ticks: Ticks, node: Node, line: Line) -> None:
    """Refuse what is no recurrence over the frames that pass by."""
    params = params_of(node)
    length = ticks.length(node.inputs[0], line.axis)
    if line.axis != 1:
        raise refusal(node, "it does not go along time", "let its steps be the frames")
    batch = ticks.tensor(line).shape[0]
    if batch != 1:
        raise refusal(node, f"it is of {batch} sequences", "stream one sequence at a time")
    if any(not ticks.whole.tensors[name].is_const for name in node.inputs[1:]):
        raise refusal(node, "its first state is computed", "begin with zeros or constants")
    if params.emits not in {"sequence", "last"}:
        raise refusal(
            node, f"its output is the {params.emits}", "use its hidden states, all or the last one"
        )
    if params.emits == "last" and length % line.frames:
        raise refusal(
            node,
            f"its last step is number {length}, and a tick takes {line.frames} frames",
            f"build for a number of frames that {line.frames} divides, or with other strides",
        )


def _part(ticks: Ticks, name: str, first: int, count: int) -> str:
    """Codes of a tensor `(1, n)`, copied out unless they are all."""
    tensor = ticks.tensors[name]
    if count == tensor.size:
        return name
    return ticks.layer(
        tensor, "gather", [name], GatherParams((None, tuple(range(first, first + count))))
    )
