"""What every kernel answers: whether it applies, what it needs, and its C by way of a template."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from edgecomp.ir import Array, Graph, Node, OpParams, Tensor
from edgecomp.ir.weights import weights_of
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops import OPS
from edgecomp.requant import prepare_node
from edgecomp.storage import Encoded
from edgecomp.targets.cores import Core

Goal = Literal["balanced", "speed", "size", "ram"]
"""What a build is optimized for."""

Decode = Literal["row", "layer", "boot"]
"""When weights are decoded: some output channels just before they are computed, a whole layer
before it is computed, or all once before the first inference."""

EVERY_GOAL: frozenset[Goal] = frozenset({"balanced", "speed", "size", "ram"})


@dataclass(frozen=True)
class Layer:
    """One node of a quantized graph, with its tensors and its integer constants."""

    graph: Graph
    node: Node

    @property
    def params(self) -> Any:
        """The node's parameters."""
        params: OpParams = self.node.params
        return params

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The node's input tensors, constants included."""
        return self.graph.node_inputs(self.node)

    @cached_property
    def output(self) -> Tensor:
        """The node's output tensor."""
        return self.graph.node_output(self.node)

    @cached_property
    def prepared(self) -> Any:
        """The integer constants of the device (see the operator's `prepare`)."""
        return prepare_node(self.node, self.inputs, self.output)

    @cached_property
    def coded(self) -> dict[str, Encoded]:
        """Coded weights by the kernel that reads them, once they were asked for."""
        return {}

    @cached_property
    def packings(self) -> dict[str, Any]:
        """Where the weights lie in the arrays of a kernel, once that was asked for."""
        return {}

    @cached_property
    def weights(self) -> tuple[Tensor, ...]:
        """Its weights: one tensor, two of a recurrent layer, none of most layers."""
        return tuple(self.graph.tensors[name] for name in weights_of(self.graph, self.node))

    @cached_property
    def stored_weights(self) -> Array:
        """The weights that are stored together: channels first, or all in one row."""
        if len(self.weights) == 1:
            return self.weights[0].value
        return np.concatenate([tensor.value.reshape(-1) for tensor in self.weights])[None]

    @property
    def storages(self) -> tuple[str, ...]:
        """How the layer's weights may be stored."""
        return self.weights[0].storages if self.weights else ("dense8",)

    @property
    def decodes(self) -> tuple[str, ...]:
        """When coded weights may be decoded, values of `Decode`; empty for whatever is best."""
        return self.weights[0].decode if self.storages != ("dense8",) else ()

    def replace_weights(self, **changes: Any) -> "Layer":
        """The layer with other attributes of all its weights."""
        changed = {tensor.name: replace(tensor, **changes) for tensor in self.weights}
        graph = self.graph.replace(tensors={**self.graph.tensors, **changed})
        return Layer(graph, self.node)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return OPS[self.node.op].macs(self.params, self.inputs, self.output)


@dataclass(frozen=True)
class Constant:
    """An array in flash.

    Attributes:
        name: C name without the layer's prefix.
        c_type: element type.
        values: the elements, flattened when written.
        is_weight: counted as weights (weights, biases, multipliers), not as code.
        comment: one line for the reader: layout and meaning.
    """

    name: str
    c_type: str
    values: Array
    is_weight: bool
    comment: str

    @property
    def size_bytes(self) -> int:
        """Bytes in flash."""
        bits = 32 if self.c_type == "float" else int(self.c_type.strip("uint_"))
        return int(self.values.size) * bits // 8


class Kernel(ABC):
    """How a stage is computed on a core.  One subclass and one instance in `KERNELS` per kernel."""

    name: ClassVar[str]
    op: ClassVar[str]
    template: ClassVar[str]
    storage: ClassVar[str] = "dense8"
    """How the weights lie that it reads: key of `STORAGES`."""
    decode: ClassVar[Decode | None] = None
    """When it decodes weights, if they are coded."""
    goals: ClassVar[frozenset[Goal]] = EVERY_GOAL
    """Builds that may choose it: a kernel that buys cycles with flash is for `speed` only."""
    is_lean: ClassVar[bool] = False
    """Chosen only where memory decides: there are kernels with fewer instructions."""
    numerics: ClassVar[frozenset[str]] = frozenset({"edgecomp", "tflite"})
    """Arithmetic that it may compute, values of `Node.numerics`; `applies` may say less."""
    code_type: ClassVar[str] = "int8_t"
    """C type of the codes that it reads and writes; bytes where it only moves them."""
    in_place: ClassVar[tuple[int, ...]] = ()
    """Inputs over which the output may lie exactly, beyond what the schedule's distance allows."""

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Return None if the kernel can compute `layer` on `core`, else the reason why not."""
        return None

    def scratch_bytes(self, layer: Layer) -> int:
        """RAM beyond input and output."""
        return 0

    def decode_bytes(self, layer: Layer) -> int:
        """The part of the scratch that holds decoded weights."""
        return 0

    def boot_bytes(self, layer: Layer) -> int:
        """RAM beside the arena for weights that are decoded once, before the first inference."""
        return 0

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The arrays in flash that the kernel reads."""
        return ()

    @abstractmethod
    def context(self, layer: Layer) -> dict[str, Any]:
        """Values for the template; everything is computed here, templates only write."""

    def schedule(self, layer: Layer) -> Schedule | None:
        """The events of the loop nest, where input and output may overlap; else None.

        It is what the C does, in its order: the planner believes it, and a replay checks the plan.
        """
        return None

    def overlap(self, layer: Layer, index: int) -> int | None:
        """Bytes by which the output must begin before input `index`; None: they must not meet.

        0 means in place, a negative number that the output may begin behind the input's start.
        """
        schedule = self.schedule(layer)
        if schedule is None or index not in schedule.reads:
            return None
        return schedule.distance(index)

    def behind(self, layer: Layer, index: int) -> int | None:
        """Bytes by which the output must begin behind input `index`; None: they must not meet."""
        schedule = self.schedule(layer)
        if schedule is None or index not in schedule.reads:
            return None
        return schedule.behind(index)

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """Inputs over which the output of this very layer may lie exactly."""
        return tuple(
            index
            for index in self.in_place
            if not layer.inputs[index].is_const and layer.inputs[index].size == layer.output.size
        )


def linear_constants(layer: Layer, weights: Array, layout: str) -> list[Constant]:
    """Weights, folded bias, multipliers and, where any is not 0, shifts of a linear layer."""
    prepared = layer.prepared
    constants = [
        Constant("weights", "int8_t", weights, True, f"weights, {layout}"),
        Constant("bias", "int32_t", prepared.bias, True, "accumulator start, zero point folded in"),
        Constant("multiplier", "int32_t", prepared.multiplier, True, "scale per output channel"),
    ]
    if np.any(prepared.shift):
        constants.append(
            Constant("shift", "int8_t", prepared.shift, True, "left shift per output channel")
        )
    return constants
