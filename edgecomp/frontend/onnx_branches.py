"""Choices in an ONNX file whose condition is constant: the branch that is taken joins the graph.

Legacy exports choose by shapes, which are fixed here.  Source of the semantics: ONNX If.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx

from edgecomp.frontend.limits import check_layer_count
from edgecomp.frontend.onnx_fold import names_read

CHOICE = "If"


@dataclass(frozen=True)
class Branch:
    """What takes the place of a choice.

    Attributes:
        nodes: under names that nothing else has; they have layer names.
        constants: the branch's own, by name.
        results: names that stand for the outputs of the choice.
        types: element types of its tensors.
    """

    nodes: tuple[onnx.NodeProto, ...]
    constants: tuple[onnx.TensorProto, ...]
    results: tuple[str, ...]
    types: Mapping[str, int]

    @property
    def names_read(self) -> set[str]:
        """Names of the tensors that are read, here or behind the choice."""
        return {name for node in self.nodes for name in names_read(node)} | set(self.results)


def with_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types of tensors in branches, where it has any."""
    if not any(node.op_type == CHOICE for node in model.graph.node):
        return model
    try:
        return onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return model


def branch_taken(
    node: onnx.NodeProto, layer: str, *, holds: bool, reserve: Callable[[str], str]
) -> Branch:
    """The branch that a condition chooses, with names that begin with the layer's.

    Args:
        node: the choice.
        layer: its name.
        holds: the condition.
        reserve: makes a name that nothing else has.

    Raises:
        UserError: it has too many layers.
    """
    wanted = "then_branch" if holds else "else_branch"
    graph = next(a.g for a in node.attribute if a.name == wanted)
    check_layer_count(len(graph.node))
    own = [item.name for item in graph.initializer]
    own += [name for inner in graph.node for name in inner.output if name]
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    _rename(copy, {name: reserve(f"{layer}/{name}") for name in dict.fromkeys(own)})
    for inner in copy.node:
        inner.name = f"{layer}/{inner.name or inner.op_type}"
    types = {
        value.name: int(value.type.tensor_type.elem_type)
        for value in (*copy.value_info, *copy.output)
    }
    results = tuple(value.name for value in copy.output)
    return Branch(tuple(copy.node), tuple(copy.initializer), results, types)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors other names, in graphs within the graph, too; the others are found outside."""
    for item in (*graph.initializer, *graph.value_info, *graph.output):
        item.name = names.get(item.name, item.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                _rename(inner, names)
