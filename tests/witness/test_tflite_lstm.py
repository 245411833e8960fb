"""LSTMs of TFLite files against TensorFlow Lite for Microcontrollers and LiteRT."""

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.export.tflite import export_tflite
from edgecomp.frontend import read_model
from edgecomp.frontend.tflite_file import load_tflite
from edgecomp.interp import run_float, run_int
from edgecomp.passes import run_passes
from edgecomp.passes.keep_states import keep_states
from edgecomp.passes.stream import stream
from edgecomp.quant import quantize_model
from tests.ops.lstm import TFLITE
from tests.support.bundle import Model
from tests.support.cases import case_graph, one_line_each, random_codes
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_answers, lstm_file

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's LSTM",
)
SEQUENCES = 200
LEAST_SPREAD = 60


def layer(units, **more):
    return LstmSpec(units, **more)


NETS = {
    "plain": NetSpec(1, 5, 6, (layer(7),)),
    "one-step": NetSpec(1, 1, 8, (layer(8, magnitude=2.0),)),
    "one-unit": NetSpec(1, 12, 3, (layer(1, magnitude=3.0),)),
    "time-major": NetSpec(1, 9, 6, (layer(7, time_major=True),)),
    "hidden-zero-point": NetSpec(1, 9, 6, (layer(7, hidden=(1 / 100, -20)),)),
    "large": NetSpec(1, 12, 40, (layer(64, magnitude=3.0, bias=1.0),), x=(1 / 20, -10)),
    "saturated": NetSpec(
        1, 12, 16, (layer(16, magnitude=20.0, extreme=True, bias=6.0),), x=(1 / 8, -10)
    ),
    "no-clip": NetSpec(
        1, 30, 4, (layer(6, magnitude=9.0, bias=6.0, cell_bits=12, cell_clip=0.0),), x=(1 / 8, 0)
    ),
    "clip": NetSpec(
        1, 30, 4, (layer(6, magnitude=9.0, bias=6.0, cell_bits=12, cell_clip=1.3),), x=(1 / 8, 0)
    ),
    "fine-cell": NetSpec(1, 20, 4, (layer(6, magnitude=2.0, cell_bits=15),), x=(1 / 8, 0)),
    "coarse-cell": NetSpec(
        1, 30, 4, (layer(6, magnitude=9.0, bias=6.0, cell_bits=9, cell_clip=0.0),), x=(1 / 8, 0)
    ),
    "stacked": NetSpec(
        1, 8, 5, (layer(9, magnitude=2.0), layer(6, magnitude=2.0, hidden=(1 / 110, 5))), classes=4
    ),
    "last-step": NetSpec(1, 6, 5, (layer(9, magnitude=2.0), layer(12, magnitude=2.0)), last=True),
    "stacked-time-major": NetSpec(
        1,
        8,
        5,
        (layer(9, time_major=True, magnitude=4.0), layer(6, time_major=True, magnitude=4.0)),
        classes=4,
        x=(1 / 16, 0),
    ),
}


def built(name, tmp_path):
    """The file, and the quantized graph of a run that begins anew."""
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(lstm_file(NETS[name]))
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    assert {node.numerics for node in graph.nodes} == {"tflite"}
    return path, graph


def answers(path, codes, *, reset):
    """What TFLM computes, with a reset before every sequence or only before the first."""
    return lstm_answers(path.read_bytes(), codes, reset=reset)


def input_codes(graph):
    """Full-range codes, extremes first."""
    return random_codes(graph, np.random.default_rng(1), SEQUENCES)


def check(graph, codes, wanted):
    got = run_int(graph, codes)[graph.outputs[0]]
    assert len(np.unique(wanted)) >= LEAST_SPREAD
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", NETS)
def test_sequences_are_equal(name, tmp_path):
    path, graph = built(name, tmp_path)
    codes = input_codes(graph)
    check(graph, codes, answers(path, codes[graph.inputs[0]], reset=True))


@pytest.mark.parametrize("name", NETS)
def test_states_are_kept_from_run_to_run(name, tmp_path):
    path, whole = built(name, tmp_path)
    graph = keep_states(whole).graph
    assert len(graph.states) == len(NETS[name].layers)
    codes = input_codes(graph)
    wanted = answers(path, codes[graph.inputs[0]], reset=False)
    check(graph, codes, wanted)
    assert (run_int(whole, codes)[whole.outputs[0]].reshape(wanted.shape) != wanted).any()


