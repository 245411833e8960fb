"""ONNX LSTM, GRU and RNN: forward, backward and both ways, as layers that run forward."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.movement import ConcatParams
from edgecomp.ops.recurrent import RecurrentParams
from edgecomp.ops.rnn import RnnParams

ACTIVATIONS: Mapping[str, tuple[str, ...]] = {
    "LSTM": ("sigmoid", "tanh", "tanh"),
    "GRU": ("sigmoid", "tanh"),
    "RNN": ("tanh",),
}
"""What ONNX takes where a file names nothing else, by operator."""
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
PLACES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
"""Operands in ONNX's order."""


@dataclass(frozen=True)
class Recurrence:
    """One layer of the file.

    Attributes:
        node: the layer.
        build: the graph in the making.
        batch: sequences at once.
        steps: length of the sequences.
        units: elements of the hidden state.
        directions: for each whether it runs backward.
        batch_first: whether the batch is the first axis (`layout=1`).
    """

    node: ImportedNode
    build: Builder
    batch: int
    steps: int
    units: int
    directions: tuple[bool, ...]
    batch_first: bool

    @classmethod
    def of(cls, node: ImportedNode, build: Builder) -> "Recurrence":
        """Look at shapes and attributes.

        Raises:
            UnsupportedError: sequences of several lengths, computed weights.
        """
        batch_first = bool(node.attrs.get("layout", 0))
        shape = build.shape(node.inputs[0])
        steps, batch = (shape[1], shape[0]) if batch_first else (shape[0], shape[1])
        for place in (1, 2, 3, 7):
            if node.has_input(place) and build.value(node.inputs[place]) is None:
                raise build.unsupported(node, f"its {PLACES[place]} must be constant")
        kinds = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
        directions = kinds[str(node.attrs.get("direction", "forward"))]
        units = build.shape(node.inputs[2])[-1]
        made = cls(node, build, batch, steps, units, directions, batch_first)
        made._check_shapes()
        made._check_lengths()
        return made

    def _check_shapes(self) -> None:
        """ONNX's own checks do not see weights for another number of gates or units."""
        rows = GATES[self.node.op_type] * self.units
        features = self.build.shape(self.node.inputs[0])[-1]
        ends = {1: (rows, features), 2: (rows, self.units), 3: (2 * rows,)}
        for place, end in ends.items():
            if not self.node.has_input(place):
                continue
            shape, wanted = self.build.shape(self.node.inputs[place]), (len(self.directions), *end)
            if shape != wanted:
                raise self.build.unsupported(
                    self.node, f"its {PLACES[place]} is {shape}, where {wanted} is needed"
                )

    def _check_lengths(self) -> None:
        if not self.node.has_input(4):
            return
        lengths = self.build.value(self.node.inputs[4])
        if lengths is None or (lengths.reshape(-1) != self.steps).any():
            raise self.build.unsupported(
                self.node,
                f"a length other than that of the input, {self.steps}",
                "give sequences of one length",
                "sequence_lens",
            )

    @property
    def gates(self) -> int:
        """Gates of the operator."""
        return GATES[self.node.op_type]

    @property
    def clip(self) -> float:
        """The size that pre-activations are clamped to."""
        return float(self.node.attrs.get("clip", 0)) or math.inf

    def activations(self) -> list[str]:
        """Names of the activations, in lower case, of all directions."""
        given = self.node.attrs.get("activations", self.usual)
        return [str(name).lower() for name in given] or self.usual

    @property
    def usual(self) -> list[str]:
        """The activations that ONNX takes where a file names none."""
        return list(ACTIVATIONS[self.node.op_type]) * len(self.directions)

    def constant(self, place: int, direction: int) -> Array:
        """The part of a constant operand that a direction has, as float32."""
        value = self.build.value(self.node.inputs[place])
        assert value is not None
        return np.asarray(value[direction], np.float32)

    def bias(self, direction: int, *, apart: bool) -> Array:
        """The sum of the two biases; those of the last gate one behind the other where `apart`."""
        rows = self.gates * self.units
        if not self.node.has_input(3):
            return np.zeros(rows + (self.units if apart else 0), np.float32)
        inputs: Array
        hidden: Array
        inputs, hidden = np.split(self.constant(3, direction), 2)
        if not apart:
            return inputs + hidden
        added = rows - self.units
        both: Array = inputs[:added] + hidden[:added]
        return np.concatenate([both, inputs[added:], hidden[added:]])

    def starts(self, direction: int) -> list[str] | None:
        """Names of the states that a direction begins with, `(batch, units)`; None for zeros."""
        places = (5, 6) if self.node.op_type == "LSTM" else (5,)
        given = [self._start(place, direction) for place in places]
        if not any(given):
            return None
        zeros = np.zeros((self.batch, self.units), np.float32)
        return [name or self.build.constant(zeros, f"{self.node.name}.zero") for name in given]

    def _start(self, place: int, direction: int) -> str:
        if not self.node.has_input(place):
            return ""
        name, axis = self.node.inputs[place], int(self.batch_first)
        value = self.build.value(name)
        if value is not None:
            part = np.take(value, direction, axis=axis)
            hint = f"{self.node.name}.{PLACES[place]}"
            return self.build.constant(part, hint) if part.any() else ""
        if len(self.directions) > 1:
            name = emit_gather(self.build, self.node, name, {axis: [direction]}, f".start{place}")
        return self.build.reshape(name, (self.batch, self.units), self.node)

    def turned(self, name: str, suffix: str) -> str:
        """Sequences `(batch, steps, …)` from their end to their beginning."""
        order = {1: range(self.steps - 1, -1, -1)}
        return emit_gather(self.build, self.node, name, order, suffix)

    def joined(self, parts: Sequence[str], axis: int, suffix: str) -> str:
        """What both directions give."""
        if len(parts) == 1:
            return parts[0]
        return self.build.emit("concat", parts, ConcatParams(axis), self.node, suffix)

    def outputs(self, params: RecurrentParams, *, apart: bool = False) -> list[str]:
        """Emit the layers, one for each direction, and return the outputs that the file names.

        Args:
            params: of every direction.
            apart: whether the biases of the last gate are kept apart.
        """
        build, node, op = self.build, self.node, self.node.op_type.lower()
        x = self._batch_first(node.inputs[0])
        sequences, lasts, memories = [], [], []
        for direction, backward in enumerate(self.directions):
            suffix = (".backward" if backward else ".forward") if len(self.directions) > 1 else ""
            operands = [
                self.turned(x, f"{suffix}.input") if backward else x,
                build.constant(self.constant(1, direction), f"{node.name}{suffix}.weights", "OI"),
                build.constant(self.constant(2, direction), f"{node.name}{suffix}.recurrent", "OI"),
                build.constant(self.bias(direction, apart=apart), f"{node.name}{suffix}.bias"),
            ]
            if node.has_input(7):
                peepholes = self.constant(7, direction)
                operands.append(build.constant(peepholes, f"{node.name}{suffix}.peepholes"))
            starts = self.starts(direction)
            own = params if starts is None else replace(params, begins="given")
            operands += starts or []
            y = build.emit(op, operands, own, node, suffix)
            end = {1: [self.steps - 1]}
            lasts.append(emit_gather(build, node, y, end, f"{suffix}.last"))
            sequences.append(self.turned(y, f"{suffix}.output") if backward else y)
            if self._names(2):
                emits = replace(own, emits="memory")
                memories.append(build.emit(op, operands, emits, node, f"{suffix}.cell"))
        made = [self._rows(self.joined(sequences, 2, ".both"))]
        made.append(self._ends(self.joined(lasts, 1, ".last_of_both")))
        if memories:
            made.append(self._ends(self.joined(memories, 1, ".cell_of_both")))
        return made[: len(node.outputs)]

    def _batch_first(self, name: str) -> str:
        """The input as `(batch, steps, inputs)`."""
        if self.batch_first:
            return name
        if self.batch == 1:
            return self.build.reshape(name, (1, self.steps, self.build.shape(name)[-1]), self.node)
        return self.build.transpose(name, (1, 0, 2), self.node)

    def _rows(self, name: str) -> str:
        """`(batch, steps, directions * units)` in the order that the file wants."""
        shape = (self.batch, self.steps, len(self.directions), self.units)
        if self.batch == 1 and not self.batch_first:
            return self.build.reshape(name, (*shape[1:3], 1, shape[3]), self.node)
        rows = self.build.reshape(name, shape, self.node)
        order = (0, 1, 2, 3) if self.batch_first else (1, 2, 0, 3)
        return self.build.transpose(rows, order, self.node)

    def _ends(self, name: str) -> str:
        """`(batch, directions, units)` in the order that the file wants."""
        if self.batch_first:
            return name
        if self.batch == 1:
            return self.build.reshape(name, (len(self.directions), 1, self.units), self.node)
        return self.build.transpose(name, (1, 0, 2), self.node)

    def _names(self, output: int) -> bool:
        return len(self.node.outputs) > output and self.node.outputs[output] != ""


