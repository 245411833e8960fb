"""TFLite files with UNIDIRECTIONAL_SEQUENCE_LSTM, as converters of Keras models write them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecomp.export.tflite_file import ABSENT, TfliteWriter
from edgecomp.ir import QParams

GATES = ("input", "forget", "cell", "output")
"""In the order of the operator's inputs."""
OPERATOR = "UNIDIRECTIONAL_SEQUENCE_LSTM"
TANH = 4


@dataclass(frozen=True)
class LstmSpec:
    """One layer of a file.

    Attributes:
        units: of the hidden state.
        time_major: whether steps are the first axis.
        cell_bits: fraction bits of the cell state.
        cell_clip: its largest size, real; 0 for none.
        hidden: scale and zero point of the hidden states.
        magnitude: of the real weights.
        bias: of the real biases.
        activation: the schema's number of the fused function.
        extreme: whether all weights are -127 or 127.
        more: places of optional inputs that are given.
        without: places of inputs that are not.
        cell: type of the cell state, if not the usual one.
        weight_zero: zero point of all weights.
        bias_type: of the codes of biases, if not the usual one.
        more_units: by which the states are too large.
    """

    units: int
    time_major: bool = False
    cell_bits: float = 11
    cell_clip: float = 10.0
    hidden: tuple[float, int] = (1 / 128, 0)
    magnitude: float = 0.5
    bias: float = 0.5
    activation: int = TANH
    extreme: bool = False
    more: tuple[int, ...] = ()
    without: tuple[int, ...] = ()
    cell: str = ""
    weight_zero: int = 0
    more_units: int = 0
    bias_type: str = ""


@dataclass(frozen=True)
class NetSpec:
    """A file: LSTMs one behind the other, perhaps with a dense layer behind the last.

    Attributes:
        batch: sequences.
        steps: of each.
        inputs: elements of a step.
        layers: from the input on; all of one order of axes.
        classes: outputs of the dense layer, over the hidden states of all steps; 0 for none.
        x: scale and zero point of the input.
        dtype: of activations, `int8`, `int16` or `float32`.
        seed: of weights.
        options: further ones of every LSTM.
        flat: whether the input lacks the axis of the batch.
        last: whether the hidden state of the last step alone goes on.
    """

    batch: int
    steps: int
    inputs: int
    layers: tuple[LstmSpec, ...]
    classes: int = 0
    x: tuple[float, int] = (1 / 32, 3)
    dtype: str = "int8"
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    flat: bool = False
    last: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        if self.flat:
            return (self.steps, self.inputs)
        if self.layers[0].time_major:
            return (self.steps, self.batch, self.inputs)
        return (self.batch, self.steps, self.inputs)


def lstm_file(net: NetSpec) -> bytes:
    """Write the file."""
    writer = TfliteWriter()
    rng = np.random.default_rng(net.seed)
    scaled = net.dtype != "float32"
    x = writer.tensor("x", net.shape, net.dtype, QParams.per_tensor(*net.x) if scaled else None)
    last = x
    for number, layer in enumerate(net.layers):
        last = _lstm(writer, net, layer, last, f"lstm{number}", rng)
    if net.last:
        last = _last_step(writer, last, net.dtype)
    if net.classes:
        last = _dense(writer, net, last, rng)
    return writer.content([x], [last])


