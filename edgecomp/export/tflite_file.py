"""A TFLite file in the making: tensors, operators and constants, written in one go.

Tables are written through the schema's own functions (package `tflite`), options by the names that
the schema gives them.  Source: TensorFlow Lite `schema/schema.fbs`, version 3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgecomp import __version__
from edgecomp.ir import Array, QParams, Shape

SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
VERSIONS: Mapping[str, int] = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "PRELU": 1,
    "HARD_SWISH": 1, "ELU": 1, "RELU_N1_TO_1": 1, "SIN": 1, "COS": 1, "FLOOR": 1, "CEIL": 1,
    "ROUND": 1, "NEG": 1, "SQUARE": 1, "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
}  # fmt: skip
"""First version of each operator that knows int8; of all others it is the second."""
_MIN_ALIGN = 16
_Offset = Any
_TYPES = {"float32": 0, "int32": 2, "int64": 4, "int16": 7, "int8": 9}
ABSENT = -1
"""The index of an optional input that is not there."""


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: Shape
    dtype: str
    qparams: QParams | None
    axis: int
    data: Array | None
    is_variable: bool


@dataclass(frozen=True)
class _Operator:
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kind: str
    options: Mapping[str, Any]
    intermediates: tuple[int, ...] = ()

    @property
    def tensors(self) -> tuple[int, ...]:
        """All that it refers to."""
        return (*self.inputs, *self.outputs, *self.intermediates)


@dataclass
class TfliteWriter:
    """Collects one graph; the same calls give the same bytes."""

    _tensors: list[_Tensor] = field(default_factory=list)
    _operators: list[_Operator] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def reserve(self, *names: str) -> None:
        """Keep names from being given to tensors that do not ask for exactly them."""
        self._names.update(names)

    def tensor(
        self,
        name: str,
        shape: Shape,
        dtype: str = "int8",
        qparams: QParams | None = None,
        data: Array | None = None,
        *,
        axis: int = 0,
        is_reserved: bool = False,
        is_variable: bool = False,
    ) -> int:
        """Add a tensor and return its index.

        Args:
            name: a numbered variant is taken where another tensor has it.
            shape: all axes.
            dtype: numpy's name of the element type.
            qparams: of its codes.
            data: elements of a constant.
            axis: of scales that are per channel.
            is_reserved: whether `name` was kept for this tensor.
            is_variable: whether it keeps its value between inferences.
        """
        free, count = name, 1
        while free in self._names and not is_reserved:
            count += 1
            free = f"{name}_{count}"
        self._names.add(free)
        self._tensors.append(_Tensor(free, shape, dtype, qparams, axis, data, is_variable))
        return len(self._tensors) - 1

    def constant(self, name: str, data: Array) -> int:
        """Add a constant without scales and return its index."""
        return self.tensor(name, data.shape, str(data.dtype), None, data)

    def shape_of(self, index: int) -> Shape:
        """The shape of a tensor."""
        return self._tensors[index].shape

    def qparams_of(self, index: int) -> QParams:
        """The parameters of an activation."""
        found = self._tensors[index].qparams
        assert found is not None
        return found

    def name_of(self, index: int) -> str:
        """The name of a tensor."""
        return self._tensors[index].name

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        kind: str = "",
        **options: Any,
    ) -> int:
        """Add an operator and return the index of its output.

        Args:
            name: as the schema has it.
            inputs: indices of tensors, `ABSENT` for one that is not there.
            output: index of the tensor that it makes.
            kind: name of the table of its options, such as `Conv2DOptions`; none if empty.
            options: by the schema's field names.
        """
        self._operators.append(_Operator(name, tuple(inputs), (output,), kind, options))
        return output

    def has_within(self, intermediates: Sequence[int]) -> None:
        """Give the last operator tensors that only say the scales of what it computes within."""
        self._operators[-1] = replace(self._operators[-1], intermediates=tuple(intermediates))

    def content(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        import tflite
        from flatbuffers import Builder

        b = Builder(1024)
        used = list(dict.fromkeys(op.name for op in self._operators))
        # Tensors in the order in which they are met, whatever made them first.
        met = [*inputs, *(index for op in self._operators for index in op.tensors)]
        present = dict.fromkeys(index for index in met if index != ABSENT)
        ordered = [self._tensors[index] for index in present]
        place = {ABSENT: ABSENT, **{index: number for number, index in enumerate(present)}}
        constants = [t.data for t in ordered if t.data is not None]
        buffers = _table_vector(
            b, tflite.ModelStartBuffersVector, [_buffer(b, d) for d in (None, *constants)]
        )
        numbers = iter(range(1, len(constants) + 1))
        tensors = [_tensor(b, t, 0 if t.data is None else next(numbers)) for t in ordered]
        operators = [_operator(b, op, used.index(op.name), place) for op in self._operators]
        codes = [_code(b, name) for name in used]
        ends = [[place[index] for index in group] for group in (inputs, outputs)]
        graph = _subgraph(b, tensors, operators, *ends)
        graphs = _table_vector(b, tflite.ModelStartSubgraphsVector, [graph])
        code_vector = _table_vector(b, tflite.ModelStartOperatorCodesVector, codes)
        description = b.CreateString(f"edgecomp {__version__}")
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, SCHEMA_VERSION)
        tflite.ModelAddOperatorCodes(b, code_vector)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddDescription(b, description)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), IDENTIFIER)
        return bytes(b.Output())


def _table_vector(b: Any, start: Callable[[Any, int], Any], offsets: Sequence[_Offset]) -> _Offset:
    start(b, len(offsets))
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _ints(b: Any, numbers: Sequence[int]) -> _Offset:
    return b.CreateNumpyVector(np.asarray(numbers, np.int32))


def _buffer(b: Any, data: Array | None) -> _Offset:
    import tflite

    if data is None:
        tflite.BufferStart(b)
        return tflite.BufferEnd(b)
    raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    # Runtimes read constants in place, whole words at a time.
    b.StartVector(1, len(raw), _MIN_ALIGN)
    b.head -= len(raw)
    b.Bytes[b.head : b.head + len(raw)] = raw.tobytes()
    vector = b.EndVector()
    tflite.BufferStart(b)
    tflite.BufferAddData(b, vector)
    return tflite.BufferEnd(b)


def _tensor(b: Any, tensor: _Tensor, buffer: int) -> _Offset:
    import tflite

    name = b.CreateString(tensor.name)
    shape = _ints(b, tensor.shape)
    quantization = None
    if tensor.qparams is not None:
        scales = b.CreateNumpyVector(np.asarray(tensor.qparams.scale, np.float32))
        zeros = b.CreateNumpyVector(
            np.full(len(tensor.qparams.scale), tensor.qparams.zero_point, np.int64)
        )
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scales)
        tflite.QuantizationParametersAddZeroPoint(b, zeros)
        tflite.QuantizationParametersAddQuantizedDimension(b, tensor.axis)
        quantization = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, _TYPES[tensor.dtype])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    if tensor.is_variable:
        tflite.TensorAddIsVariable(b, True)
    tflite.TensorAddHasRank(b, True)
    return tflite.TensorEnd(b)


def _operator(b: Any, operator: _Operator, code: int, place: Mapping[int, int]) -> _Offset:
    import tflite

    inputs, outputs, intermediates = (
        _ints(b, [place[index] for index in group])
        for group in (operator.inputs, operator.outputs, operator.intermediates)
    )
    options = None
    if operator.kind:
        getattr(tflite, f"{operator.kind}Start")(b)
        for key, value in operator.options.items():
            getattr(tflite, f"{operator.kind}Add{key}")(b, value)
        options = getattr(tflite, f"{operator.kind}End")(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if operator.intermediates:
        tflite.OperatorAddIntermediates(b, intermediates)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, operator.kind))
        tflite.OperatorAddBuiltinOptions(b, options)
    return tflite.OperatorEnd(b)


def _code(b: Any, name: str) -> _Offset:
    import tflite

    number = getattr(tflite.BuiltinOperator, name)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddVersion(b, VERSIONS.get(name, 2))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    return tflite.OperatorCodeEnd(b)


def _subgraph(
    b: Any,
    tensors: Sequence[_Offset],
    operators: Sequence[_Offset],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> _Offset:
    import tflite

    tensor_vector = _table_vector(b, tflite.SubGraphStartTensorsVector, tensors)
    operator_vector = _table_vector(b, tflite.SubGraphStartOperatorsVector, operators)
    input_vector, output_vector = _ints(b, inputs), _ints(b, outputs)
    name = b.CreateString("main")
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensor_vector)
    tflite.SubGraphAddInputs(b, input_vector)
    tflite.SubGraphAddOutputs(b, output_vector)
    tflite.SubGraphAddOperators(b, operator_vector)
    tflite.SubGraphAddName(b, name)
    return tflite.SubGraphEnd(b)
