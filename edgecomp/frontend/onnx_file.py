"""An ONNX file as protobuf: opened, checked, its inputs' shapes settled."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import inliner, numpy_helper

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend.limits import LARGEST_CONSTANT, check_functions, check_size
from edgecomp.frontend.names import STANDARD_DOMAINS, UniqueNames, qualified
from edgecomp.frontend.onnx_external import load_external_data, refuse_external_attributes
from edgecomp.frontend.onnx_sparse import with_dense_constants
from edgecomp.frontend.qoperator import to_qdq
from edgecomp.frontend.rewrites import rewrite, rewrites
from edgecomp.ir import Array, Shape

OLDEST_OPSET = 7

InputShapes = Mapping[str, Sequence[int]]
"""Shape by input name; the name `""` stands for the only input."""
_LONGEST_QUOTE = 300
"""Characters of a file's own words in a message: names can have thousands."""
_BATCH = frozenset({"batch", "batch_size", "batchsize"})
"""Names of an axis that is the batch wherever it stands, as in sequences of (time, batch, …)."""


def load_model(path: Path) -> onnx.ModelProto:
    """Open an ONNX file, with its external data, model-local functions inlined.

    Raises:
        UserError: missing, truncated or corrupt file, missing external data, an opset outside of
            what is supported, or a model that breaks the rules of ONNX.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise UserError(
            f"{path} is not an ONNX model, or it is truncated\n"
            "  compare its size with the original, and download or export it again"
        ) from error
    if not model.HasField("graph") or not model.graph.output or not model.opset_import:
        raise UserError(f"{path} holds no network: it is empty, truncated or not an ONNX model")
    if not _is_text(model.graph):
        raise UserError(f"{path} has names that are not text: the file is damaged")
    load_external_data(model, path)
    return checked(model, str(path))


def checked(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Check version and rules of a model that came from `source`; bring it to one form.

    Its own functions are inlined, layers on codes become float layers between quantizers.
    """
    opset = opset_version(model)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise UserError(
            f"{source} uses ONNX opset {opset}; {OLDEST_OPSET} to {newest} are supported\n"
            "  export with another opset_version, or use onnx.version_converter"
        )
    check_functions(model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    refuse_external_attributes(model, source)
    # The checker wants a shape of every input and output; the reader needs only the inputs', and
    # may get them from the user.
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    for value in (*complete.graph.input, *complete.graph.output):
        kind = value.type.WhichOneof("value")
        if kind not in {None, "tensor_type"}:
            what = f"{value.name[:_LONGEST_QUOTE]!r} is a {str(kind).removesuffix('_type')}"
            raise UserError(f"{source}: {what}, not a tensor; only tensors go in and out")
        value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(complete)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        first = str(error).strip().splitlines()[0][:_LONGEST_QUOTE]
        raise UserError(f"{source} is not a valid ONNX model: {first}") from error
    return to_qdq(with_dense_constants(model), opset)


def _is_text(graph: onnx.GraphProto) -> bool:
    """Whether all names are valid UTF-8; protobuf hands broken ones out as bytes."""
    named = (*graph.input, *graph.output, *graph.initializer, *graph.node)
    names = [item.name for item in named]
    for node in graph.node:
        names += [node.op_type, node.domain, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    return all(isinstance(name, str) for name in names)


def opset_version(model: onnx.ModelProto) -> int:
    """Version of the standard operator set that the model uses."""
    versions = [o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS]
    return max(versions, default=onnx.defs.onnx_opset_version())


def elements(tensor: onnx.TensorProto) -> Array:
    """Elements of an initializer.

    Raises:
        UserError: there are more or fewer than its shape says.
    """
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise UserError(f"the constant {tensor.name!r} is damaged: {error}") from error


def layer_names(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    """Name every layer: as the file does where it can be, else by operator and index."""
    unique = UniqueNames()
    names = [unique.take(node.name) if node.name else "" for node in nodes]
    return [
        name or unique.take(f"{node.op_type}_{index}")
        for index, (node, name) in enumerate(zip(nodes, names, strict=True))
    ]


def input_shape(value: onnx.ValueInfoProto, given: InputShapes, *, only: bool) -> tuple[Shape, int]:
    """Settle the shape of a graph input; a symbolic batch, first or by name, becomes 1.

    Args:
        value: the input.
        given: shapes that the user gave.
        only: whether it is the model's only input.

    Returns:
        The shape, and the element type as ONNX numbers it.

    Raises:
        UserError: another axis is symbolic and not given, or the given shape contradicts.
    """
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise UserError(f"input {value.name!r} is not a tensor; only tensors are supported")
    known = tensor.HasField("shape")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    symbols = [d.dim_param for d in tensor.shape.dim]
    wanted = given.get(value.name, given.get("") if only else None)
    if wanted is not None:
        return _given_shape(value.name, tuple(wanted), dims if known else None), tensor.elem_type
    for axis, symbol in enumerate(symbols):
        if not dims[axis] and (axis == 0 or symbol.casefold() in _BATCH):
            dims[axis] = 1
    unknown = [
        f"axis {axis} ({symbols[axis] or 'unnamed'})"
        for axis, n in enumerate(dims)
        if n is None or n <= 0
    ]
    if unknown or not known:
        what = ", ".join(unknown) or "every axis"
        example = ",".join(str(n or 32) for n in dims) or "1,32"
        label = "" if only else f"{value.name}="
        raise UserError(
            f"the shape of input {value.name!r} is not fixed: {what}\n"
            f"  give it, for example --input-shape {label}{example}"
        )
    return tuple(int(n or 1) for n in dims), tensor.elem_type


def _given_shape(name: str, wanted: tuple[int, ...], dims: list[int | None] | None) -> Shape:
    """Match the user's shape with the file's; the batch of 1 may be left out."""
    shape = tuple(int(n) for n in wanted)
    if dims is not None and len(shape) == len(dims) - 1:
        shape = (1, *shape)
    fits = dims is None or (
        len(shape) == len(dims) and all(n in {None, 0, m} for n, m in zip(dims, shape, strict=True))
    )
    if not fits or any(n <= 0 for n in shape):
        has = "unknown" if dims is None else ",".join(str(n or "?") for n in dims)
        raise UserError(
            f"input shape {','.join(map(str, wanted))} does not fit input {name!r}, which is {has}"
        )
    return shape


def refuse_unknown(
    nodes: Iterable[onnx.NodeProto], names: Mapping[int, str], known: frozenset[str]
) -> None:
    """Refuse every unsupported layer at once.

    Args:
        nodes: the graph's nodes.
        names: layer name by index, for the nodes that are not constants.
        known: operators that can be imported.

    Raises:
        UnsupportedError: for the first one, the others listed in its message.
    """
    bad = [
        (qualified(node), names[index])
        for index, node in enumerate(nodes)
        if index in names and qualified(node) not in known
    ]
    if not bad:
        return
    op, layer = bad[0]
    limit = "this operator is not supported"
    if len(bad) > 1:
        limit += f", nor are those of {len(bad) - 1} more layers:" + "".join(
            f"\n    {other} in layer {name!r}" for other, name in bad[1:]
        )
    raise UnsupportedError(op, layer, limit, rewrites([op for op, _ in bad]))


def unknown_operator(node: onnx.NodeProto, layer: str) -> UnsupportedError:
    """The error for an operator that cannot be imported."""
    op = qualified(node)
    return UnsupportedError(op, layer, "this operator is not supported", rewrite(op))


def refuse_inconsistent(model: onnx.ModelProto, name: str) -> None:
    """Refuse a network whose layers do not fit together.

    Raises:
        UserError: types or shapes contradict each other.
    """
    model = _with_default_axes(model)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:_LONGEST_QUOTE]
        raise UserError(
            f"the layers of {name} do not fit together: {first}\n"
            "  the file was probably edited or damaged; export the model again"
        ) from error
    for value in inferred.graph.value_info:
        shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        check_size(value.name, tuple(max(n, 1) for n in shape), LARGEST_CONSTANT)


def _with_default_axes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the axes of MeanVarianceNormalization, whose default ONNX does not infer."""
    op = "MeanVarianceNormalization"
    if not any(node.op_type == op and not node.attribute for node in model.graph.node):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        if node.op_type == op and not node.attribute:
            node.attribute.append(onnx.helper.make_attribute("axes", [0, 2, 3]))
    return result
