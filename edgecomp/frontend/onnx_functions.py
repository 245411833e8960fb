"""Operators that ONNX itself defines by simpler ones: those unknown here are taken apart.

Attention, RotaryEmbedding, SwiGLU, losses and others come with a function body in `onnx.defs`.
Source of the bodies: the installed `onnx`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from edgecomp.errors import UnsupportedError
from edgecomp.frontend.limits import check_layer_count
from edgecomp.frontend.names import STANDARD_DOMAINS, UniqueNames, qualified
from edgecomp.frontend.onnx_file import layer_names
from edgecomp.frontend.onnx_fold import foldable_nodes

RANKS = (1, 2, 3, 4, 5)
"""Numbers of axes that are tried where the file tells none."""
_DEEPEST = 8
"""Operators within operators; ONNX has two."""


@dataclass(frozen=True)
class Origin:
    """The layer of the file that a layer was taken out of."""

    op: str
    layer: str

    def refusal(self, error: UnsupportedError) -> UnsupportedError:
        """The same refusal, of the layer that the file has."""
        limit = f"{error.limit} (in its {error.op}, {error.layer!r})"
        return UnsupportedError(self.op, self.layer, limit, error.suggestion, error.attribute)


@dataclass(frozen=True)
class Expansion:
    """A model without operators that ONNX can express by known ones.

    Attributes:
        model: the model itself where nothing was expanded.
        origins: of the expanded layers, by index.
    """

    model: onnx.ModelProto
    origins: Mapping[int, Origin]


def expand_functions(model: onnx.ModelProto, known: frozenset[str]) -> Expansion:
    """Replace layers of unknown operators by ONNX's own definitions of them.

    Operators whose definition needs an unknown operator itself stay, for the reader to refuse.

    Args:
        model: a checked model.
        known: operators that can be imported, with their domains.

    Raises:
        UserError: there are too many layers.
    """
    whole: set[Origin] = set()
    while True:
        expansion = _expanded(model, known, whole)
        nodes = expansion.model.graph.node
        bad = {
            expansion.origins[i]
            for i in _unknown(expansion.model, nodes, known)
            if i in expansion.origins
        }
        if not bad:
            return expansion
        whole |= bad


def _unknown(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], known: frozenset[str]
) -> list[int]:
    """Indices of the layers that can neither be imported nor are constants."""
    foldable = foldable_nodes(nodes, [tensor.name for tensor in model.graph.initializer])
    return [i for i, n in enumerate(nodes) if i not in foldable and qualified(n) not in known]


def _expanded(model: onnx.ModelProto, known: frozenset[str], whole: set[Origin]) -> Expansion:
    """Expand everything but the layers that stay `whole`."""
    versions = {
        ("" if o.domain in STANDARD_DOMAINS else o.domain): o.version for o in model.opset_import
    }
    result: onnx.ModelProto = model
    origins: dict[int, Origin] = {}
    for _ in range(_DEEPEST):
        nodes = list(result.graph.node)
        layers = layer_names(nodes)
        found = {}
        types = None
        for index in _unknown(result, nodes, known):
            origin = origins.get(index, Origin(qualified(nodes[index]), layers[index]))
            if origin in whole or not _has_body(nodes[index], versions):
                continue
            types = _types(result) if types is None else types
            body = _body(nodes[index], versions, types)
            if body is not None:
                found[index] = origin, body
        if not found:
            break
        result, origins = _replaced(result, layers, origins, found)
    return Expansion(result, origins)


def _replaced(
    model: onnx.ModelProto,
    layers: Sequence[str],
    origins: Mapping[int, Origin],
    found: Mapping[int, tuple[Origin, onnx.FunctionProto]],
) -> tuple[onnx.ModelProto, dict[int, Origin]]:
    """The model with some layers replaced by function bodies."""
    check_layer_count(len(layers) + sum(len(body.node) for _, body in found.values()))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    values = UniqueNames(_value_names(model.graph))
    names = UniqueNames(layers)
    made: list[onnx.NodeProto] = []
    came: dict[int, Origin] = {}
    for index, node in enumerate(result.graph.node):
        node.name = layers[index]
        origin, bodies = origins.get(index), [node]
        if index in found:
            origin, body = found[index]
            bodies = _Call(node, body, values, names).nodes()
        if origin is not None:
            came.update((len(made) + place, origin) for place in range(len(bodies)))
        made += bodies
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in made]
    del result.graph.node[:]
    result.graph.node.extend(kept)
    return result, came


def _value_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of all tensors of a graph."""
    yield from (item.name for item in (*graph.input, *graph.initializer, *graph.output))
    for node in graph.node:
        yield from (*node.input, *node.output)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _value_names(inner)


def _version(domain: str, versions: Mapping[str, int]) -> int:
    return versions.get("" if domain in STANDARD_DOMAINS else domain, 1)


def _schema(node: onnx.NodeProto, versions: Mapping[str, int]) -> Any:
    """The operator as ONNX defines it, or None; onnx does not type all of its methods."""
    domain = "" if node.domain in STANDARD_DOMAINS else node.domain
    try:
        return onnx.defs.get_schema(node.op_type, _version(node.domain, versions), domain)
    except onnx.defs.SchemaError:
        return None


