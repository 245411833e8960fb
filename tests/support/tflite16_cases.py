"""TFLite files of one layer with int16 activations and int8 weights, and codes to run them on."""

from dataclasses import dataclass

import numpy as np

from tests.support.tflite_net import Subgraph, content, weights

IMAGE = (1, 5, 4, 3)
RUNS = 24
EVERY_CODE = (1, 1024)
SCALE = 1 / 4096


@dataclass(frozen=True)
class Case:
    """A file, and codes for each of its inputs, run after run."""

    id: str
    model: bytes
    codes: tuple


def wide_codes(rng, shape, runs=RUNS, dtype=np.int16):
    """Random codes, the first two runs at either end of the range, some small."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    found = rng.integers(low, high + 1, (runs, *shape)).astype(dtype)
    found[0], found[1] = low, high
    found[2 : runs // 3] //= 16
    found[runs // 3 : runs // 2] //= 100
    return found


def function_case(name, op, kind="", *, scale=SCALE, out=SCALE, **options):
    """A function of one code, of every code."""
    g = Subgraph()
    x = g.tensor(EVERY_CODE, "int16", scale)
    y = g.tensor(EVERY_CODE, "int16", out)
    g.inputs, g.outputs = [x], [g.operator(op, [x], y, kind, **options)]
    every = np.arange(-32768, 32768).astype(np.int16).reshape(64, *EVERY_CODE)
    return Case(name, content(g), (every,))


def layer_case(rng, name, op, shapes, output, constants=(), kind="", **options):
    """A layer of activations `shapes` and int32 constants behind them."""
    g = Subgraph()
    scale, out = options.pop("scale", SCALE), options.pop("out", SCALE)
    g.inputs = [g.tensor(shape, "int16", scale * (1 + 0.3 * n)) for n, shape in enumerate(shapes)]
    more = [g.constant(np.array(c, np.int32)) for c in constants]
    y = g.tensor(output, "int16", out)
    g.outputs = [g.operator(op, [*g.inputs, *more], y, kind, **options)]
    return Case(name, content(g), tuple(wide_codes(rng, shape) for shape in shapes))


def conv_case(rng, name, *, bias="int64", depthwise=False, filters=5, window=(3, 3), **options):
    """CONV_2D or DEPTHWISE_CONV_2D over an image."""
    g = Subgraph()
    x = g.tensor(IMAGE, "int16", SCALE)
    shape = (1, *window, 3) if depthwise else (filters, *window, 3)
    axis = 3 if depthwise else 0
    codes, scales = weights(rng, shape, axis)
    inputs = [x, g.constant(codes, scales, axis)]
    if bias:
        start = rng.integers(-(10**6), 10**6, shape[axis]).astype(bias)
        inputs.append(g.constant(start, scales * SCALE))
    same = options.setdefault("Padding", 0) == 0
    height, width = IMAGE[1:3]
    if not same:
        height, width = height - window[0] + 1, width - window[1] + 1
    y = g.tensor((1, height, width, shape[axis]), "int16", 1 / 3000)
    kind = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    plain = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    plain.update({"DepthMultiplier": 1} if depthwise else {})
    op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    g.inputs, g.outputs = [x], [g.operator(op, inputs, y, kind, **plain, **options)]
    return Case(name, content(g), (wide_codes(rng, IMAGE),))


def dense_case(rng, name, *, bias="int64", per_channel=True, **options):
    """FULLY_CONNECTED."""
    g = Subgraph()
    x = g.tensor((1, 37), "int16", SCALE)
    codes, scales = weights(rng, (6, 37), 0)
    scales = scales if per_channel else scales[:1]
    inputs = [x, g.constant(codes, scales)]
    if bias:
        start = rng.integers(-(10**6), 10**6, 6).astype(bias)
        inputs.append(g.constant(start, scales * SCALE))
    y = g.tensor((1, 6), "int16", 1 / 3000)
    kind = "FullyConnectedOptions"
    g.inputs, g.outputs = [x], [g.operator("FULLY_CONNECTED", inputs, y, kind, **options)]
    return Case(name, content(g), (wide_codes(rng, (1, 37), 4 * RUNS),))


def sum_with_constant_case(rng, name, op, kind, shape):
    """ADD, SUB or MUL with a constant of int16 codes."""
    g = Subgraph()
    x = g.tensor(IMAGE, "int16", SCALE)
    other = g.constant(rng.integers(-32768, 32768, shape).astype(np.int16), 1 / 5000)
    y = g.tensor(IMAGE, "int16", 1 / 2500)
    g.inputs, g.outputs = [x], [g.operator(op, [x, other], y, kind)]
    return Case(name, content(g), (wide_codes(rng, IMAGE),))


def split_case(rng, name):
    """SPLIT: the axis comes first; the parts are added up."""
    g = Subgraph()
    axis, x = g.constant(np.array(3, np.int32)), g.tensor((1, 5, 4, 6), "int16", SCALE)
    parts = [g.tensor(IMAGE, "int16", SCALE) for _ in range(2)]
    g.operator("SPLIT", [axis, x], parts, "SplitOptions", NumSplits=2)
    y = g.tensor(IMAGE, "int16", 1 / 3000)
    g.inputs, g.outputs = [x], [g.operator("ADD", parts, y, "AddOptions")]
    return Case(name, content(g), (wide_codes(rng, (1, 5, 4, 6)),))


def quantize_case(rng, name, middle):
    """int8 codes, a layer of int16 ones between two changes of scale, int8 codes."""
    g = Subgraph()
    x, y = g.tensor((1, 256), "int8", 1 / 24, -7), g.tensor((1, 256), "int8", 1 / 100, 11)
    wide = g.operator("QUANTIZE", [x], g.tensor((1, 256), "int16", 1 / 6000), "QuantizeOptions")
    made = g.operator(middle, [wide], g.tensor((1, 256), "int16", 1 / 32768))
    g.inputs, g.outputs = [x], [g.operator("QUANTIZE", [made], y, "QuantizeOptions")]
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 1, 256)
    return Case(name, content(g), (every,))


def network_case(rng, name):
    """Convolutions, a sum, a pool, a dense layer and a softmax, as a converter writes them."""
    g = Subgraph()
    x = made = g.tensor(IMAGE, "int16", SCALE)
    for number, depthwise in enumerate((False, True, False)):
        shape = (1, 3, 3, 8) if depthwise else (8, 3, 3, 3 if number == 0 else 8)
        axis = 3 if depthwise else 0
        codes, scales = weights(rng, shape, axis)
        scale_in = float(g.tensors[made][3][0])
        start = rng.integers(-(10**5), 10**5, 8)
        inputs = [made, g.constant(codes, scales, axis), g.constant(start, scales * scale_in)]
        y = g.tensor((1, 5, 4, 8), "int16", 1 / 5000)
        kind = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
        options.update({"DepthMultiplier": 1} if depthwise else {})
        before = made
        op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        made = g.operator(op, inputs, y, kind, FusedActivationFunction=1, Padding=0, **options)
    total = g.tensor((1, 5, 4, 8), "int16", 1 / 3000)
    made = g.operator("ADD", [before, made], total, "AddOptions")
    axes = g.constant(np.array([1, 2], np.int32))
    mean = g.tensor((1, 8), "int16", 1 / 4000)
    made = g.operator("MEAN", [made, axes], mean, "ReducerOptions", KeepDims=False)
    codes, scales = weights(rng, (6, 8), 0)
    bias = g.constant(rng.integers(-(10**5), 10**5, 6), scales[:1] / 4000)
    inputs = [made, g.constant(codes, scales[:1]), bias]
    scores = g.tensor((1, 6), "int16", 1 / 9000)
    made = g.operator("FULLY_CONNECTED", inputs, scores, "FullyConnectedOptions")
    y = g.tensor((1, 6), "int16", 1 / 32768)
    g.inputs = [x]
    g.outputs = [g.operator("SOFTMAX", [made], y, "SoftmaxOptions", Beta=1.0)]
    return Case(name, content(g), (wide_codes(rng, IMAGE),))


def cases():
    """Every case, the same at every call."""
    rng = np.random.default_rng(16)
    pool = {"FilterHeight": 2, "FilterWidth": 3, "StrideH": 2, "StrideW": 1}
    found = [
        conv_case(rng, "conv"),
        conv_case(rng, "conv-relu", FusedActivationFunction=1),
        conv_case(rng, "conv-relu6", FusedActivationFunction=3, window=(1, 1)),
        conv_case(rng, "conv-int32", bias="int32"),
        conv_case(rng, "conv-no-bias", bias="", Padding=1),
        conv_case(rng, "depthwise", depthwise=True),
        conv_case(rng, "depthwise-no-bias", depthwise=True, bias=""),
        *(
            dense_case(rng, f"dense-{bias or 'no-bias'}-{each}", bias=bias, per_channel=each)
            for bias in ("int64", "int32", "")
            for each in (True, False)
        ),
        layer_case(rng, "average", "AVERAGE_POOL_2D", [IMAGE], (1, 2, 2, 3), (), "Pool2DOptions",
                   Padding=1, **pool),
        layer_case(rng, "average-same", "AVERAGE_POOL_2D", [IMAGE], (1, 3, 4, 3), (),
                   "Pool2DOptions", Padding=0, FusedActivationFunction=1, **pool),
        layer_case(rng, "max", "MAX_POOL_2D", [IMAGE], (1, 3, 4, 3), (), "Pool2DOptions",
                   Padding=0, **pool),
        layer_case(rng, "mean", "MEAN", [IMAGE], (1, 3), [[1, 2]], "ReducerOptions"),
        layer_case(rng, "mean-scaled", "MEAN", [IMAGE], (1, 1, 1, 3), [[1, 2]], "ReducerOptions",
                   KeepDims=True, out=1 / 9000),
        layer_case(rng, "mean-channels", "MEAN", [IMAGE], (1, 5, 4), [[3]], "ReducerOptions"),
        layer_case(rng, "sum", "SUM", [IMAGE], (1, 3), [[1, 2]], "ReducerOptions", out=1 / 700),
        layer_case(rng, "pad", "PAD", [IMAGE], (1, 7, 7, 3), [[[0, 0], [1, 1], [3, 0], [0, 0]]]),
        layer_case(rng, "slice", "STRIDED_SLICE", [IMAGE], (1, 2, 4, 3),
                   [[0, 1, 0, 0], [1, 5, 4, 3], [1, 2, 1, 1]], "StridedSliceOptions"),
        layer_case(rng, "softmax", "SOFTMAX", [(1, 10)], (1, 10), (), "SoftmaxOptions",
                   Beta=1.0, out=1 / 32768),
        layer_case(rng, "softmax-flat", "SOFTMAX", [(3, 70)], (3, 70), (), "SoftmaxOptions",
                   Beta=1.0, scale=1 / 50000, out=1 / 32768),
        split_case(rng, "split"),
        quantize_case(rng, "quantize-logistic", "LOGISTIC"),
        quantize_case(rng, "quantize-tanh", "TANH"),
        network_case(rng, "network"),
    ]  # fmt: skip
    for op in ("ADD", "SUB", "MUL"):
        kind = f"{op.capitalize()}Options"
        both = [IMAGE, IMAGE]
        found += [
            layer_case(rng, op.lower(), op, both, IMAGE, (), kind, out=1 / 2000),
            layer_case(rng, f"{op.lower()}-relu", op, [IMAGE, (1, 1, 1, 3)], IMAGE, (), kind,
                       out=1 / 2000, FusedActivationFunction=1),
            sum_with_constant_case(rng, f"{op.lower()}-constant", op, kind, (3,)),
            sum_with_constant_case(rng, f"{op.lower()}-number", op, kind, ()),
        ]  # fmt: skip
    g = Subgraph()
    g.inputs = [g.tensor(IMAGE, "int16", SCALE) for _ in range(2)]
    y = g.tensor((1, 5, 4, 6), "int16", SCALE)
    g.outputs = [g.operator("CONCATENATION", g.inputs, y, "ConcatenationOptions", Axis=3)]
    codes = tuple(wide_codes(rng, IMAGE) for _ in range(2))
    found.append(Case("concat", content(g), codes))
    for scale in (1 / 4096, 1 / 2048, 1 / 3000, 1 / 40000, 1 / 5):
        text = f"{1 / scale:.0f}"
        units = {"scale": scale, "out": 1 / 32768}
        found += [
            function_case(f"logistic-{text}", "LOGISTIC", **units),
            function_case(f"tanh-{text}", "TANH", **units),
            function_case(f"rescale-{text}", "QUANTIZE", "QuantizeOptions", out=scale),
            function_case(f"relu-{text}", "RELU", out=scale),
            function_case(f"leaky-{text}", "LEAKY_RELU", "LeakyReluOptions", out=scale, Alpha=0.1),
        ]
    for op in ("MAXIMUM", "MINIMUM"):
        g = Subgraph()
        x, y = (g.tensor(EVERY_CODE, "int16", SCALE) for _ in range(2))
        limit = g.constant(np.array(1234, np.int16), SCALE)
        kind = "MaximumMinimumOptions"
        g.inputs, g.outputs = [x], [g.operator(op, [x, limit], y, kind)]
        every = np.arange(-32768, 32768).astype(np.int16).reshape(64, *EVERY_CODE)
        found.append(Case(op.lower(), content(g), (every,)))
    return [*found, function_case("relu6", "RELU6")]
