"""TFLite's UNIDIRECTIONAL_SEQUENCE_LSTM: float, and int8 or 16x8 with an int16 cell state.

Source: TensorFlow Lite `schema/schema.fbs`; TensorFlow Lite for Microcontrollers
`kernels/lstm_shared.h` for the order of the inputs.
"""

import math
from dataclasses import replace

import numpy as np

from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from edgecomp.frontend.tflite_more import constant_input
from edgecomp.ir import QParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.gates import UNIT_BITS
from edgecomp.ops.lstm import CELL_BITS, LstmParams

OPERATOR = "UNIDIRECTIONAL_SEQUENCE_LSTM"
GATES = (0, 3, 1, 2)
"""Places of the gates input, output, forget and candidate among the file's four."""
WEIGHTS, RECURRENT, BIAS = 1, 5, 12
"""Where the operands of the first gate lie among the inputs."""
HIDDEN, CELL = 18, 19
"""The variables."""
AXES = 3
"""Of the input: steps and batch in either order, elements."""
_TANH = 4
_NOT_THERE = {
    "peepholes": range(9, 12),
    "a projection": range(16, 18),
    "layer normalization": range(20, 24),
}
"""What neither the firmware nor TensorFlow Lite for Microcontrollers has, by places of inputs."""
_OWN = frozenset({HIDDEN, CELL, *(place for places in _NOT_THERE.values() for place in places)})
"""Places of what becomes no tensor of the graph."""


Operands = tuple[TfliteTensor | None, ...]


def with_own_variables(file: TfliteFile) -> TfliteFile:
    """Take the variables of LSTMs out of a file, and show all of their operands to the importer.

    They become no tensors of the graph: the layer itself says that it keeps its state.
    """
    tensors = list(file.tensors)
    operators = tuple(
        _without_variables(op, tensors) if op.op_type == OPERATOR else op for op in file.operators
    )
    return replace(file, tensors=tuple(tensors), operators=operators)


def _without_variables(operator: TfliteOperator, tensors: list[TfliteTensor]) -> TfliteOperator:
    operands = tuple(tensors[index] if index >= 0 else None for index in operator.inputs)
    inputs = list(operator.inputs)
    for place, index in enumerate(inputs):
        if index >= 0 and place in _OWN:
            tensors[index] = replace(tensors[index], data=None, is_variable=False)
            inputs[place] = -1
    options = {**operator.options, "operands": operands}
    return replace(operator, inputs=tuple(inputs), options=options)


def import_lstm(node: ImportedNode, build: GraphBuilder) -> str:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: as a layer that keeps its state."""
    _refuse_variants(node, build)
    hidden, cell = _states(node, build)
    time_major = bool(node.attrs.get("TimeMajor", False))
    x = node.inputs[0]
    weights, recurrent = (_stacked(node, build, first) for first in (WEIGHTS, RECURRENT))
    bias, units = _bias(node, build, weights), recurrent.data.shape[1]
    rows = len(GATES) * units
    sizes = weights.data.shape, recurrent.data.shape, bias.data.shape, hidden.shape, cell.shape
    wanted = (rows, build.shape(x)[2]), (rows, units), (rows,), (1, units), (1, units)
    if sizes != wanted:
        raise build.unsupported(node, f"operands of the shapes {sizes} instead of {wanted}")
    operands = [
        _turned(node, build, x) if time_major else x,
        _added(build, weights, f"{node.name}.weights", "OI"),
        _added(build, recurrent, f"{node.name}.recurrent", "OI"),
        _added(build, bias, f"{node.name}.bias", ""),
    ]
    params = LstmParams(
        keeps=True,
        cell_bits=_cell_bits(cell),
        cell_clip=float(node.attrs.get("CellClip", 0.0)) or math.inf,
    )
    y = build.emit("lstm", operands, params, node)
    if hidden.scale:
        qparams = QParams.per_tensor(hidden.scale[0], hidden.zero_point[0])
        build.annotate(y, replace(qparams, is_wide=hidden.dtype == "int16"))
    return _turned(node, build, y) if time_major else y


def _refuse_variants(node: ImportedNode, build: GraphBuilder) -> None:
    """Refuse other LSTMs than those that Keras makes."""
    shape = build.shape(node.inputs[0])
    batch = shape[1 if node.attrs.get("TimeMajor", False) else 0] if len(shape) == AXES else 1
    for what, is_there in (
        *((what, _has_any(node, places)) for what, places in _NOT_THERE.items()),
        ("an input gate that follows from the forget gate", not node.has_input(WEIGHTS)),
        ("another activation than tanh", node.attrs.get("FusedActivationFunction", 0) != _TANH),
        ("diagonal recurrent weights", bool(node.attrs.get("DiagonalRecurrentTensors"))),
        ("a cell clip below 0", not float(node.attrs.get("CellClip", 0.0)) >= 0),
        (f"an input with {len(shape)} axes", len(shape) != AXES),
        (f"{batch} sequences at once, each with a state", batch != 1),
    ):
        if is_there:
            raise build.unsupported(node, what, "convert a plain LSTM with a batch of 1")


def _has_any(node: ImportedNode, places: range) -> bool:
    operands: Operands = node.attrs["operands"]
    return any(operand is not None for operand in operands[places.start : places.stop])


def _states(node: ImportedNode, build: GraphBuilder) -> tuple[TfliteTensor, TfliteTensor]:
    """Hidden state, of the input's type, and cell state; float32, or int8 or int16 and int16."""
    operands: Operands = node.attrs["operands"]
    hidden, cell = (operands[place] for place in (HIDDEN, CELL))
    if hidden is None or cell is None:
        raise build.unsupported(node, "no states of its own")
    kinds = hidden.dtype, cell.dtype
    if kinds == ("float32", "float32"):
        return hidden, cell
    x = build.qparams(node.inputs[0])
    codes = "int16" if x is not None and x.is_wide else "int8"
    if kinds != (codes, "int16") or len(hidden.scale) != 1 or len(cell.scale) != 1:
        raise build.unsupported(
            node,
            f"states of {hidden.dtype} and {cell.dtype}, and an input of {codes}",
            "quantize to int8 or 16x8, or not at all",
        )
    if codes == "int16" and hidden.zero_point[0]:
        raise build.unsupported(
            node, f"a hidden state of int16 with the zero point {hidden.zero_point[0]}"
        )
    bits = -math.log2(cell.scale[0])
    if bits != int(bits) or not 0 <= bits <= UNIT_BITS or cell.zero_point[0]:
        raise build.unsupported(
            node,
            f"a cell state with the scale {cell.scale[0]:g} and zero point {cell.zero_point[0]}",
            "it must be a power of two from 2^-15 to 1, the zero point 0",
        )
    return hidden, cell