def _refuse_activations(layer: Recurrence) -> None:
    if layer.activations() != layer.usual:
        raise layer.build.unsupported(
            layer.node,
            f"activations {', '.join(layer.activations())}",
            f"use {', '.join(ACTIVATIONS[layer.node.op_type])}",
            "activations",
        )


def _lstm(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX LSTM: any direction, peepholes, clip; its usual activations."""
    layer = Recurrence.of(node, build)
    _refuse_activations(layer)
    coupled = bool(node.attrs.get("input_forget", 0))
    return layer.outputs(LstmParams(clip=layer.clip, peepholes=node.has_input(7), coupled=coupled))


def _gru(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX GRU: any direction, reset gate before or after, clip; its usual activations."""
    layer = Recurrence.of(node, build)
    _refuse_activations(layer)
    after = bool(node.attrs.get("linear_before_reset", 0))
    return layer.outputs(GruParams(clip=layer.clip, reset_after=after), apart=after)


def _rnn(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX RNN: any direction, with tanh or ReLU, clip."""
    layer = Recurrence.of(node, build)
    kinds = set(layer.activations())
    if kinds not in ({"tanh"}, {"relu"}):
        raise build.unsupported(
            node, f"activations {', '.join(sorted(kinds))}", "use tanh or relu", "activations"
        )
    kind: Literal["tanh", "relu"] = "tanh" if kinds == {"tanh"} else "relu"
    return layer.outputs(RnnParams(clip=layer.clip, activation=kind))


ONNX: dict[str, Importer] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}