def _has_body(node: onnx.NodeProto, versions: Mapping[str, int]) -> bool:
    schema = _schema(node, versions)
    return bool(schema and (schema.has_function or schema.has_context_dependent_function))


def _types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Types and shapes of the tensors, as far as ONNX finds them."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        graph = model.graph
    found = {
        tensor.name: onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        for tensor in graph.initializer
    }
    for value in (*graph.input, *graph.value_info, *graph.output):
        found[value.name] = value.type
    return found


def _body(
    node: onnx.NodeProto, versions: Mapping[str, int], types: Mapping[str, onnx.TypeProto]
) -> onnx.FunctionProto | None:
    """The definition of an operator for these inputs; None where ONNX has none for them.

    Some definitions depend on the number of axes: where that is unknown, all must be the same.
    """
    bodies = [
        _body_for(node, versions, [types.get(name) for name in node.input], rank)
        for rank in (RANKS if _lacks_rank(node, types) else RANKS[:1])
    ]
    return bodies[0] if all(body == bodies[0] for body in bodies) else None


def _lacks_rank(node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto]) -> bool:
    kinds = [types.get(name) for name in node.input if name]
    return any(kind is None or not kind.tensor_type.HasField("shape") for kind in kinds)


def _body_for(
    node: onnx.NodeProto,
    versions: Mapping[str, int],
    types: Sequence[onnx.TypeProto | None],
    rank: int,
) -> onnx.FunctionProto | None:
    """The definition where every input of unknown shape has `rank` axes."""
    schema = _schema(node, versions)
    version = _version(node.domain, versions)
    given = []
    for name, known in zip(node.input, types, strict=True):
        kind = onnx.TypeProto()
        if known is not None:
            kind.CopyFrom(known)
        if name and not kind.tensor_type.HasField("shape"):
            kind.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension()] * rank)
        given.append(kind.SerializeToString())
    body = onnx.FunctionProto()
    try:
        if schema.has_function:
            fitting = [v for v in schema.function_opset_versions if v <= version]
            content = schema.get_function_with_opset_version(max(fitting))
        else:
            fitting = [v for v in schema.context_dependent_function_opset_versions if v <= version]
            content = schema.get_context_dependent_function_with_opset_version(
                max(fitting), node.SerializeToString(), given
            )
        body.ParseFromString(content)
    except (ValueError, RuntimeError, IndexError, TypeError):
        return None
    bound = {attribute.name for attribute in body.attribute_proto}
    body.attribute_proto.extend(
        attribute.default_value
        for attribute in schema.attributes.values()
        if attribute.default_value.name and attribute.name not in bound
    )
    return body if body.node else None


class _Call:
    """One layer, and the body that takes its place."""

    def __init__(
        self,
        node: onnx.NodeProto,
        body: onnx.FunctionProto,
        values: UniqueNames,
        layers: UniqueNames,
    ) -> None:
        """Match the names within the body with those of the model."""
        self._body = body
        self._values, self._layers = values, layers
        is_told = node.op_type.lower() in node.name.lower().replace("_", "")
        self._prefix = node.name if is_told else f"{node.name}/{node.op_type}"
        given = {a.name: a for a in node.attribute}
        self._attributes = {a.name: a for a in body.attribute_proto} | given
        self._names = {"": ""}
        for formal, actual in ((body.input, node.input), (body.output, node.output)):
            absent = [""] * (len(formal) - len(actual))
            self._names.update(zip(formal, [*actual, *absent], strict=False))
        # What nobody reads outside has a name of its own inside.
        for name in body.output:
            if not self._names[name]:
                del self._names[name]

    def nodes(self) -> list[onnx.NodeProto]:
        """The body's layers under the names of the model."""
        return self._renamed(self._body.node)

    def _renamed(self, nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
        made = []
        for node in nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = self._layers.take(f"{self._prefix}/{node.output[0] or node.op_type}")
            copy.input[:] = [self._name(name) for name in node.input]
            copy.output[:] = [self._name(name) for name in node.output]
            del copy.attribute[:]
            copy.attribute.extend(self._bound(node.attribute))
            made.append(copy)
        return made

    def _name(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = self._values.take(f"{self._prefix}/{name}")
        return self._names[name]

    def _bound(self, attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.AttributeProto]:
        """Attributes with the values that the layer gives them; absent ones are left out."""
        for attribute in attributes:
            bound = onnx.AttributeProto()
            if not attribute.ref_attr_name:
                bound.CopyFrom(attribute)
            elif attribute.ref_attr_name in self._attributes:
                bound.CopyFrom(self._attributes[attribute.ref_attr_name])
            else:
                continue
            bound.name = attribute.name
            for graph in (*((bound.g,) if bound.HasField("g") else ()), *bound.graphs):
                self._rename(graph)
            yield bound

    def _rename(self, graph: onnx.GraphProto) -> None:
        """Rename the tensors of a graph within the body."""
        for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            item.name = self._name(item.name)
        nodes = self._renamed(graph.node)
        del graph.node[:]
        graph.node.extend(nodes)
