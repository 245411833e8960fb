"""Networks of 16x8 TFLite files tick by tick: the whole network's codes, on every core."""

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.passes.stream import stream
from edgecomp.quant import quantize_model
from edgecomp.samples import cut_into_ticks
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.tflite_net import Subgraph, content, weights

LENGTH, CHANNELS = 24, 3
SCALE = 1 / 4096


def network(folder, *, mean=False):
    """Convolutions over time, one of them dilated, a sum, and a window's mean if asked for."""
    rng, g = np.random.default_rng(3), Subgraph()
    x = g.tensor((1, LENGTH, 1, CHANNELS), "int16", SCALE)
    first = _conv(g, rng, x, LENGTH, dilation=1)
    second = _conv(g, rng, first, LENGTH - 2, dilation=3)
    third = _conv(g, rng, second, LENGTH - 8, dilation=1)
    g.inputs, g.outputs = [x], [third]
    if mean:
        axes = g.constant(np.array([1], np.int32))
        y = g.tensor((1, 1, CHANNELS), "int16", SCALE)
        g.outputs = [g.operator("MEAN", [third, axes], y, "ReducerOptions", KeepDims=False)]
    path = folder / "net.tflite"
    path.write_bytes(content(g))
    return quantize_model(run_passes(read_model(path)), None)[0]


def _conv(g, rng, x, length, *, dilation):
    codes, scales = weights(rng, (CHANNELS, 3, 1, CHANNELS), 0)
    shape = (1, length - 2 * dilation, 1, CHANNELS)
    options = {"StrideH": 1, "StrideW": 1, "DilationHFactor": dilation, "DilationWFactor": 1}
    inputs = [x, g.constant(codes, scales, 0)]
    y = g.tensor(shape, "int16", SCALE)
    return g.operator("CONV_2D", inputs, y, "Conv2DOptions", Padding=1, **options)


def sequence(graph):
    """Random codes of one sequence."""
    (name,) = graph.inputs
    rng = np.random.default_rng(0)
    return {name: rng.integers(-(2**15), 2**15, (1, *graph.tensors[name].shape)).astype(np.int16)}


@pytest.mark.parametrize("frames", [1, 2])
def test_ticks_give_what_the_whole_network_gives(frames, tmp_path):
    graph = network(tmp_path)
    codes = sequence(graph)
    (wanted,) = run_int(graph, codes)[graph.outputs[0]]
    ticks = stream(graph, 1, frames)
    name = ticks.graph.outputs[0]
    got = run_int(ticks.graph, cut_into_ticks(codes, 1, frames))[name]
    together = np.concatenate(list(got), axis=ticks.axes[name])
    found = together.take(range(ticks.delays[name], LENGTH), axis=ticks.axes[name])
    assert np.ptp(wanted) > 1000
    np.testing.assert_array_equal(found, wanted[:, : found.shape[1]])
    assert found.shape[1] >= wanted.shape[1] - 2


def test_a_mean_comes_in_the_first_tick_that_counts(tmp_path):
    graph = network(tmp_path, mean=True)
    codes = sequence(graph)
    ticks = stream(graph, 1, 2)
    got = run_int(ticks.graph, cut_into_ticks(codes, 1, 2))[ticks.graph.outputs[0]]
    np.testing.assert_array_equal(got[ticks.first_tick], run_int(graph, codes)[graph.outputs[0]][0])


def models(folder):
    """Ticks of one frame and of two."""
    for frames, mean in ((1, False), (1, True), (2, False), (2, True)):
        graph = network(folder, mean=mean)
        ticks = cut_into_ticks(sequence(graph), 1, frames)
        few = {name: codes[: LENGTH // 2] for name, codes in ticks.items()}
        yield Model(f"ticks-{frames}-{mean}", stream(graph, 1, frames).graph, few)


def test_host_c_computes_the_same(tmp_path):
    found = host_differences(list(models(tmp_path)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(list(models(tmp_path)), tmp_path, board)
    assert not found, one_line_each(found)
