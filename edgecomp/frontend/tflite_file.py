"""A TFLite file as plain values: opened, its offsets and shapes checked.

The flatbuffer is read through the schema's own accessors (package `tflite`), which trust the file;
everything that a damaged file makes them raise ends as one `UserError`.
Source: TensorFlow Lite `schema/schema.fbs`, version 3.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.errors import UserError
from edgecomp.frontend.limits import (
    LARGEST_CONSTANT,
    LARGEST_NETWORK,
    LARGEST_NUMBER,
    SMALLEST_SCALE,
    check_layer_count,
)
from edgecomp.frontend.tflite_sparse import dense_elements
from edgecomp.ir import Array, Shape

MAGIC = b"TFL3"
_MAX_ITEMS = 100_000
_MAX_GRAPHS = 8
_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
    9: "int8", 10: "float64", 13: "resource", 15: "uint32", 16: "uint16", 17: "int4",
}  # fmt: skip
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, KeyError)


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor of the file.

    Attributes:
        name: as the file has it, not necessarily unique.
        shape: all axes.
        dtype: numpy's name of the element type, or `int4`.
        data: the elements of a constant.
        scale: one, or one per index of `axis`; empty where the tensor is not quantized.
        zero_point: as many.
        axis: of the scales.
        is_variable: state that lasts from one inference to the next.
    """

    name: str
    shape: Shape
    dtype: str
    data: Array | None = None
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    is_variable: bool = False


@dataclass(frozen=True)
class TfliteOperator:
    """A layer of the file.

    Attributes:
        op_type: name of the builtin operator, `CUSTOM` included.
        index: position in the file.
        inputs: indices of tensors, -1 for an absent one.
        outputs: indices of tensors.
        options: the builtin options, by the schema's field names.
    """

    op_type: str
    index: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it: files name tensors only."""
        return f"{self.op_type.lower()}_{self.index}"


@dataclass(frozen=True)
class TfliteFile:
    """The main graph of a file, and the `others`, which CALL_ONCE runs before it."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    others: tuple["TfliteFile", ...] = ()


