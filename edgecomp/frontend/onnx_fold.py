"""Constant folding while reading: nodes that depend on constants and shapes only.

Legacy PyTorch exports compute paddings and shapes by chains of Shape, Gather, Concat, Slice,
ConstantOfShape and the like; every shape is known here, so such a chain is a constant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecomp.errors import UserError
from edgecomp.frontend.limits import LARGEST_CONSTANT, check_size
from edgecomp.ir import Array, Shape

SHAPE_OPS = frozenset({"Shape", "Size"})
"""Constant whatever their input is, since all shapes are known."""

LARGEST_SHAPE_INPUT = 64
"""Elements of a constant that may be a shape, a size or a count."""

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial"}
    | {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
_ANNOTATIONS = frozenset({"DequantizeLinear"})


def foldable_nodes(nodes: Iterable[onnx.NodeProto], constants: Iterable[str]) -> set[int]:
    """Find the nodes that are constants, before any value is computed.

    Args:
        nodes: the graph's nodes in execution order.
        constants: names of the initializers.

    Returns:
        Indices of nodes that read nothing but constants, or shapes only.
    """
    known = {"", *constants}
    found = set()
    for index, node in enumerate(nodes):
        if not _is_certain(node):
            continue
        # CastLike only wants the type of its second input.
        read = node.input[:1] if node.op_type == "CastLike" else names_read(node)
        if node.op_type in SHAPE_OPS or all(name in known for name in read):
            known.update(node.output)
            if node.op_type not in _ANNOTATIONS:
                found.add(index)
    return found


def _is_certain(node: onnx.NodeProto) -> bool:
    """Whether a node always gives the same, and ends: it has no loop in it."""
    graphs = list(_subgraphs(node))
    if (graphs and node.op_type != "If") or node.op_type in _RANDOM:
        return False
    return all(_is_certain(inner) for graph in graphs for inner in graph.node)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == attribute.GRAPH:
            yield attribute.g
        elif attribute.type == attribute.GRAPHS:
            yield from attribute.graphs


def names_read(node: onnx.NodeProto) -> list[str]:
    """Names of what a node reads, each once: its inputs, and what its branches find outside."""
    names = [name for name in node.input if name]
    for graph in _subgraphs(node):
        own = {item.name for item in (*graph.input, *graph.initializer)}
        for inner in graph.node:
            names += [name for name in names_read(inner) if name not in own]
            own.update(inner.output)
        names += [value.name for value in graph.output if value.name not in own]
    return list(dict.fromkeys(names))


def shape_constant(node: onnx.NodeProto, attrs: Mapping[str, Any], shape: Shape) -> Array:
    """Value of Shape (with its `start` and `end`) or Size of a tensor of `shape`."""
    if node.op_type == "Size":
        return np.asarray(np.prod(shape, dtype=np.int64))
    return np.asarray(shape[attrs.get("start", 0) : attrs.get("end")], dtype=np.int64)


def fold(node: onnx.NodeProto, inputs: Sequence[Array], opset: int) -> list[Array]:
    """Compute a node of constants with the reference implementation of ONNX.

    Sequences of tensors, read or computed, are arrays of `object`, an array for each tensor.

    Raises:
        UserError: the reference implementation cannot.
    """
    names = names_read(node)
    values = dict(zip(names, inputs, strict=True))
    untyped = [onnx.ValueInfoProto(name=name) for name in (*names, *node.output)]
    graph = onnx.helper.make_graph(
        [node], "fold", untyped[: len(names)], [v for v in untyped[len(names) :] if v.name]
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)]
    )
    for name, shape in _result_shapes(model, values).items():
        check_size(name, shape, LARGEST_CONSTANT)
    try:
        with np.errstate(all="ignore"):
            feeds = {name: list(v) if v.dtype == object else v for name, v in values.items()}
            results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:
        raise UserError(
            f"layer {node.name!r} ({node.op_type}) computes a constant that cannot be computed: "
            f"{error}\n  export the model again with constant folding switched on"
        ) from error
    return [
        _sequence(result) if isinstance(result, list) else np.asarray(result) for result in results
    ]


def _sequence(tensors: Sequence[Any]) -> Array:
    """Tensors of a sequence, which may differ in shape."""
    sequence = np.empty(len(tensors), dtype=object)
    for index, tensor in enumerate(tensors):
        sequence[index] = np.asarray(tensor)
    return sequence


def _result_shapes(model: onnx.ModelProto, values: Mapping[str, Array]) -> dict[str, Shape]:
    """Shapes of results, as far as ONNX knows them before it computes anything."""
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    del typed.graph.input[:]
    for name, value in values.items():
        if value.dtype == object:
            return {}  # no more than the sequence holds
        if value.size <= LARGEST_SHAPE_INPUT:
            typed.graph.initializer.append(numpy_helper.from_array(value, name))
        else:
            kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            typed.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    try:
        inferred = onnx.shape_inference.infer_shapes(typed, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return {}
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in inferred.output
        if all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim)
    }


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node as plain Python and numpy values; subgraphs are left out."""
    result: dict[str, Any] = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        elif attribute.type in {attribute.INTS, attribute.FLOATS}:
            value = list(value)
        elif attribute.type == attribute.STRINGS:
            value = [text.decode("utf-8", "replace") for text in value]
        elif attribute.type in {attribute.GRAPH, attribute.GRAPHS}:
            continue
        result[attribute.name] = value
    return result
