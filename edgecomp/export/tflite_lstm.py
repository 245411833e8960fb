"""How LSTMs that came from a TFLite file are written again."""

import math

import numpy as np

from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.export.tflite_file import ABSENT
from edgecomp.ir import DType, Node, QParams, Tensor
from edgecomp.ops.lstm import LstmParams, gate_scales

OPERATOR = "UNIDIRECTIONAL_SEQUENCE_LSTM"
INPUTS = 24
GATES = (("input", 0), ("forget", 2), ("cell", 3), ("output", 1))
"""The file's gates in order, and which of ours each is."""
WEIGHTS, RECURRENT, BIAS, HIDDEN, CELL = 1, 5, 12, 18, 19
"""Where operands lie among the inputs, those of gates four by four."""
_TANH = 4


def emit_lstm(build: TfliteBuilder, node: Node) -> None:
    """Write a layer that keeps its state and has one scale per gate and matrix."""
    params = node.params
    assert isinstance(params, LstmParams)
    x, weights, recurrent, bias = build.graph.node_inputs(node)[:4]
    scales = [gate_scales(tensor) for tensor in (weights, recurrent)]
    if not params.keeps or node.numerics not in {"tflite", "tflite16"} or None in scales:
        raise build.refusal(
            node,
            "TFLite's LSTM keeps its state, in TFLite's own arithmetic",
            "export QDQ ONNX, or begin with a TFLite file",
        )
    units, steps = recurrent.shape[1], x.shape[1]
    source, q = build.take(x.name), build.qparams(node.output)
    sequence = (1, steps, units)
    is_last = params.emits == "last"
    out = build.activation(node.output)
    y = build.inner(out, ".sequence", sequence, q) if is_last else out
    label = build.file.name_of(out)
    inputs = [ABSENT] * INPUTS
    inputs[0] = source
    for number, (gate, ours) in enumerate(GATES):
        rows = slice(ours * units, (ours + 1) * units)
        for first, kind, tensor, each in (
            (WEIGHTS, "weights", weights, scales[0]),
            (RECURRENT, "recurrent", recurrent, scales[1]),
        ):
            assert each is not None
            codes = tensor.value[rows]
            name = f"{label}.{gate}_{kind}"
            scale = QParams.per_tensor(each[ours])
            inputs[first + number] = build.file.tensor(name, codes.shape, "int8", scale, codes)
        assert scales[0] is not None
        inputs[BIAS + number] = _bias(
            build, f"{label}.{gate}_bias", x, bias.value[rows], scales[0][ours]
        )
    cell = QParams.per_tensor(2.0**-params.cell_bits)
    code_type = build.graph.tensors[node.output].dtype.value
    state = (1, units)
    for place, name, dtype, scale in (
        (HIDDEN, "hidden", code_type, q),
        (CELL, "cell", "int16", cell),
    ):
        inputs[place] = build.file.tensor(
            f"{label}.{name}_state", state, dtype, scale, is_variable=True
        )
    build.file.operator(
        OPERATOR,
        inputs,
        y,
        "UnidirectionalSequenceLSTMOptions",
        FusedActivationFunction=_TANH,
        CellClip=0.0 if math.isinf(params.cell_clip) else params.cell_clip,
    )
    # LiteRT asks for five: four that layer normalization would need, and the hidden state.
    within = [build.file.tensor(f"{label}.within", (0,), "float32") for _ in GATES]
    within.append(build.file.tensor(f"{label}.effective_hidden", (0,), code_type, q))
    build.file.has_within(within)
    if is_last:
        begin = build.numbers(out, ".begin", [0, steps - 1, 0])
        size = build.numbers(out, ".size", [1, 1, units])
        build.file.operator("SLICE", [y, begin, size], out, "SliceOptions")


def _bias(build: TfliteBuilder, name: str, x: Tensor, real: np.ndarray, weight_scale: float) -> int:
    """The biases of a gate at the scale of the products with the input, int32; int64 for int16."""
    assert x.qparams is not None
    scale = x.qparams.scalar * weight_scale
    kind = np.int64 if x.dtype is DType.INT16 else np.int32
    codes = np.rint(real.astype(np.float64) / scale).astype(kind)
    return build.file.tensor(name, codes.shape, codes.dtype.name, QParams.per_tensor(scale), codes)