def load_tflite(path: Path) -> TfliteFile:
    """Read a file.

    Raises:
        UserError: missing, truncated or damaged, of another kind, or with shapes that are open.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(content) < 16 or content[4:8] != MAGIC:
        raise UserError(f"{path} is not a TFLite model: it does not begin as one")
    try:
        return _parse(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise UserError(
            f"{path} is damaged or truncated ({error})\n"
            "  compare its size with the original, and download or convert it again"
        ) from error


def _parse(content: bytes) -> TfliteFile:
    import tflite

    model = tflite.Model.GetRootAsModel(content, 0)
    codes = [
        _operator_name(model.OperatorCodes(index))
        for index in range(_count(model.OperatorCodesLength()))
    ]
    count = _count(model.SubgraphsLength())
    if not 1 <= count <= _MAX_GRAPHS:
        raise ValueError(f"it has {count} graphs")
    main, *others = (_graph(model, model.Subgraphs(index), codes) for index in range(count))
    if others and all(operator.op_type != "CALL_ONCE" for operator in main.operators):
        raise UserError(
            f"it has {count} subgraphs: control flow is not supported\n"
            "  convert the model without loops and conditions"
        )
    if not main.outputs:
        raise ValueError("it has no outputs")
    return replace(main, others=tuple(others))


def _graph(model: Any, graph: Any, codes: list[str]) -> TfliteFile:
    check_layer_count(graph.OperatorsLength())
    tensors = _tensors(model, graph)
    operators = tuple(
        _operator(graph.Operators(index), index, codes)
        for index in range(_count(graph.OperatorsLength()))
    )
    inputs = tuple(int(graph.Inputs(i)) for i in range(_count(graph.InputsLength())))
    outputs = tuple(int(graph.Outputs(i)) for i in range(_count(graph.OutputsLength())))
    used = [*inputs, *outputs, *(i for op in operators for i in (*op.inputs, *op.outputs))]
    if any(not -1 <= index < len(tensors) for index in used) or -1 in (*inputs, *outputs):
        raise ValueError("a layer refers to a tensor that is not there")
    return TfliteFile(tensors, operators, inputs, outputs)


def _count(number: int) -> int:
    """Refuse counts that only damage can make."""
    if not 0 <= number <= _MAX_ITEMS:
        raise ValueError(f"a list of {number} entries")
    return int(number)


def _operator_name(code: Any) -> str:
    import tflite

    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        custom = code.CustomCode()
        return f"CUSTOM {custom.decode('utf-8', 'replace')}" if custom else "CUSTOM"
    return str(tflite.opcode2name(number))


def _tensors(model: Any, graph: Any) -> tuple[TfliteTensor, ...]:
    """All tensors; many may lie in one buffer, which makes a large network of a small file."""
    found: list[TfliteTensor] = []
    elements = 0
    for index in range(_count(graph.TensorsLength())):
        found.append(_tensor(model, graph.Tensors(index), index))
        data = found[-1].data
        elements += 0 if data is None else data.size
        if elements > LARGEST_NETWORK:
            raise UserError(f"its constants have more than {LARGEST_NETWORK:,} elements")
    return tuple(found)


def _tensor(model: Any, tensor: Any, index: int) -> TfliteTensor:
    name = (tensor.Name() or b"").decode("utf-8", "replace") or f"tensor_{index}"
    kind = _DTYPES.get(tensor.Type())
    shape = tuple(int(tensor.Shape(axis)) for axis in range(_count(tensor.ShapeLength())))
    signature = [
        int(tensor.ShapeSignature(i)) for i in range(_count(tensor.ShapeSignatureLength()))
    ]
    if min((*shape, 1)) < 0 or (signature and min(signature[1:], default=1) < 0):
        raise UserError(
            f"tensor {name!r} has an open shape {shape}\n  convert the model with fixed shapes"
        )
    if math.prod(shape) > LARGEST_CONSTANT:
        raise ValueError(f"tensor {name!r} would have the shape {shape}")
    data = None
    if not 0 <= tensor.Buffer() < _count(model.BuffersLength()):
        raise ValueError(f"tensor {name!r} refers to a buffer that is not there")
    buffer = model.Buffers(tensor.Buffer())
    if tensor.Buffer() and buffer.DataLength():
        data = _elements(buffer.DataAsNumpy(), kind, shape, name, tensor.Sparsity())
    quantization = tensor.Quantization()
    scale: tuple[float, ...] = ()
    zero: tuple[int, ...] = ()
    axis = 0
    if quantization is not None and quantization.ScaleLength():
        count = _count(quantization.ScaleLength())
        scale = tuple(float(quantization.Scale(i)) for i in range(count))
        zero = tuple(
            int(quantization.ZeroPoint(i)) for i in range(_count(quantization.ZeroPointLength()))
        )
        zero = zero or (0,) * count
        axis = int(quantization.QuantizedDimension())
        if len(zero) != count or not all(SMALLEST_SCALE <= s <= LARGEST_NUMBER for s in scale):
            raise ValueError(f"the scales of tensor {name!r} make no sense")
        if count > 1 and (axis >= len(shape) or axis < 0 or shape[axis] != count):
            raise ValueError(f"tensor {name!r} has {count} scales for the shape {shape}")
    return TfliteTensor(
        name,
        shape,
        kind or f"type {tensor.Type()}",
        data,
        scale,
        zero,
        axis,
        bool(tensor.IsVariable()),
    )


def _elements(raw: Array, kind: str | None, shape: Shape, name: str, sparsity: Any = None) -> Array:
    """The elements of a constant; int4 ones lie two in a byte, the first in the low half."""
    count = math.prod(shape)
    if kind is None:
        return np.zeros(0, np.uint8)
    if sparsity is not None:
        if kind == "int4":
            raise UserError(f"tensor {name!r} is stored sparsely with four bits")
        return dense_elements(sparsity, raw.view(np.dtype(kind).newbyteorder("<")), shape)
    if kind == "int4":
        halves = np.stack([raw & 15, raw >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
        codes = (halves ^ 8) - 8
    else:
        dtype = np.dtype(kind).newbyteorder("<")
        if len(raw) != count * dtype.itemsize:
            raise ValueError(f"tensor {name!r} has {len(raw)} bytes for the shape {shape}")
        codes = np.frombuffer(raw.tobytes(), dtype)
    return codes.reshape(shape)


def _operator(operator: Any, index: int, codes: list[str]) -> TfliteOperator:
    if not 0 <= operator.OpcodeIndex() < len(codes):
        raise ValueError(f"layer {index} has an operator that is not there")
    return TfliteOperator(
        codes[operator.OpcodeIndex()],
        index,
        tuple(int(operator.Inputs(i)) for i in range(_count(operator.InputsLength()))),
        tuple(int(operator.Outputs(i)) for i in range(_count(operator.OutputsLength()))),
        _options(operator),
    )


def _options(operator: Any) -> dict[str, Any]:
    """The builtin options as a mapping from the schema's field names to numbers and lists."""
    import tflite

    kind = operator.BuiltinOptionsType()
    table = operator.BuiltinOptions()
    if table is None or not kind:
        return {}
    names = {
        number: name
        for name, number in vars(tflite.BuiltinOptions).items()
        if isinstance(number, int)
    }
    made = getattr(tflite, names[kind])()
    made.Init(table.Bytes, table.Pos)
    found: dict[str, Any] = {}
    for method in dir(made):
        if method[0].isupper() and method != "Init" and not method.startswith("GetRootAs"):
            if method.endswith(("AsNumpy", "Length", "IsNone", "BufferHasIdentifier")):
                continue
            length = getattr(made, f"{method}Length", None)
            value = getattr(made, method)
            found[method] = (
                [value(i) for i in range(_count(length()))] if length is not None else value()
            )
    return found
