"""TFLite files that remember: variables with and without first values, read and assigned."""

import numpy as np

from tests.support.tflite_net import Subgraph, content, weights

FRAME = 8
SCALE, ZERO = 1 / 32, 5
WIDE_SCALE = 1 / 8192


def handle(g, name):
    """VAR_HANDLE."""
    made = g.tensor((1,), "resource", name=f"{name}.{len(g.tensors)}")
    return g.operator("VAR_HANDLE", [], made, "VarHandleOptions", SharedName=name, Container="")


def read(g, name, shape, scale=SCALE, zero=ZERO, dtype="int8"):
    """READ_VARIABLE."""
    made = g.tensor(shape, dtype, scale, zero)
    return g.operator("READ_VARIABLE", [handle(g, name)], made, "ReadVariableOptions")


def assign(g, name, value):
    """ASSIGN_VARIABLE."""
    g.operator("ASSIGN_VARIABLE", [handle(g, name), value], [], "AssignVariableOptions")


def once(g, values):
    """CALL_ONCE, and the subgraph that it runs: constants become variables."""
    first = Subgraph()
    for name, codes in values.items():
        data = np.asarray(codes)
        data = data if data.dtype == np.int16 else data.astype(np.int8)
        scale, zero = (SCALE, ZERO) if data.dtype == np.int8 else (WIDE_SCALE, 0)
        assign(first, name, first.tensor(data.shape, str(data.dtype), scale, zero, data))
    g.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=1)
    return first


def like(g, index, shape):
    """A tensor with the scale of another."""
    return g.tensor(shape, **g.like(index))


def window(g, name, frame, length):
    """The last `length` frames, remembered in a variable, this one included."""
    axis = {"Axis": 1}
    kept = read(g, name, (1, length - 1, 1, FRAME), **g.like(frame))
    whole = like(g, frame, (1, length, 1, FRAME))
    whole = g.operator("CONCATENATION", [kept, frame], whole, "ConcatenationOptions", **axis)
    bounds = [[0, 1, 0, 0], [1, length, 1, FRAME], [1, 1, 1, 1]]
    rest = like(g, frame, (1, length - 1, 1, FRAME))
    inputs = [whole, *(g.constant(np.array(n, np.int32)) for n in bounds)]
    assign(g, name, g.operator("STRIDED_SLICE", inputs, rest, "StridedSliceOptions"))
    return whole


def convolution(g, rng, x, height, channels):
    """CONV_2D over the whole of a window of frames."""
    codes, scales = weights(rng, (channels, height, 1, FRAME), 0)
    start = rng.integers(-500, 500, channels).astype(_bias_type(g, x))
    bias = g.constant(start, scales * g.like(x)["scale"])
    y = like(g, x, (1, 1, 1, channels))
    options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    inputs = [x, g.constant(codes, scales), bias]
    relu = {"FusedActivationFunction": 1}
    return g.operator("CONV_2D", inputs, y, "Conv2DOptions", Padding=1, **options, **relu)


def _bias_type(g, x):
    return {"int8": np.int32, "int16": np.int64}[g.like(x)["dtype"]]


def streaming_network(rng, first=None, *, wide=False):
    """Two causal convolutions and a dense layer over the last frames, frame by frame."""
    g = Subgraph()
    kind = ("int16", WIDE_SCALE, 0) if wide else ("int8", SCALE, ZERO)
    g.inputs = [g.tensor((1, 1, 1, FRAME), *kind)]
    subgraphs = [] if first is None else [once(g, first)]
    y = convolution(g, rng, window(g, "a", g.inputs[0], 4), 4, FRAME)
    y = convolution(g, rng, window(g, "b", y, 3), 3, FRAME)
    last = window(g, "c", y, 5)
    codes, scales = weights(rng, (6, 5 * FRAME), 0)
    start = rng.integers(-500, 500, 6).astype(_bias_type(g, last))
    bias = g.constant(start, scales[:1] * g.like(last)["scale"])
    scores = g.tensor((1, 6), *(("int16", 1 / 60000, 0) if wide else ("int8", 1 / 256, -3)))
    inputs = [last, g.constant(codes, scales[:1]), bias]
    scores = g.operator("FULLY_CONNECTED", inputs, scores, "FullyConnectedOptions")
    y = g.tensor((1, 6), *(("int16", 1 / 32768, 0) if wide else ("int8", 1 / 256, -128)))
    g.outputs = [g.operator("SOFTMAX", [scores], y, "SoftmaxOptions", Beta=1.0), scores]
    return content(g, *subgraphs)


def running_sum(rng):
    """A variable that is added to, and read before and behind."""
    g = Subgraph()
    g.inputs = [g.tensor((1, FRAME), "int8", SCALE, ZERO)]
    old = read(g, "sum", (1, FRAME))
    new = g.operator("ADD", [old, g.inputs[0]], like(g, old, (1, FRAME)), "AddOptions")
    assign(g, "sum", new)
    again = read(g, "sum", (1, FRAME))
    half = g.tensor((1, FRAME), "int8", SCALE * 2, -ZERO)
    g.outputs = [g.operator("SUB", [again, old], half, "SubOptions"), again]
    return content(g)