def _turned(node: ImportedNode, build: GraphBuilder, name: str) -> str:
    """Exchange the axes of steps and batch."""
    first, second, size = build.shape(name)
    if 1 in {first, second}:
        return build.reshape(name, (second, first, size), node)
    return build.transpose(name, (1, 0, 2), node)


def _cell_bits(cell: TfliteTensor) -> int:
    """Fraction bits of the cell state; those of a float one are for calibration to choose."""
    return round(-math.log2(cell.scale[0])) if cell.scale else CELL_BITS


def _stacked(node: ImportedNode, build: GraphBuilder, first: int) -> Constant:
    """The weights of all gates; of a quantized file with the scale of each gate for its rows.

    Raises:
        ValueError: their sizes do not fit each other.
    """
    real, scales = [], []
    for place in (first + gate for gate in GATES):
        real.append(np.asarray(constant_input(node, build, place, "weights"), np.float32))
        tensor = _operand(node, place)
        if tensor.data is not None and tensor.scale:
            if len(tensor.scale) > 1 or any(tensor.zero_point):
                raise build.unsupported(node, "weights with scales per row, or with zero points")
            scales += [tensor.scale[0]] * len(real[-1])
    stacked = np.concatenate(real)
    is_scaled = len(scales) == len(stacked)
    return Constant(stacked, QParams.per_channel(np.array(scales), 0) if is_scaled else None)


def _bias(node: ImportedNode, build: GraphBuilder, weights: Constant) -> Constant:
    """The biases of all gates; codes count at the scale of the products, not their own.

    With an input of int16 codes they have 64 bits.
    """
    x = build.qparams(node.inputs[0])
    places = [BIAS + gate for gate in GATES]
    real = np.concatenate([constant_input(node, build, place, "biases") for place in places])
    codes = [data for place in places if (data := _operand(node, place).data) is not None]
    is_real = len(codes) < len(places) or any(data.dtype.kind != "i" for data in codes)
    if x is None or weights.qparams is None or is_real:
        return Constant(real.astype(np.float32))
    if {data.dtype for data in codes} != {np.dtype(np.int64 if x.is_wide else np.int32)}:
        wanted = "int16 codes with biases of int64" if x.is_wide else "int8 codes, of int32"
        kinds = sorted({data.dtype.name for data in codes})
        raise build.unsupported(node, f"biases of {', '.join(kinds)}: TFLite has {wanted}")
    scales = x.scalar * np.array(weights.qparams.scale)
    return Constant(np.concatenate(codes).astype(np.float64) * scales, is_exact=True)


def _operand(node: ImportedNode, place: int) -> TfliteTensor:
    """An operand as the file has it."""
    operands: Operands = node.attrs["operands"]
    found = operands[place]
    assert found is not None
    return found


def _added(build: GraphBuilder, constant: Constant, hint: str, layout: str) -> str:
    """Add a constant that the file has in parts."""
    whole = build.add_constant(f"{hint}\0", constant)
    return build.constant(constant.data, hint, layout, whole)
