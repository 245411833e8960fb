"""A quantized graph as ONNX with QuantizeLinear and DequantizeLinear, for any runtime.

Inputs and outputs are real and have the names, the shapes and the order of the model that was
read; between them lie the same scales, zero points, weights and biases as in the firmware.
"""

import math

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper

from edgecomp import __version__
from edgecomp.errors import InternalError
from edgecomp.ir import Graph, View
from edgecomp.quant.qdq_builder import Form, QdqBuilder, channels_first
from edgecomp.quant.qdq_ops import emit_node


def export_qdq(graph: Graph) -> ModelProto:
    """Write a quantized graph as QDQ ONNX.

    Args:
        graph: a quantized graph.

    Returns:
        A checked model: float32 inputs and outputs, int8 activations (per tensor) and weights (per
        channel), int32 biases.

    Raises:
        InternalError: the graph is not quantized, or ONNX refuses the result.
    """
    if not graph.is_quantized:
        raise InternalError(f"{graph.name} is not quantized")
    build = QdqBuilder(graph)
    outer = {name: graph.io_names.get(name, name) for name in (*graph.inputs, *graph.outputs)}
    build.reserve(*outer.values())
    inputs = [_add_input(build, name, outer[name]) for name in graph.inputs]
    for node in graph.nodes:
        real, first = emit_node(build, node)
        build.quantize(graph.node_output(node), real, first=first)
    outputs = [_add_output(build, name, outer[name]) for name in graph.outputs]
    body = helper.make_graph(
        build.nodes, graph.name, inputs, outputs, list(build.initializers.values())
    )
    opset = helper.make_opsetid("", build.opset)
    model = helper.make_model(
        body, opset_imports=[opset], producer_name="edgecomp", producer_version=__version__
    )
    model.ir_version = helper.find_min_ir_version_for([opset])
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, RuntimeError) as error:
        raise InternalError(f"the exported ONNX of {graph.name} is not valid: {error}") from error
    return model


def _view(graph: Graph, name: str) -> View:
    shape = graph.tensors[name].shape
    return graph.views.get(name, View(tuple(range(len(shape))), shape))


def _permuted(graph: Graph, name: str, view: View) -> tuple[int, ...]:
    return tuple(graph.tensors[name].shape[axis] for axis in view.perm)


def _add_input(build: QdqBuilder, name: str, outer: str) -> ValueInfoProto:
    """Add a graph input in the model's own order, quantize it, and find the device's order."""
    graph = build.graph
    tensor, view = graph.tensors[name], _view(graph, name)
    build.quantize(tensor, outer, first=False)
    current = build.forms[name].name
    permuted, rank = _permuted(graph, name, view), len(tensor.shape)
    if view.shape != permuted:
        shape = build.constant(np.array(permuted, np.int64), f"{name}.shape")
        current = build.emit("Reshape", [current, shape], f"{name}.reshaped")
    first = rank > 2 and view.perm == channels_first(rank)
    if not first and view.perm != tuple(range(rank)):
        back = tuple(int(axis) for axis in np.argsort(view.perm))
        current = build.emit("Transpose", [current], f"{name}.transposed", perm=back)
    build.forms[name] = Form(current, first)
    return helper.make_tensor_value_info(outer, TensorProto.FLOAT, list(view.shape))


def _add_output(build: QdqBuilder, name: str, outer: str) -> ValueInfoProto:
    """Bring an output to the model's own order and give it its name."""
    graph = build.graph
    view = _view(graph, name)
    permuted, rank = _permuted(graph, name, view), len(graph.tensors[name].shape)
    first = rank > 2 and view.perm == channels_first(rank)
    if not first and sum(n > 1 for n in permuted) <= 1:
        # Order does not matter among axes of size 1: only the shape does.
        current = build.forms[name].name
        needs_shape = build.forms[name].first or view.shape != graph.tensors[name].shape
    else:
        current = build.take(name, first=first)
        needs_shape = view.shape != permuted
        if not first and view.perm != tuple(range(rank)):
            current = build.emit("Transpose", [current], f"{name}.transposed", perm=view.perm)
    if needs_shape:
        shape = build.constant(np.array(view.shape, np.int64), f"{name}.shape")
        current = build.emit("Reshape", [current, shape], f"{name}.reshaped")
    assert math.prod(view.shape) == graph.tensors[name].size
    _rename(build, current, outer)
    return helper.make_tensor_value_info(outer, TensorProto.FLOAT, list(view.shape))


def _rename(build: QdqBuilder, name: str, outer: str) -> None:
    """Give the tensor `name` the name of an output, or copy it where it has to keep its own."""
    outputs = {build.graph.io_names.get(n, n) for n in build.graph.outputs}
    made = any(name in node.output for node in build.nodes)
    if name in outputs or not made:
        build.nodes.append(helper.make_node("Identity", [name], [outer], name=outer))
        return
    for node in build.nodes:
        for names in (node.input, node.output):
            for index, current in enumerate(names):
                if current == name:
                    names[index] = outer
