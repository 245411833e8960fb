"""TFLite files with int16 activations: tflite-micro, our integers and our C agree."""

import numpy as np
import pytest

from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.tflite16_cases import cases
from tests.support.tflite_net import answers

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's arithmetic",
)
CASES = cases()
C_RUNS = 6
"""Runs of each case that are computed in C: those at the ends of the range, and some others."""


def quantized(case, folder):
    path = folder / "model.tflite"
    path.write_bytes(case.model)
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    return graph


def codes_of(case, graph):
    return {
        name: codes.reshape(-1, *graph.tensors[name].shape)
        for name, codes in zip(graph.inputs, case.codes, strict=True)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_codes_are_those_of_tflite_micro(case, tmp_path):
    graph = quantized(case, tmp_path)
    wanted = answers(case.model, *case.codes)
    got = run_int(graph, codes_of(case, graph))
    assert len(np.unique(wanted[0])) >= 10
    for name, array in zip(graph.outputs, wanted, strict=True):
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name].reshape(array.shape), array)


def models(folder, dtype):
    """Cases whose inputs have such codes; ten thousand codes and more are a matter of tables."""
    found = []
    for case in CASES:
        if case.codes[0].dtype == dtype:
            graph = quantized(case, folder)
            codes = {name: array[:C_RUNS] for name, array in codes_of(case, graph).items()}
            if len(next(iter(codes.values()))) < C_RUNS:
                codes = {name: np.repeat(array, C_RUNS, 0) for name, array in codes.items()}
            found.append(Model(case.id, graph, codes))
    return found


@pytest.mark.parametrize("dtype", [np.int16, np.int8])
def test_host_c_computes_the_same(dtype, tmp_path):
    found = host_differences(models(tmp_path, dtype), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_cores_compute_the_same(board, tmp_path):
    found = board_differences(models(tmp_path, np.int16), tmp_path, board)
    assert not found, one_line_each(found)
