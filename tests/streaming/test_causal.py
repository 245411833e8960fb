"""Random networks: what ticks give is what the whole network gives, to the bit."""

import numpy as np
import pytest

from edgecomp.build import compile_host_check
from edgecomp.device import HostEngine, QemuEngine, run_samples
from edgecomp.interp import run_int
from edgecomp.passes.stream import Stream, stream
from edgecomp.samples import cut_into_ticks
from edgecomp.targets.boards import get_board
from edgecomp.targets.cores import get_core
from tests.support.bundle import bundle
from tests.support.cases import one_line_each
from tests.support.causal import Causal, causal_network, tick_model
from tests.support.proof import EMULATED, board_differences, board_images, host_differences

LENGTH = 96
FEW, MANY = range(24), range(300)
STEPS = 10_000


def outputs(streamed: Stream, causal: Causal, codes):
    """The output by ticks, `(ticks, *shape)`."""
    ticks = cut_into_ticks(codes, causal.axis, streamed.frames)
    return run_int(streamed.graph, ticks)[streamed.graph.outputs[0]]


def sequence_of(streamed: Stream, got):
    """Frames of an output with a time axis, one behind the other from number 0 on."""
    name = streamed.graph.outputs[0]
    return np.concatenate(list(got), axis=streamed.axes[name]).take(
        range(streamed.delays[name], len(got) * got.shape[streamed.axes[name] + 1]),
        axis=streamed.axes[name],
    )


def assert_first_window(causal: Causal, streamed: Stream, seed: int) -> None:
    """The whole network's outputs come tick by tick, or in the first tick that counts."""
    codes = causal.sequence(seed)
    (wanted,) = run_int(causal.graph, codes)[causal.graph.outputs[0]]
    got = outputs(streamed, causal, codes)
    name = streamed.graph.outputs[0]
    if name not in streamed.axes:
        np.testing.assert_array_equal(got[streamed.first_tick], wanted)
        return
    axis = streamed.axes[name]
    frames = sequence_of(streamed, got)
    count = min(frames.shape[axis], wanted.shape[axis])
    assert count > wanted.shape[axis] - 2 * streamed.frames
    np.testing.assert_array_equal(
        frames.take(range(count), axis=axis), wanted.take(range(count), axis=axis)
    )


@pytest.mark.parametrize("seed", FEW)
def test_ticks_give_what_the_whole_network_gives(seed):
    causal = causal_network(seed, LENGTH)
    assert_first_window(causal, causal.stream, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_ticks_give_what_many_whole_networks_give(seed):
    causal = causal_network(seed, LENGTH)
    assert_first_window(causal, causal.stream, seed)
    longer = stream(causal.graph, causal.axis, 3 * causal.stream.frames)
    assert_first_window(causal, longer, seed)


@pytest.mark.parametrize("seed", FEW)
def test_later_ticks_go_on(seed):
    """In every later tick, a network over the whole stream whose last layer sees as much."""
    short = causal_network(seed, LENGTH)
    streamed = short.stream
    name = streamed.graph.outputs[0]
    later = [LENGTH + streamed.frames * ticks for ticks in (1, 7, 30)]
    codes = short.sequence(seed, max(later))
    got = outputs(streamed, short, codes)
    for length in later:
        causal = causal_network(seed, length, short.seen)
        seen = {"x": codes["x"].take(range(length), axis=short.axis + 1)}
        (wanted,) = run_int(causal.graph, seen)[causal.graph.outputs[0]]
        if name in streamed.axes:
            axis = streamed.axes[name]
            frames = sequence_of(streamed, got)
            count = min(frames.shape[axis], wanted.shape[axis])
            wanted = wanted.take(range(count), axis=axis)
            np.testing.assert_array_equal(frames.take(range(count), axis=axis), wanted)
        elif LENGTH % streamed.frames == 0:
            tick = streamed.first_tick + (length - LENGTH) // streamed.frames
            np.testing.assert_array_equal(got[tick], wanted)


def is_sliding(seed: int) -> bool:
    """Whether each output is of the last window and of nothing else."""
    causal = causal_network(seed, LENGTH)
    return not causal.is_padded and not causal.stream.axes


@pytest.mark.parametrize("seed", [seed for seed in FEW if is_sliding(seed)])
def test_without_padding_every_window_is_the_whole_network_s(seed):
    causal = causal_network(seed, LENGTH)
    streamed = causal.stream
    codes = causal.sequence(seed, LENGTH + 20 * streamed.frames)
    got = outputs(streamed, causal, codes)
    for ticks in range(20):
        begin = ticks * streamed.frames
        window = {"x": codes["x"].take(range(begin, begin + LENGTH), axis=causal.axis + 1)}
        (wanted,) = run_int(causal.graph, window)[causal.graph.outputs[0]]
        np.testing.assert_array_equal(got[streamed.first_tick + ticks], wanted)


@pytest.fixture(scope="module")
def models():
    return [tick_model(seed, 40) for seed in range(10)]


def test_windows_and_rings_are_both_used(models):
    ops = [node.op for model in models for node in model.graph.nodes]
    assert min(ops.count("shift"), ops.count("ring"), ops.count("taps")) >= 2


def test_host_c_computes_the_same(models, tmp_path):
    found = host_differences(models, tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an385-v6m", "mps2-an386", "mps3-an547"])
def test_emulated_core_computes_the_same(models, board, tmp_path):
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", EMULATED)
def test_every_emulated_core_computes_many_the_same(board, tmp_path):
    found = board_differences([tick_model(seed, 60) for seed in range(100)], tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("place", ["host", "mps2-an386"])
@pytest.mark.parametrize("seed", [7, 11, 17, 19])
def test_ten_thousand_ticks(place, seed, tmp_path):
    """C and the whole network over all frames at once; the reference of ticks has no part in it."""
    short = causal_network(seed, LENGTH)
    streamed = short.stream
    model = tick_model(seed, STEPS)
    board = get_board("mps2-an386")
    made = bundle([model], board.core if place != "host" else get_core("cortex-m4f"))
    if place == "host":
        program = compile_host_check(made.write(tmp_path), [made.c_file], compiler="gcc")
        engine = HostEngine(program)
    else:
        images = board_images(made, tmp_path, board)
        assert images.check is not None
        engine = QemuEngine(board, images.check)
    result = run_samples(engine, made.layout, made.inputs(), timeout_s=1200)
    name = streamed.graph.outputs[0]
    got = result.outputs[0].reshape(STEPS, *streamed.graph.tensors[name].shape)
    assert name in streamed.axes
    whole = causal_network(seed, STEPS * streamed.frames)
    (wanted,) = run_int(whole.graph, whole.sequence(seed))[whole.graph.outputs[0]]
    axis = streamed.axes[name]
    frames = sequence_of(streamed, got)
    count = min(frames.shape[axis], wanted.shape[axis])
    assert count > 9_900
    np.testing.assert_array_equal(
        frames.take(range(count), axis=axis), wanted.take(range(count), axis=axis)
    )
