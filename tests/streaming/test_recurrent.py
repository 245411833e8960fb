"""Recurrent layers go on with the state that they left: the operator's own cases, step by step."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.build import compile_host_check
from edgecomp.device import HostEngine, QemuEngine, run_samples
from edgecomp.errors import UnsupportedError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.made_up import made_up_samples
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.rnn import RnnParams
from edgecomp.passes import run_passes
from edgecomp.passes.stream import stream
from edgecomp.quant import quantize_model
from edgecomp.samples import cut_into_ticks
from edgecomp.targets.boards import get_board
from tests.frontend.onnx_cases import make_model, node, save
from tests.ops import gru, lstm, rnn
from tests.support.bundle import Model, bundle
from tests.support.cases import case_codes, case_graph, one_line_each
from tests.support.proof import board_differences, board_images, host_differences
from tests.support.recurrent_cases import recurrent

TICKS = 24
STEPS = 10_000
CASES = [case for module in (lstm, gru, rnn) for case in module.CASES]


def can_be_streamed(case):
    """Whether it is one sequence, with its hidden states as outputs and constants to begin with."""
    params = case.params
    is_one = case.inputs[0].shape[0] == 1 and len(case_graph(case).inputs) == 1
    return is_one and params.begins != "state" and params.emits in {"sequence", "last"}


STREAMED = [case for case in CASES if can_be_streamed(case)]


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
def test_ticks_give_what_the_whole_layer_gives(case):
    graph = case_graph(case)
    codes = {name: array[3:4] for name, array in case_codes(case, graph).items()}
    (wanted,) = run_int(graph, codes)[graph.outputs[0]]
    steps = graph.tensors[graph.inputs[0]].shape[1]
    for frames in (n for n in range(1, steps + 1) if steps % n == 0):
        ticks = stream(graph, 1, frames)
        name = ticks.graph.outputs[0]
        got = run_int(ticks.graph, cut_into_ticks(codes, 1, frames))[name]
        if name in ticks.axes:
            np.testing.assert_array_equal(np.concatenate(list(got), axis=1), wanted)
        else:
            np.testing.assert_array_equal(got[ticks.first_tick], wanted)


def test_most_cases_can_be_streamed():
    assert len(STREAMED) >= 12
    assert {case.op for case in STREAMED} == {"lstm", "gru", "rnn"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("lstm-memory", "its output is the memory"), ("lstm-batch", "it is of 3 sequences")],
)
def test_what_is_no_sequence_is_refused(name, message):
    (case,) = (case for case in CASES if case.id == name)
    with pytest.raises(UnsupportedError, match=message):
        stream(case_graph(case), 1)


@pytest.mark.parametrize(
    ("direction", "message"),
    [("bidirectional", "is bidirectional: one half"), ("reverse", "is reversed: it begins")],
)
def test_layers_that_begin_with_the_last_frame_are_refused(direction, message, tmp_path):
    halves = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(size=(halves, 6, 3)).astype(np.float32),
        "r": rng.normal(size=(halves, 6, 2)).astype(np.float32),
    }
    layer = node("GRU", "x w r", "y", hidden_size=2, direction=direction, layout=1)
    model = make_model([layer], {"x": (1, 8, 3)}, ["y"], constants)
    graph = run_passes(read_model(save(model, tmp_path)))
    quantized, _ = quantize_model(graph, made_up_samples(graph)[0])
    with pytest.raises(UnsupportedError, match=f"gru.*{message}"):
        stream(quantized)


def tick_models():
    models = []
    for case in STREAMED[::3]:
        graph = case_graph(case)
        size = graph.tensors[graph.inputs[0]].shape
        codes = np.random.default_rng(case.seed).integers(-128, 128, (TICKS, 1, 1, size[-1]))
        models.append(
            Model(case.id, stream(graph, 1, 1).graph, {graph.inputs[0]: codes.astype(np.int8)})
        )
    return models


def test_host_c_computes_the_same(tmp_path):
    found = host_differences(tick_models()[:4], tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an385-v6m", "mps2-an386", "mps3-an547"])
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(tick_models(), tmp_path, board)
    assert not found, one_line_each(found)


def long_networks():
    """A layer of every kind over all steps."""
    units, inputs = 12, 5
    for name, params, numerics in (
        ("lstm", LstmParams(cell_bits=13), "edgecomp"),
        ("gru", GruParams(), "edgecomp"),
        ("gru-reset-before", GruParams(reset_after=False), "edgecomp"),
        ("rnn", RnnParams(), "edgecomp"),
        ("lstm-tflite", LstmParams(cell_bits=13), "tflite"),
    ):
        weights = {"uneven": 1.0} if numerics == "tflite" else {}
        sizes = (STEPS, inputs, units)
        case = recurrent(name, name.split("-")[0], params, sizes, magnitude=1.5, weights=weights)
        yield name, case_graph(replace(case, numerics=numerics))


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("place", ["reference", "host", "mps2-an386"])
def test_ten_thousand_ticks(place, tmp_path):
    """Ticks of one step, with a reset before the first only, against all steps at once."""
    rng = np.random.default_rng(5)
    models, wanted = [], {}
    for name, graph in long_networks():
        ticks = stream(graph, 1, 1).graph
        (x,) = graph.inputs
        codes = rng.integers(-128, 128, (1, *graph.tensors[x].shape)).astype(np.int8)
        wanted[name] = run_int(graph, {x: codes})[graph.outputs[0]].reshape(STEPS, -1)
        assert len(np.unique(wanted[name])) > 100
        models.append(Model(name, ticks, {x: codes.reshape(STEPS, 1, 1, -1)}))
    if place == "reference":
        got = [run_int(model.graph, model.codes)[model.graph.outputs[0]] for model in models]
    else:
        got = outputs_in_c(bundle(models, get_board("mps2-an386").core), place, tmp_path)
    for model, codes in zip(models, got, strict=True):
        np.testing.assert_array_equal(codes.reshape(STEPS, -1), wanted[model.name], model.name)


def outputs_in_c(made, place, work):
    """The outputs of a bundle's models, from the host or an emulated core."""
    if place == "host":
        program = compile_host_check(made.write(work), [made.c_file], compiler="gcc")
        engine = HostEngine(program)
    else:
        board = get_board(place)
        images = board_images(made, work, board)
        assert images.check is not None
        engine = QemuEngine(board, images.check)
    return run_samples(engine, made.layout, made.inputs(), timeout_s=1200).outputs