def delay_line(rng):
    """Three variables, each of which takes over what the one before it had."""
    g = Subgraph()
    g.inputs = [g.tensor((1, FRAME), "int8", SCALE, ZERO)]
    subgraph = once(g, {"d1": np.arange(FRAME)[None], "d3": np.full((1, FRAME), -7)})
    kept = [read(g, f"d{n}", (1, FRAME)) for n in (1, 2, 3)]
    for n, value in ((1, g.inputs[0]), (2, kept[0]), (3, kept[1])):
        assign(g, f"d{n}", value)
    y = g.tensor((1, FRAME), "int8", SCALE * 1.7, 1)
    g.outputs = [g.operator("ADD", [kept[2], g.inputs[0]], y, "AddOptions"), kept[1]]
    return content(g, subgraph)


def random_runs(seed, count, *shape, dtype=np.int8):
    """Codes of an input, run after run."""
    ends = np.iinfo(dtype)
    codes = np.random.default_rng(seed).integers(ends.min, ends.max + 1, (count, 1, *shape))
    return codes.astype(dtype)


def svdf(g, rng, x, *, rank, units, memory, dtype="int8"):
    """SVDF with a state of its own."""
    finer = 1 if dtype == "int8" else 200
    filters, size = rank * units, g.tensors[x][1][1]
    scale_x = g.like(x)["scale"]
    state = g.tensor((1, filters * memory), dtype, 1 / 40 / finer, is_variable=True)
    features = rng.integers(-127, 128, (filters, size)).astype(np.int8)
    time = rng.integers(-127 * finer, 127 * finer + 1, (filters, memory)).astype(dtype)
    time_scale = 1 / (60 * memory) / finer
    bias = (rng.integers(-3000, 3000, units) * finer**2).astype(np.int32)
    inputs = [
        x,
        g.constant(features, 1 / (scale_x * 40 * 60 * size)),
        g.constant(time, time_scale),
        g.constant(bias, time_scale / 40 / finer),
        state,
    ]
    y = g.tensor((1, units), "int8", 1 / 300, -128)
    relu = {"FusedActivationFunction": 1}
    return g.operator("SVDF", inputs, y, "SVDFOptions", Rank=rank, **relu)


def svdf_network(rng, *, dtype="int8"):
    """Two SVDFs of different ranks and a dense layer."""
    g = Subgraph()
    g.inputs = [g.tensor((1, 2 * FRAME), "int8", SCALE, ZERO)]
    made = svdf(g, rng, g.inputs[0], rank=2, units=10, memory=7, dtype=dtype)
    made = svdf(g, rng, made, rank=1, units=12, memory=9, dtype=dtype)
    codes, scales = weights(rng, (6, 12), 0)
    y = g.tensor((1, 6), "int8", 1 / 400, 3)
    inputs = [made, g.constant(codes, scales[:1]), -1]
    g.outputs = [g.operator("FULLY_CONNECTED", inputs, y, "FullyConnectedOptions"), made]
    return content(g)


def _plain(g, shape=(1, FRAME)):
    return g.tensor(shape, "int8", SCALE, ZERO)


def _added(g, a, b):
    return g.operator("ADD", [a, b], g.tensor((1, FRAME), "int8", SCALE * 2, ZERO), "AddOptions")


def _reshaped(g, a, shape):
    inputs = [a, g.constant(np.array(shape, np.int32))]
    return g.operator("RESHAPE", inputs, _plain(g, shape), "ReshapeOptions")


def _reshaped_into_itself(g, x):
    kept = read(g, "a", (1, FRAME))
    half = _reshaped(g, kept, (1, 2, FRAME // 2))
    assign(g, "a", _reshaped(g, half, (1, FRAME)))
    return [_added(g, kept, x)]


def _one_value_for_two(g, x):
    a, b = read(g, "a", (1, FRAME)), read(g, "b", (1, FRAME))
    assign(g, "a", x)
    assign(g, "b", x)
    return [_added(g, a, b)]


def _outputs_itself(g, x):
    kept = read(g, "a", (1, FRAME))
    assign(g, "a", x)
    return [_reshaped(g, kept, (1, 2, FRAME // 2)), kept, _added(g, kept, x)]


def _assigned_twice(g, x):
    kept = read(g, "a", (1, FRAME))
    mixed = g.operator("QUANTIZE", [_added(g, kept, x)], _plain(g), "QuantizeOptions")
    assign(g, "a", x)
    between = read(g, "a", (1, FRAME))
    assign(g, "a", mixed)
    return [_added(g, kept, between)]


def _transposed(g, x):
    kept = read(g, "a", (1, 2, FRAME // 2))
    inputs = [kept, g.constant(np.array([0, 2, 1], np.int32))]
    turned = g.operator("TRANSPOSE", inputs, _plain(g, (1, FRAME // 2, 2)), "TransposeOptions")
    assign(g, "a", _reshaped(g, x, (1, 2, FRAME // 2)))
    return [_added(g, _reshaped(g, turned, (1, FRAME)), x)]


def unusual_networks():
    """Files of one variable or two, used in ways that converters hardly write, by name."""
    made = {}
    for layers in (
        _reshaped_into_itself, _one_value_for_two, _outputs_itself, _assigned_twice, _transposed,
    ):  # fmt: skip
        g = Subgraph()
        g.inputs = [_plain(g)]
        g.outputs = layers(g, g.inputs[0])
        made[layers.__name__.strip("_")] = content(g)
    return made
