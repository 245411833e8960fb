"""TFLite files with variables: tflite-micro, our integers and our C agree, run after run."""

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.tflite_net import Subgraph, answers, content
from tests.support.tflite_variables import (
    FRAME,
    delay_line,
    random_runs,
    running_sum,
    streaming_network,
    svdf_network,
    unusual_networks,
)

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's arithmetic",
)
RUNS = 250
FIRST = {"a": np.random.default_rng(5).integers(-128, 128, (1, 3, 1, FRAME))}
WIDE_FIRST = {"c": np.random.default_rng(6).integers(-30000, 30000, (1, 4, 1, FRAME), np.int16)}
RNG = np.random.default_rng(7)
NETWORKS = {
    **{name: (model, (FRAME,)) for name, model in unusual_networks().items()},
    "sum": (running_sum(RNG), (FRAME,)),
    "delay": (delay_line(RNG), (FRAME,)),
    "network": (streaming_network(RNG), (1, 1, FRAME)),
    "wide": (streaming_network(RNG, wide=True), (1, 1, FRAME)),
    "wide-first": (streaming_network(RNG, WIDE_FIRST, wide=True), (1, 1, FRAME)),
    "svdf": (svdf_network(RNG), (2 * FRAME,)),
    "svdf-int16": (svdf_network(RNG, dtype="int16"), (2 * FRAME,)),
    "network-first": (streaming_network(RNG, FIRST), (1, 1, FRAME)),
}


def runs_of(name, seed):
    dtype = np.int16 if name.startswith("wide") else np.int8
    return random_runs(seed, RUNS, *NETWORKS[name][1], dtype=dtype)


def quantized(name, folder):
    path = folder / "model.tflite"
    path.write_bytes(NETWORKS[name][0])
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    return graph


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sequence_gives_the_codes_of_tflite_micro(name, tmp_path):
    model, _ = NETWORKS[name]
    graph = quantized(name, tmp_path)
    codes = runs_of(name, 1)
    wanted = answers(model, codes)
    got = run_int(graph, {graph.inputs[0]: codes})
    assert graph.states
    for output, array in zip(graph.outputs, wanted, strict=True):
        np.testing.assert_array_equal(got[output].reshape(array.shape), array)
    assert max(len(np.unique(array)) for array in wanted) >= 30


def test_what_is_remembered_matters(tmp_path):
    """The last run of a sequence is not what it would be by itself."""
    graph = quantized("network", tmp_path)
    codes = random_runs(2, 20, 1, 1, FRAME)
    whole, last = (run_int(graph, {graph.inputs[0]: c}) for c in (codes, codes[-1:]))
    assert any((whole[name][-1] != last[name][0]).any() for name in graph.outputs)


def test_first_values_matter(tmp_path):
    plain, first = (quantized(name, tmp_path) for name in ("network", "network-first"))
    assert {state.codes for state in plain.states} == {(5,)}
    assert tuple(FIRST["a"].reshape(-1)) in {state.codes for state in first.states}


def models(folder, *, wide):
    return [
        Model(name, graph, {graph.inputs[0]: runs_of(name, 4)})
        for name in NETWORKS
        if name.startswith("wide") == wide
        for graph in [quantized(name, folder)]
    ]


@pytest.mark.parametrize("wide", [False, True])
def test_host_c_computes_the_same(wide, tmp_path):
    found = host_differences(models(tmp_path, wide=wide), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_cores_compute_the_same(board, wide, tmp_path):
    found = board_differences(models(tmp_path, wide=wide), tmp_path, board)
    assert not found, one_line_each(found)


def test_subgraphs_that_nothing_calls_are_refused(tmp_path):
    g = Subgraph()
    x = g.tensor((1, FRAME), "int8", 1.0)
    y = g.tensor((1, FRAME), "int8", 2.0)
    g.inputs, g.outputs = [x], [g.operator("ADD", [x, x], y, "AddOptions")]
    path = tmp_path / "two.tflite"
    path.write_bytes(content(g, Subgraph()))
    with pytest.raises(UserError, match="2 subgraphs"):
        read_model(path)
