"""Collects the nodes and constants of an ONNX graph, and knows in which order tensors lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgecomp.ir import Array, Graph, QParams, Tensor

LEAST_OPSET = 18
"""The first operator set in which ReduceMean takes its axes as an input."""


def channels_first(rank: int) -> tuple[int, ...]:
    """The permutation that moves the last axis of a batch behind the first."""
    return (0, rank - 1, *range(1, rank - 1))


@dataclass(frozen=True)
class Form:
    """An ONNX tensor that holds a tensor of the device, perhaps with its channels first."""

    name: str
    first: bool


@dataclass
class QdqBuilder:
    """An ONNX graph in the making.

    Attributes:
        graph: the quantized graph that is exported.
        nodes: so far, in order.
        initializers: constants so far, by name.
        forms: where each activation of the device is, after its DequantizeLinear.
        opset: operator set needed so far.
    """

    graph: Graph
    nodes: list[NodeProto] = field(default_factory=list)
    initializers: dict[str, TensorProto] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    opset: int = LEAST_OPSET
    _taken: set[str] = field(default_factory=set)
    _moved: dict[tuple[str, bool], str] = field(default_factory=dict)

    def reserve(self, *names: str) -> None:
        """Keep names from being given to anything else."""
        self._taken.update(names)

    def unique(self, name: str) -> str:
        """Return `name`, or a numbered variant if it is taken."""
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def constant(self, data: Array, name: str) -> str:
        """Add a constant and return its name."""
        name = self.unique(name)
        self.initializers[name] = numpy_helper.from_array(np.asarray(data, order="C"), name)
        return name

    def emit(
        self,
        op_type: str,
        inputs: Sequence[str],
        output: str,
        *,
        beside: Sequence[str] = (),
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its output; `beside` are names of further ones."""
        output = self.unique(output)
        given = {key: value for key, value in attributes.items() if value is not None}
        outputs = [output, *beside]
        self.nodes.append(helper.make_node(op_type, list(inputs), outputs, name=output, **given))
        return output

    def needs_opset(self, version: int) -> None:
        """Raise the operator set to at least `version`."""
        self.opset = max(self.opset, version)

    def take(self, name: str, *, first: bool) -> str:
        """Name of an activation with its channels first or last, moved if need be."""
        form = self.forms[name]
        rank = len(self.graph.tensors[name].shape)
        if rank < 3 or form.first == first:
            return form.name
        if (name, first) not in self._moved:
            perm = channels_first(rank)
            axes = perm if first else tuple(int(axis) for axis in np.argsort(perm))
            suffix = "channels_first" if first else "channels_last"
            self._moved[name, first] = self.emit(
                "Transpose", [form.name], f"{name}.{suffix}", perm=axes
            )
        return self._moved[name, first]

    def quantize(self, tensor: Tensor, real: str, *, first: bool) -> None:
        """Add QuantizeLinear and DequantizeLinear behind the real values of an activation."""
        assert tensor.qparams is not None
        parameters = self._parameters(tensor.name, tensor.qparams, np.int8)
        codes = self.emit("QuantizeLinear", [real, *parameters], f"{tensor.name}.codes")
        name = self.emit("DequantizeLinear", [codes, *parameters], tensor.name)
        self.forms[tensor.name] = Form(name, first)

    def dequantized(self, tensor: Tensor, data: Array, axis: int = 0) -> str:
        """Add a constant of codes and its DequantizeLinear, or a real one of a float32 layer.

        Args:
            tensor: gives name and parameters.
            data: its codes, rearranged for ONNX.
            axis: the axis of `data` that has one scale per index, where they are per channel.
        """
        q = tensor.qparams
        if q is None:
            return self.constant(data.astype(np.float32), tensor.name)
        codes = self.constant(data, f"{tensor.name}.codes")
        parameters = self._parameters(tensor.name, q, data.dtype.type)
        return self.emit(
            "DequantizeLinear",
            [codes, *parameters],
            tensor.name,
            axis=axis if q.axis is not None else None,
        )

    def _parameters(self, name: str, q: QParams, dtype: type) -> tuple[str, str]:
        scale = np.asarray(q.scale if q.axis is not None else q.scalar, np.float32)
        zero: Array = np.full(scale.shape, q.zero_point, dtype)
        return self.constant(scale, f"{name}.scale"), self.constant(zero, f"{name}.zero_point")
