"""States of recurrent layers: however a sequence is cut into calls, the codes are the same."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.ir import DType, Graph, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.recurrent import HIDDEN_QPARAMS
from edgecomp.ops.rnn import RnnParams
from edgecomp.requant import prepare_node
from tests.support.bundle import Model
from tests.support.cases import Slopes, case_codes, case_graph, one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.recurrent_cases import recurrent

STEPS, UNITS = 12, 5
START = Slopes((0.5, -1.0, 0.0, 0.25, 0.9))
LAYERS = {
    "lstm": LstmParams(cell_bits=13),
    "lstm-peepholes": LstmParams(cell_bits=12, peepholes=True),
    "lstm-begins": LstmParams(cell_bits=12, begins="given"),
    "lstm-tflite": LstmParams(cell_bits=13),
    "gru": GruParams(),
    "gru-reset-before": GruParams(reset_after=False),
    "gru-begins": GruParams(begins="given"),
    "rnn": RnnParams(),
    "rnn-begins": RnnParams(begins="given"),
}


def whole(name, steps=STEPS, magnitude=1.5):
    """The layer as a network that emits its sequence, and its input's codes."""
    op = name.split("-")[0]
    params = LAYERS[name]
    starts = () if params.begins == "zero" else (START,) * (2 if op == "lstm" else 1)
    is_tflite = name.endswith("tflite")
    weights = {"uneven": 1.0} if is_tflite else {}
    sizes = (steps, 3, UNITS)
    case = recurrent(name, op, params, sizes, starts, magnitude=magnitude, weights=weights)
    case = replace(case, numerics="tflite" if is_tflite else "edgecomp")
    graph = case_graph(case)
    return graph, case_codes(case, graph)["t0"]


def part(graph, steps):
    """The same layer for some steps, from state to state."""
    (node,) = graph.nodes
    op = OPS[node.op]
    params = replace(node.params, begins="state", emits="state")
    x = replace(graph.tensors["t0"], shape=(1, steps, 3))
    size = op.state_size(graph.node_inputs(node))
    state = Tensor("state", (1, size), DType.INT8, HIDDEN_QPARAMS)
    names = [n for n in node.inputs if len(graph.tensors[n].shape) == 2 or n in {"t0", "t3"}]
    if getattr(params, "peepholes", False):
        names.append("t4")
    tensors = {**graph.tensors, "t0": x, "state": state}
    operands = [tensors[n] for n in (*names, "state")]
    y = Tensor("y", op.infer(params, operands), DType.INT8, graph.tensors["y"].qparams)
    made = replace(node, inputs=(*names, "state"), params=params)
    kept = {name: tensors[name] for name in made.inputs} | {"y": y}
    return Graph("part", ("t0", "state"), ("y",), (made,), kept), size


def first_state(graph, samples):
    (node,) = graph.nodes
    prepared = prepare_node(node, graph.node_inputs(node), graph.tensors["y"])
    codes = OPS[node.op].initial_state(node.params, prepared, "y")
    return np.repeat(codes[None], samples, axis=0)


def in_parts(graph, codes, lengths):
    """The sequence in calls of these lengths: hidden states `(samples, 1, steps, units)`."""
    state = first_state(graph, len(codes))
    rows, start = [], 0
    for steps in lengths:
        network, size = part(graph, steps)
        y = run_int(network, {"t0": codes[:, :, start : start + steps], "state": state})["y"]
        rows.append(y[:, :, : steps * UNITS].reshape(len(codes), 1, steps, UNITS))
        state = y[:, :, -size:]
        start += steps
    return np.concatenate(rows, axis=2)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("lengths", [(1,) * STEPS, (5, 1, 4, 2), (STEPS,)])
def test_calls_of_any_length_give_the_same_codes(name, lengths):
    graph, codes = whole(name)
    expected = run_int(graph, {"t0": codes})["y"]
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(in_parts(graph, codes, lengths), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_ten_thousand_calls_of_one_step(name):
    graph, codes = whole(name, steps=10_000, magnitude=1.0)
    codes = codes[2:6]
    expected = run_int(graph, {"t0": codes})["y"]
    assert len(np.unique(expected)) > 20
    network, size = part(graph, 1)
    state = first_state(graph, len(codes))
    (node,) = network.nodes
    op = OPS[node.op]
    tensors = network.node_inputs(node)
    prepared = op.prepare(node.params, tensors, network.tensors["y"])
    constants = [t.value for t in tensors if t.is_const]
    for step in range(codes.shape[2]):
        arrays = [codes[:, :, step : step + 1], *constants, state]
        y = op.int_ref(node.params, prepared, tensors, arrays)
        np.testing.assert_array_equal(y[:, 0, :UNITS], expected[:, 0, step], str(step))
        state = y[:, :, -size:]


def models():
    """Layers of one step and of several, from state to state; the states are any codes."""
    rng = np.random.default_rng(0)
    for name in LAYERS:
        graph, codes = whole(name)
        for steps in (1, 3):
            network, size = part(graph, steps)
            states = rng.integers(-128, 128, (len(codes), 1, size)).astype(np.int8)
            inputs = {"t0": codes[:, :, :steps], "state": states}
            yield Model(f"{name}-{steps}", network, inputs)


def long_models():
    for name in ("lstm", "gru", "rnn"):
        graph, codes = whole(name, steps=10_000, magnitude=1.0)
        yield Model(f"{name}-long", graph, {"t0": codes[:3]})


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_host_c_computes_the_same(compiler, tmp_path):
    found = host_differences(list(models()), tmp_path, compiler)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(list(models()), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
def test_ten_thousand_steps_in_c(tmp_path):
    found = host_differences(list(long_models()), tmp_path / "host")
    found += board_differences(list(long_models()), tmp_path / "board", "mps2-an386")
    assert not found, one_line_each(found)
