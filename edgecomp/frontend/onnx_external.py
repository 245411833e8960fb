"""Weights of an ONNX file that lie in other files beside it."""

import math
from pathlib import Path

import onnx

from edgecomp.errors import UserError
from edgecomp.frontend.limits import LARGEST_CONSTANT, check_size

_FOUR_BITS = frozenset({"INT4", "UINT4", "FLOAT4E2M1"})


def load_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Put weights that lie in files beside the model where all others are.

    Exactly the bytes that a tensor's shape asks for are read, from the model's folder or one in
    it: a file that comes from somewhere must not make us look into any other.

    Args:
        model: the model; its initializers are changed.
        path: its file.

    Raises:
        UserError: a file is missing, too short or elsewhere, or what is said of it makes no sense.
    """
    for tensor in model.graph.initializer:
        if not is_external(tensor):
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        try:
            raw = _bytes(tensor, told, path.parent)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} keeps {tensor.name!r} in {told.get('location', '')}, which cannot be "
                f"read: {error}\n"
                "  put that file beside the model, or save the model with its weights inside"
            ) from error
        tensor.raw_data = raw
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def refuse_external_attributes(model: onnx.ModelProto, source: str) -> None:
    """Refuse constants inside of layers that lie in other files: nobody writes such.

    Raises:
        UserError: naming the layer.
    """
    for node in model.graph.node:
        for attribute in node.attribute:
            if any(is_external(tensor) for tensor in (attribute.t, *attribute.tensors)):
                raise UserError(
                    f"{source}: layer {node.name!r} ({node.op_type}) keeps its {attribute.name} in "
                    "another file\n  save the model with its constants inside"
                )


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the elements lie in another file."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _bytes(tensor: onnx.TensorProto, told: dict[str, str], folder: Path) -> bytes:
    file = (folder / told["location"]).resolve() if told.get("location") else folder
    if not file.is_relative_to(folder.resolve()):
        raise ValueError("it lies outside of the model's folder")
    if not file.is_file():
        raise ValueError("there is no such file")
    check_size(tensor.name, tuple(tensor.dims), LARGEST_CONSTANT)
    size = math.ceil(math.prod(tensor.dims) * _bits(tensor.data_type) / 8)
    offset, length = int(told.get("offset") or 0), int(told.get("length") or size)
    if offset < 0 or length != size:
        raise ValueError(f"{length} bytes from {offset} on, where the shape asks for {size}")
    with file.open("rb") as stream:
        stream.seek(offset)
        raw = stream.read(size)
    if len(raw) != size:
        raise ValueError(f"it ends {size - len(raw)} bytes too early")
    return raw


def _bits(data_type: int) -> int:
    """Bits of an element."""
    name = onnx.TensorProto.DataType.Name(data_type)
    if name in _FOUR_BITS:
        return 4
    try:
        return 8 * int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    except KeyError as error:
        raise ValueError(f"elements of type {name}") from error