def test_samples_change_nothing(tmp_path):
    path, graph = built("last-step", tmp_path)
    real = run_passes(read_model(path))
    (x,) = real.inputs
    samples = {x: np.random.default_rng(0).normal(0, 1, (8, *real.tensors[x].shape))}
    again, _ = quantize_model(real, {x: samples[x].astype(np.float32)})
    assert again.nodes == graph.nodes
    codes = input_codes(graph)
    for got, wanted in zip(*(run_int(g, codes).values() for g in (again, graph)), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_ticks_are_equal_to_one_step_after_the_other(tmp_path):
    path, whole = built("large", tmp_path)
    codes = input_codes(whole)[whole.inputs[0]][3:13]
    wanted = answers(path, codes, reset=False)
    ticks = stream(whole).graph
    steps = codes.reshape(-1, 1, 1, codes.shape[-1])
    got = run_int(ticks, {ticks.inputs[0]: steps})[ticks.outputs[0]]
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.slow
def test_ten_thousand_runs(tmp_path):
    path, whole = built("one-step", tmp_path)
    graph = keep_states(whole).graph
    codes = random_codes(graph, np.random.default_rng(4), 10_000)
    check(graph, codes, answers(path, codes[graph.inputs[0]], reset=False))


def models(tmp_path, step=1):
    """Networks as they are built: with the states that they keep."""
    for name in list(NETS)[::step]:
        graph = keep_states(built(name, tmp_path)[1]).graph
        yield Model(name, graph, random_codes(graph, np.random.default_rng(2), 8))


@pytest.mark.parametrize(
    ("compiler", "step"),
    [
        ("gcc", 4),
        pytest.param("gcc", 1, marks=pytest.mark.slow),
        pytest.param("clang", 1, marks=pytest.mark.slow),
    ],
)
def test_host_c_computes_the_same(compiler, step, tmp_path):
    found = host_differences(list(models(tmp_path, step)), tmp_path, compiler)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(list(models(tmp_path)), tmp_path, board)
    assert not found, one_line_each(found)


def test_the_integers_of_the_file_are_kept(tmp_path):
    path, graph = built("plain", tmp_path)
    file = load_tflite(path)
    (operator,) = file.operators
    x, *operands = (graph.tensors[name] for name in graph.nodes[0].inputs)
    order = (0, 3, 1, 2)
    for tensor, first in zip(operands[:2], (1, 5), strict=True):
        codes = [file.tensors[operator.inputs[first + gate]].data for gate in order]
        np.testing.assert_array_equal(tensor.value, np.concatenate(codes))
    codes = np.concatenate([file.tensors[operator.inputs[12 + gate]].data for gate in order])
    scales = x.qparams.scalar * np.array(operands[0].qparams.scale)
    np.testing.assert_allclose(operands[2].value / scales, codes, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_what_is_exported_again_is_the_same(name, tmp_path):
    path, graph = built(name, tmp_path)
    first = tmp_path / "first.tflite"
    first.write_bytes(export_tflite(graph))
    again, _ = quantize_model(run_passes(read_model(first)), None)
    assert export_tflite(again) == first.read_bytes()
    codes = input_codes(graph)[graph.inputs[0]][:40]
    wanted = answers(path, codes, reset=False)
    got = answers(first, codes, reset=False)
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)
    assert litert(first, codes[:2]).size == wanted[:2].size


def test_layers_that_begin_anew_are_not_exported():
    (case,) = (case for case in TFLITE if case.name == "tflite-odd-sizes")
    with pytest.raises(UnsupportedError, match="TFLite's LSTM keeps its state"):
        export_tflite(case_graph(case))


def litert(path, codes):
    """What LiteRT computes, from fresh states every time."""
    module = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed: no second witness"
    )
    interpreter = module.Interpreter(str(path))
    interpreter.allocate_tensors()
    (x,), (y,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in codes:
        interpreter.reset_all_variables()
        interpreter.set_tensor(x["index"], sample.reshape(x["shape"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(y["index"]).copy())
    return np.stack(found)


def test_litert_computes_other_codes_one_apart(tmp_path):
    path, graph = built("large", tmp_path)
    codes = input_codes(graph)[graph.inputs[0]]
    distance = np.abs(litert(path, codes).astype(int) - answers(path, codes, reset=True))
    assert distance.max() == 1
    assert 0.01 < (distance > 0).mean() < 0.04


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("cell_clip", [0.0, 0.3])
def test_float_files_compute_what_litert_computes(time_major, cell_clip, tmp_path):
    net = NetSpec(
        1, 9, 6, (layer(7, time_major=time_major, cell_clip=cell_clip, magnitude=2.0),),
        classes=3, dtype="float32",
    )  # fmt: skip
    path = tmp_path / "real.tflite"
    path.write_bytes(lstm_file(net))
    graph = run_passes(read_model(path))
    (name,) = graph.inputs
    x = np.random.default_rng(0).normal(0, 1, (20, *graph.tensors[name].shape)).astype(np.float32)
    wanted = litert(path, x)
    got = run_float(graph, {name: x})[graph.outputs[0]].reshape(wanted.shape)
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    assert np.ptp(wanted) > 0.1
