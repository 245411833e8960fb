"""Checks that a graph is consistent; called after every pass, so that a fault names its maker."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edgecomp.errors import InternalError
from edgecomp.ir.graph import Graph
from edgecomp.ir.types import DType, Node, Shape, Tensor


class Operator(Protocol):
    """What is asked of an operator; `edgecomp.ops.OPS` has them by name."""

    @property
    def same_qparams(self) -> bool:
        """Whether inputs and output share their quantization parameters."""

    def infer(self, params: Any, inputs: Sequence[Tensor]) -> Shape:
        """Return the output's shape."""

    def macs(self, params: Any, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Multiply-accumulates of one inference."""


def verify(graph: Graph, operators: Mapping[str, Operator]) -> None:
    """Check names, order, shapes, dtypes and quantization parameters.

    Args:
        graph: any graph, float or quantized.
        operators: `edgecomp.ops.OPS`.

    Raises:
        InternalError: naming the node or tensor that is wrong.
    """
    for name, tensor in graph.tensors.items():
        _check_tensor(name, tensor)
    _check_interface(graph)
    known = {name for name, tensor in graph.tensors.items() if tensor.is_const}
    known.update(graph.inputs)
    known.update(state.source for state in graph.states)
    layers: set[str] = set()
    for node in graph.nodes:
        if node.name in layers:
            raise InternalError(f"two layers have the name {node.name!r}")
        layers.add(node.name)
        _check_node(graph, node, known, operators)
        known.add(node.output)
    missing = set(graph.outputs) - known
    if missing:
        raise InternalError(f"no layer makes the output {sorted(missing)[0]!r}")
    _check_states(graph)
    if graph.is_quantized:
        for node in graph.nodes:
            _check_quantized(graph, node, operators[node.op])


def _check_tensor(name: str, tensor: Tensor) -> None:
    """Check one tensor by itself."""
    if tensor.name != name:
        raise InternalError(f"the tensor {tensor.name!r} is filed under the name {name!r}")
    if any(n <= 0 for n in tensor.shape):
        raise InternalError(f"the tensor {name!r} is empty: shape {tensor.shape}")
    if tensor.data is not None:
        if tuple(tensor.data.shape) != tensor.shape:
            raise InternalError(
                f"the constant {name!r} has shape {tensor.shape} but data of {tensor.data.shape}"
            )
        if tensor.data.dtype != tensor.dtype.numpy:
            raise InternalError(
                f"the constant {name!r} is {tensor.dtype.value} but its data {tensor.data.dtype}"
            )
    qparams = tensor.qparams
    if qparams is None:
        return
    if not all(scale > 0 and math.isfinite(scale) for scale in qparams.scale):
        raise InternalError(f"the tensor {name!r} has a scale that is not a positive number")
    if qparams.axis is None:
        wanted = 1
    elif 0 <= qparams.axis < len(tensor.shape) and qparams.zero_point == 0:
        wanted = tensor.shape[qparams.axis]
    else:
        raise InternalError(f"the tensor {name!r} has scales along a wrong axis, or a zero point")
    if len(qparams.scale) != wanted:
        raise InternalError(f"the tensor {name!r} has {len(qparams.scale)} scales, not {wanted}")


def _check_interface(graph: Graph) -> None:
    """Check inputs, outputs and the model's views of them."""
    for names, kind in ((graph.inputs, "input"), (graph.outputs, "output")):
        for name in names:
            if name not in graph.tensors:
                raise InternalError(f"the {kind} {name!r} is not among the tensors")
            if names.count(name) > 1:
                raise InternalError(f"the {kind} {name!r} is listed twice")
            if graph.tensors[name].is_const:
                raise InternalError(f"the {kind} {name!r} is a constant")
    for name, view in graph.views.items():
        if name not in (*graph.inputs, *graph.outputs):
            raise InternalError(f"there is a view of {name!r}, which is no input or output")
        tensor = graph.tensors[name]
        whole = math.prod(view.shape) == tensor.size
        if sorted(view.perm) != list(range(len(tensor.shape))) or not whole:
            raise InternalError(f"the view of {name!r} does not fit its shape {tensor.shape}")


def _check_states(graph: Graph) -> None:
    """Check that each state is a tensor of its own, and is made anew by a layer that reads it."""
    producers = graph.producers()
    names = [name for state in graph.states for name in (state.source, state.update)]
    for name in names:
        if names.count(name) > 1 or name in graph.inputs or name in graph.outputs:
            raise InternalError(f"the state {name!r} is something else as well")
    for state in graph.states:
        old, new = graph.tensors[state.source], graph.tensors[state.update]
        if (old.shape, old.dtype, old.qparams) != (new.shape, new.dtype, new.qparams):
            raise InternalError(
                f"the state {old.name!r} is followed by {new.name!r}, which differs"
            )
        if old.name in producers or new.name not in producers:
            raise InternalError(f"the state {old.name!r} is not made by exactly one layer per run")
        if old.name not in producers[new.name].inputs:
            raise InternalError(f"the layer that makes {new.name!r} does not read {old.name!r}")
        if len(state.codes) not in {1, old.size}:
            raise InternalError(f"the state {old.name!r} begins with {len(state.codes)} codes")


def _check_node(
    graph: Graph, node: Node, known: set[str], operators: Mapping[str, Operator]
) -> None:
    """Check a node against the tensors that exist before it."""
    if node.op not in operators:
        raise InternalError(f"layer {node.name!r} has the unknown operator {node.op!r}")
    for name in node.inputs:
        if name not in graph.tensors:
            raise InternalError(f"layer {node.name!r} reads {name!r}, which does not exist")
        if name not in known:
            raise InternalError(f"layer {node.name!r} reads {name!r} before it is computed")
    if node.output not in graph.tensors:
        raise InternalError(f"layer {node.name!r} makes {node.output!r}, which does not exist")
    if node.output in known:
        raise InternalError(f"layer {node.name!r} makes {node.output!r}, which exists already")
    output = graph.tensors[node.output]
    inferred = operators[node.op].infer(node.params, graph.node_inputs(node))
    if inferred != output.shape:
        raise InternalError(
            f"layer {node.name!r} ({node.op}) makes shape {inferred}, "
            f"but {node.output!r} has {output.shape}"
        )


def _check_quantized(graph: Graph, node: Node, operator: Operator) -> None:
    """Check the quantization parameters around a node of a quantized graph."""
    tensors = (*graph.node_inputs(node), graph.node_output(node))
    activations = [tensor for tensor in tensors if not tensor.is_const]
    for tensor in activations:
        qparams = tensor.qparams
        if qparams is None or qparams.axis is not None:
            raise InternalError(f"layer {node.name!r}: {tensor.name!r} needs one scale")
        low, high = tensor.dtype.limits
        if not low <= qparams.zero_point <= high:
            raise InternalError(
                f"layer {node.name!r}: the zero point of {tensor.name!r} is no "
                f"{tensor.dtype.value} code"
            )
    for tensor in tensors:
        small = tensor.dtype in {DType.INT4, DType.INT8, DType.INT16}
        if tensor.is_const and small and tensor.qparams is None:
            raise InternalError(f"layer {node.name!r}: the codes {tensor.name!r} have no scale")
    if operator.same_qparams and len({tensor.qparams for tensor in activations}) > 1:
        raise InternalError(
            f"layer {node.name!r} ({node.op}) only moves codes, but its tensors' scales differ"
        )