def _lstm(
    writer: TfliteWriter,
    net: NetSpec,
    layer: LstmSpec,
    x: int,
    name: str,
    rng: np.random.Generator,
) -> int:
    shape = writer.shape_of(x)
    sizes = {"input": shape[-1], "recurrent": layer.units}
    operands = [ABSENT] * 24
    operands[0] = x
    scales = {}
    for place, (kind, size) in enumerate(sizes.items()):
        for number, gate in enumerate(GATES):
            real = rng.uniform(-1, 1, (layer.units, size)) * layer.magnitude / size**0.5
            if layer.extreme:
                real = np.where(real < 0, -layer.magnitude, layer.magnitude) / size**0.5
            real *= rng.uniform(0.4, 1.0)
            label = f"{name}.{kind}_{gate}"
            index, scales[kind, gate] = _weights(writer, net, label, real, layer.weight_zero)
            operands[1 + 4 * place + number] = index
    for number, gate in enumerate(GATES):
        real = rng.uniform(-layer.bias, layer.bias, layer.units)
        label = f"{name}.bias_{gate}"
        if net.dtype == "float32":
            operands[12 + number] = writer.constant(label, real.astype(np.float32))
            continue
        scale = writer.qparams_of(x).scalar * scales["input", gate]
        kind = np.dtype(layer.bias_type or {"int8": "int32"}.get(net.dtype, "int64"))
        codes = np.rint(real / scale).astype(kind)
        q = QParams.per_tensor(scale)
        operands[12 + number] = writer.tensor(label, codes.shape, kind.name, q, codes)
    hidden = QParams.per_tensor(*layer.hidden) if net.dtype != "float32" else None
    cell = QParams.per_tensor(2.0**-layer.cell_bits) if hidden else None
    state = (net.batch, layer.units + layer.more_units)
    wide = layer.cell or ("int16" if hidden else "float32")
    operands[18] = writer.tensor(f"{name}.h", state, net.dtype, hidden, is_variable=True)
    operands[19] = writer.tensor(f"{name}.c", state, wide, cell, is_variable=True)
    for index in layer.more:
        ones = np.full(layer.units, 64, np.int16)
        operands[index] = writer.tensor(
            f"{name}.more{index}", ones.shape, "int16", QParams.per_tensor(2.0**-12), ones
        )
    for index in layer.without:
        operands[index] = ABSENT
    y = writer.tensor(f"{name}.y", (*shape[:2], layer.units), net.dtype, hidden)
    writer.operator(
        OPERATOR,
        operands,
        y,
        "UnidirectionalSequenceLSTMOptions",
        FusedActivationFunction=layer.activation,
        CellClip=layer.cell_clip,
        TimeMajor=layer.time_major,
        **net.options,
    )
    if hidden is not None:
        # What LiteRT asks for: four without scales, and the hidden state before a projection.
        made = [writer.tensor(f"{name}.gate{i}", (0,), "float32") for i in range(4)]
        writer.has_within([*made, writer.tensor(f"{name}.effective", (0,), net.dtype, hidden)])
    return y


def _weights(
    writer: TfliteWriter, net: NetSpec, name: str, real: np.ndarray, zero: int = 0
) -> tuple[int, float]:
    if net.dtype == "float32":
        return writer.constant(name, real.astype(np.float32)), 1.0
    q = QParams.per_tensor(float(np.abs(real).max() / 127), zero)
    codes = np.clip(np.rint(real / q.scalar), -127, 127).astype(np.int8)
    return writer.tensor(name, codes.shape, "int8", q, codes), q.scalar


def _last_step(writer: TfliteWriter, x: int, dtype: str) -> int:
    """SLICE of the last step of one sequence."""
    _, steps, units = writer.shape_of(x)
    begin = writer.constant("last.begin", np.array([0, steps - 1, 0], np.int32))
    size = writer.constant("last.size", np.array([1, 1, units], np.int32))
    y = writer.tensor("last", (1, 1, units), dtype, writer.qparams_of(x))
    return writer.operator("SLICE", [x, begin, size], y, "SliceOptions")


def _dense(writer: TfliteWriter, net: NetSpec, x: int, rng: np.random.Generator) -> int:
    """FULLY_CONNECTED over all hidden states, one row of scores for each sequence."""
    shape = writer.shape_of(x)
    rows = net.batch if not net.layers[-1].time_major else 1
    size = int(np.prod(shape)) // rows
    weights, _ = _weights(
        writer, net, "dense.w", rng.uniform(-1, 1, (net.classes, size)) / size**0.5
    )
    scales = {"int8": QParams.per_tensor(1 / 256, -5), "int16": QParams.per_tensor(1 / 8192)}
    q = scales.get(net.dtype)
    y = writer.tensor("scores", (rows, net.classes), net.dtype, q)
    return writer.operator("FULLY_CONNECTED", [x, weights, ABSENT], y, "FullyConnectedOptions")


def lstm_answers(model: bytes, codes: np.ndarray, *, reset: bool) -> np.ndarray:
    """What TFLM computes, with a reset before every sequence or only before the first."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    shape = tuple(interpreter.get_input_details(0)["shape"])
    found = []
    for sample in codes:
        if reset:
            interpreter.reset()
        interpreter.set_input(sample.reshape(shape), 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).copy())
    return np.stack(found)
