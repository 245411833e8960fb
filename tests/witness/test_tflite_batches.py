"""TFLite files with several inputs at once: tflite-micro, our integers and our C agree."""

import numpy as np
import pytest

from edgecomp.export.tflite import export_tflite
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.bundle import Model
from tests.support.cases import one_line_each, random_codes
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.tflite_net import Subgraph, answers, content, weights

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's arithmetic",
)
RUNS = 24
BATCH, HEIGHT, WIDTH, CHANNELS, FILTERS = 3, 7, 5, 4, 6
SAME, VALID = 0, 1
X = {"int8": (1 / 32, -7), "int16": (1 / 4096, 0)}
Y = {"int8": (1 / 40, 11), "int16": (1 / 3000, 0)}


def _constants(g, rng, shape, axis, scale, dtype):
    codes, scales = weights(rng, shape, axis)
    start = rng.integers(-900, 900, shape[axis]).astype("int64" if dtype == "int16" else "int32")
    return [g.constant(codes, scales, axis), g.constant(start, scales * scale)]


def conv(rng, dtype, *, depthwise=False, window=(3, 3), stride=1, dilation=1, padding=SAME, act=0):
    """CONV_2D or DEPTHWISE_CONV_2D."""
    g = Subgraph()
    x = g.tensor((BATCH, HEIGHT, WIDTH, CHANNELS), dtype, *X[dtype])
    shape = (1, *window, CHANNELS) if depthwise else (FILTERS, *window, CHANNELS)
    axis = 3 if depthwise else 0
    inputs = [x, *_constants(g, rng, shape, axis, X[dtype][0], dtype)]
    span = [dilation * (n - 1) if padding == VALID else 0 for n in window]
    sizes = [-(-(n - s) // stride) for n, s in zip((HEIGHT, WIDTH), span, strict=True)]
    y = g.tensor((BATCH, *sizes, shape[axis]), dtype, *Y[dtype])
    kind = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    more = {"DepthMultiplier": 1} if depthwise else {}
    op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    made = g.operator(
        op, inputs, y, kind, StrideH=stride, StrideW=stride, DilationHFactor=dilation,
        DilationWFactor=dilation, Padding=padding, FusedActivationFunction=act, **more,
    )  # fmt: skip
    g.inputs, g.outputs = [x], [made]
    return content(g)


def dense(rng, dtype):
    """FULLY_CONNECTED, a row of inputs for each."""
    g = Subgraph()
    x = g.tensor((BATCH, 37), dtype, *X[dtype])
    inputs = [x, *_constants(g, rng, (FILTERS, 37), 0, X[dtype][0], dtype)]
    y = g.tensor((BATCH, FILTERS), dtype, *Y[dtype])
    made = g.operator("FULLY_CONNECTED", inputs, y, "FullyConnectedOptions")
    g.inputs, g.outputs = [x], [made]
    return content(g)


def transposed(rng, dtype):
    """TRANSPOSE_CONV."""
    g = Subgraph()
    x = g.tensor((BATCH, HEIGHT, WIDTH, CHANNELS), dtype, *X[dtype])
    codes, scales = weights(rng, (FILTERS, 3, 3, CHANNELS), 0)
    size = (BATCH, 2 * HEIGHT, 2 * WIDTH, FILTERS)
    inputs = [g.constant(np.array(size, np.int32)), g.constant(codes, scales, 0), x]
    y = g.tensor(size, dtype, *Y[dtype])
    options = {"StrideH": 2, "StrideW": 2, "Padding": SAME}
    g.inputs = [x]
    g.outputs = [g.operator("TRANSPOSE_CONV", inputs, y, "TransposeConvOptions", **options)]
    return content(g)


def network(rng, dtype):
    """Two convolutions with a sum behind them, a mean, and scores of each image."""
    g = Subgraph()
    shape = (BATCH, HEIGHT, WIDTH, CHANNELS)
    x = made = g.tensor(shape, dtype, *X[dtype])
    options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    for _ in range(2):
        inputs = _constants(g, rng, (CHANNELS, 3, 3, CHANNELS), 0, X[dtype][0], dtype)
        y = g.tensor(shape, dtype, *X[dtype])
        before, made = (
            made,
            g.operator("CONV_2D", [made, *inputs], y, "Conv2DOptions", Padding=SAME, **options),
        )
    made = g.operator("ADD", [before, made], g.tensor(shape, dtype, *Y[dtype]), "AddOptions")
    axes = g.constant(np.array([1, 2], np.int32))
    mean = g.tensor((BATCH, CHANNELS), dtype, *X[dtype])
    made = g.operator("MEAN", [made, axes], mean, "ReducerOptions", KeepDims=False)
    inputs = _constants(g, rng, (FILTERS, CHANNELS), 0, X[dtype][0], dtype)
    scale, zero = Y[dtype]
    scores = g.tensor((BATCH, FILTERS), dtype, scale / 8, zero)
    g.inputs = [x]
    g.outputs = [g.operator("FULLY_CONNECTED", [made, *inputs], scores, "FullyConnectedOptions")]
    return content(g)


MADE = {
    "same": conv,
    "relu": lambda rng, dtype: conv(rng, dtype, act=1),
    "stride": lambda rng, dtype: conv(rng, dtype, stride=2),
    "stride-valid": lambda rng, dtype: conv(rng, dtype, stride=2, padding=VALID),
    "dilated": lambda rng, dtype: conv(rng, dtype, dilation=2, window=(3, 2)),
    "pointwise": lambda rng, dtype: conv(rng, dtype, window=(1, 1)),
    "depthwise": lambda rng, dtype: conv(rng, dtype, depthwise=True),
    "depthwise-stride": lambda rng, dtype: conv(rng, dtype, depthwise=True, stride=2),
    "dense": dense,
    "transposed": transposed,
    "network": network,
}
CASES = [(name, dtype) for name in MADE for dtype in X]


def built(name, dtype, folder):
    """The file, the quantized graph, and codes for it."""
    model = MADE[name](np.random.default_rng(5), dtype)
    path = folder / "net.tflite"
    path.write_bytes(model)
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    return model, graph, random_codes(graph, np.random.default_rng(6), RUNS)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_codes_are_those_of_tflite_micro(name, dtype, tmp_path):
    model, graph, codes = built(name, dtype, tmp_path)
    (x,), (y,) = graph.inputs, graph.outputs
    (wanted,) = answers(model, codes[x])
    got = run_int(graph, codes)[y]
    assert len(np.unique(wanted)) >= 60
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", MADE)
def test_what_is_exported_gives_the_same(name, tmp_path):
    """TFLite's GATHER, which takes the images apart again, has no int16."""
    model, graph, codes = built(name, "int8", tmp_path)
    (wanted,) = answers(model, codes[graph.inputs[0]])
    (got,) = answers(export_tflite(graph), codes[graph.inputs[0]])
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


def models(folder, dtype, step=1):
    """Cases with a few runs."""
    for name in list(MADE)[::step]:
        _, graph, codes = built(name, dtype, folder)
        yield Model(name, graph, {x: array[:4] for x, array in codes.items()})


@pytest.mark.parametrize("dtype", X)
def test_host_c_computes_the_same(dtype, tmp_path):
    found = host_differences(list(models(tmp_path, dtype, 3)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("dtype", X)
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, dtype, tmp_path):
    found = board_differences(list(models(tmp_path, dtype)), tmp_path, board)
    assert not found, one_line_each(found)
