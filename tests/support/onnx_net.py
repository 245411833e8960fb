"""Writing small ONNX models node by node, straight from the ONNX specification."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
FIRST_OPSET, LAST_OPSET = 11, 22


@dataclass(frozen=True)
class Value:
    """A tensor of the model under construction.

    Attributes:
        name: its name.
        shape: as ONNX sees it.
        exact: whether no arithmetic has touched it, so that a step function of it is the same in
            every float implementation.
    """

    name: str
    shape: Shape
    exact: bool = False

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass
class Net:
    """A model under construction.

    Attributes:
        rng: where all choices come from.
        opset: version of the operator set.
        large: whether tensors may have thousands of elements, or hundreds.
        channels_last: NHWC between layers, with a transpose on either side of spatial ones, as
            converters from TensorFlow leave it; else NCHW.
        values: activations so far, graph inputs first.
    """

    rng: np.random.Generator
    opset: int
    channels_last: bool
    large: bool = False
    inputs: list[Value] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def add_input(self, shape: Shape) -> Value:
        """Add a graph input."""
        value = Value(f"input{len(self.inputs)}", shape, exact=True)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def const(self, data: Any, dtype: Any = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))
        return name

    def ints(self, data: Sequence[int]) -> str:
        """Add a constant of integers, as axes and shapes are."""
        return self.const(list(data), np.int64)

    def op(
        self,
        op_type: str,
        inputs: Sequence[Value | str],
        shape: Sequence[int],
        *,
        exact: bool = False,
        **attrs: Any,
    ) -> Value:
        """Add a node whose first output has `shape`."""
        names = [value.name if isinstance(value, Value) else value for value in inputs]
        output = f"v{len(self.nodes)}"
        # Layers have names, sometimes; sometimes odd ones.
        title = self.pick(("", f"{op_type}_{len(self.nodes)}", f"block/{len(self.nodes)}*/int"))
        self.nodes.append(helper.make_node(op_type, names, [output], name=title, **attrs))
        self.used.update(names)
        return Value(output, tuple(int(n) for n in shape), exact)

    def transpose(self, x: Value, perm: Sequence[int]) -> Value:
        """Permute the axes."""
        return self.op(
            "Transpose", [x], [x.shape[axis] for axis in perm], exact=x.exact, perm=list(perm)
        )

    @property
    def most_elements(self) -> int:
        """Largest tensor."""
        return 3000 if self.large else 400

    @property
    def most_channels(self) -> int:
        """Most output channels of a layer with weights."""
        return 40 if self.large else 9

    # Choices.

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    # Layout.

    def channel_axis(self, x: Value) -> int:
        """The axis of the channels."""
        return x.rank - 1 if self.channels_last or x.rank < 3 else 1

    def spatial(self, x: Value) -> Value:
        """The value as ONNX's spatial operators want it: N C, then the spatial axes."""
        if not self.channels_last:
            return x
        return self.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))

    def back(self, y: Value) -> Value:
        """The result of a spatial operator in the model's own layout."""
        if not self.channels_last:
            return y
        return self.transpose(y, (0, *range(2, y.rank), 1))

    def model(self, outputs: Sequence[Value], *, symbolic_batch: bool) -> onnx.ModelProto:
        """Finish the model."""

        def info(value: Value) -> onnx.ValueInfoProto:
            shape: list[Any] = list(value.shape)
            if symbolic_batch:
                shape[0] = "batch"
            return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape)

        graph = helper.make_graph(
            self.nodes,
            "random",
            [info(value) for value in self.inputs],
            [info(value) for value in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
