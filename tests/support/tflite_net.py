"""Quantized TFLite files made by hand, of any operators, with variables and subgraphs."""

import math
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import tflite

TYPES = {
    "float32": 0, "int32": 2, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "resource": 13,
}  # fmt: skip
ALIGNMENT = 16


@dataclass
class Subgraph:
    """Tensors and operators; indices of tensors are what the methods return and take."""

    tensors: list = field(default_factory=list)
    operators: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    def tensor(self, shape, dtype="int8", scale=None, zero=0, data=None, axis=0, **more):
        """Add a tensor; `more` may be `name` or `is_variable`."""
        name = more.get("name", f"t{len(self.tensors)}")
        scales = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        self.tensors.append(
            (name, shape, dtype, scales, zero, data, axis, more.get("is_variable", False))
        )
        return len(self.tensors) - 1

    def constant(self, data, scale=None, axis=0):
        """Add a constant with zero point 0."""
        data = np.asarray(data)
        return self.tensor(data.shape, str(data.dtype), scale, 0, data, axis)

    def operator(self, name, inputs, outputs, kind="", **options):
        """Add an operator and return its first output, if it has any."""
        outputs = [outputs] if isinstance(outputs, int) else list(outputs)
        self.operators.append((name, list(inputs), outputs, kind, options))
        return outputs[0] if outputs else None

    def like(self, index):
        """Scale and zero point of a tensor, as arguments."""
        _, _, dtype, scales, zero, *_ = self.tensors[index]
        return {"dtype": dtype, "scale": float(scales[0]), "zero": zero}


def content(*subgraphs):
    """The bytes of a file; the first subgraph is the main one."""
    b = flatbuffers.Builder(4096)
    used = list(dict.fromkeys(op[0] for graph in subgraphs for op in graph.operators))
    constants = [t[5] for graph in subgraphs for t in graph.tensors if t[5] is not None]
    buffers = [_buffer(b, data) for data in (None, *constants)]
    numbers = iter(range(1, len(constants) + 1))
    graphs = [_graph(b, graph, used, numbers) for graph in subgraphs]
    vectors = [
        _tables(b, tflite.ModelStartOperatorCodesVector, [_code(b, name) for name in used]),
        _tables(b, tflite.ModelStartSubgraphsVector, graphs),
        _tables(b, tflite.ModelStartBuffersVector, buffers),
    ]
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, vectors[0])
    tflite.ModelAddSubgraphs(b, vectors[1])
    tflite.ModelAddBuffers(b, vectors[2])
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _tables(b, start, offsets):
    start(b, len(offsets))
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _ints(b, numbers):
    return b.CreateNumpyVector(np.asarray(numbers, np.int32))


def _buffer(b, data):
    if data is None:
        tflite.BufferStart(b)
        return tflite.BufferEnd(b)
    raw = np.ascontiguousarray(data).tobytes()
    b.StartVector(1, len(raw), ALIGNMENT)
    b.head -= len(raw)
    b.Bytes[b.head : b.head + len(raw)] = raw
    vector = b.EndVector()
    tflite.BufferStart(b)
    tflite.BufferAddData(b, vector)
    return tflite.BufferEnd(b)


def _code(b, name):
    number = getattr(tflite.BuiltinOperator, name)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddVersion(b, 1)
    tflite.OperatorCodeAddBuiltinCode(b, number)
    return tflite.OperatorCodeEnd(b)


def _graph(b, graph, used, numbers):
    tensors = [_tensor(b, *t, 0 if t[5] is None else next(numbers)) for t in graph.tensors]
    operators = [_operator(b, used, *op) for op in graph.operators]
    vectors = [
        _tables(b, tflite.SubGraphStartTensorsVector, tensors),
        _tables(b, tflite.SubGraphStartOperatorsVector, operators),
        _ints(b, graph.inputs),
        _ints(b, graph.outputs),
    ]
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, vectors[0])
    tflite.SubGraphAddOperators(b, vectors[1])
    tflite.SubGraphAddInputs(b, vectors[2])
    tflite.SubGraphAddOutputs(b, vectors[3])
    return tflite.SubGraphEnd(b)


def _tensor(b, name, shape, dtype, scales, zero, data, axis, is_variable, buffer):
    label, axes = b.CreateString(name), _ints(b, shape)
    quantization = None
    if scales is not None:
        vectors = b.CreateNumpyVector(scales), b.CreateNumpyVector(np.full(len(scales), zero, "q"))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, vectors[0])
        tflite.QuantizationParametersAddZeroPoint(b, vectors[1])
        tflite.QuantizationParametersAddQuantizedDimension(b, axis)
        quantization = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddName(b, label)
    tflite.TensorAddShape(b, axes)
    tflite.TensorAddType(b, TYPES[dtype])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddIsVariable(b, is_variable)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return tflite.TensorEnd(b)


def _operator(b, used, name, inputs, outputs, kind, options):
    table = None
    if kind:
        strings = {k: b.CreateString(v) for k, v in options.items() if isinstance(v, str)}
        getattr(tflite, f"{kind}Start")(b)
        for key, value in options.items():
            getattr(tflite, f"{kind}Add{key}")(b, strings.get(key, value))
        table = getattr(tflite, f"{kind}End")(b)
    read, made = _ints(b, inputs), _ints(b, outputs)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, used.index(name))
    tflite.OperatorAddInputs(b, read)
    tflite.OperatorAddOutputs(b, made)
    if table is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, kind))
        tflite.OperatorAddBuiltinOptions(b, table)
    return tflite.OperatorEnd(b)


def answers(model, *sequences, arena=1 << 20):
    """What TensorFlow Lite for Microcontrollers computes, run after run: one array per output."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    found = []
    for samples in zip(*sequences, strict=True):
        for number, sample in enumerate(samples):
            shape = tuple(interpreter.get_input_details(number)["shape"])
            interpreter.set_input(np.ascontiguousarray(sample).reshape(shape), number)
        interpreter.invoke()
        found.append([interpreter.get_output(n).copy() for n in range(_outputs(model))])
    return [np.stack(arrays) for arrays in zip(*found, strict=True)]


def _outputs(model):
    return tflite.Model.GetRootAsModel(model, 0).Subgraphs(0).OutputsLength()


def weights(rng, shape, channel_axis, largest=127):
    """Random int8 weights and their scales, one per channel, about 1 over the number of taps."""
    codes = rng.integers(-largest, largest + 1, shape).astype(np.int8)
    channels = shape[channel_axis]
    taps = math.prod(shape) / channels
    return codes, (rng.uniform(0.3, 1.0, channels) / (127 * math.sqrt(taps))).astype(np.float32)
