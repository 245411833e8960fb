"""Layers that compute in float32: near the real numbers, and the same bits on every machine."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgecomp.ir import DType
from edgecomp.requant.float32 import FLOAT32_OPS
from edgecomp.requant.float32_math import logarithm, reciprocal_root, round_to_nearest
from tests.ops.tables import ALL_CASES
from tests.support.bounds import real_codes
from tests.support.bundle import Model
from tests.support.cases import (
    Weights,
    case_codes,
    case_graph,
    one_line_each,
    real_outputs,
    real_value,
)
from tests.support.proof import EMULATED, board_differences, host_differences

CASES = [c for c in ALL_CASES if c.op in FLOAT32_OPS and c.numerics == "edgecomp"]
MOST_WEIGHTS = 20_000
"""Soft float takes 200 instructions for a multiply-accumulate."""


def few():
    """Every ninth case of each operator, without the largest; the slow tests have them all."""
    for op in FLOAT32_OPS:
        cases = [case for case in CASES if case.op == op][::9]
        for case in cases:
            weights = [o for o in case.inputs if isinstance(o, Weights)]
            if all(math.prod(o.shape) < MOST_WEIGHTS for o in weights):
                yield case


FEW = list(few())
NORMAL_BOARDS = ("mps2-an385-v6m", "mps2-an386", "mps3-an547")
"""Soft float, an FPU of single precision, one beside vectors."""
NOISE = 1e-3
"""What float32 sums may be off, in codes: 2^-24 for each of some hundred terms of 2^8 codes."""


def float32_graph(case):
    """The case's layer with real constants."""
    graph = case_graph(case)
    (node,) = graph.nodes
    tensors = {
        name: replace(
            tensor, dtype=DType.FLOAT32, qparams=None, data=real_value(tensor).astype(np.float32)
        )
        if tensor.is_const
        else tensor
        for name, tensor in graph.tensors.items()
    }
    return graph.replace(nodes=(replace(node, numerics="float32"),), tensors=tensors)


def models(cases):
    made = []
    for case in cases:
        graph = float32_graph(case)
        made.append(Model(case.id, graph, case_codes(case, graph)))
    return made


def test_every_operator_has_cases():
    assert {case.op for case in FEW} == set(FLOAT32_OPS)
    assert len(FEW) > 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_codes_are_the_nearest(case):
    graph = float32_graph(case)
    codes = case_codes(case, graph)
    (node,) = graph.nodes
    got = Model(case.id, graph, codes).expected()["y"]
    wanted = real_codes(graph, node, real_outputs(graph, codes)["y"])
    error = np.abs(got - wanted)
    if case.op == "div":
        error = error[np.isfinite(wanted)]
    assert error.max() <= 0.5 + NOISE


@pytest.mark.parametrize(
    ("compiler", "cases"),
    [
        ("gcc", FEW),
        ("clang", FEW),
        pytest.param("gcc", CASES, marks=pytest.mark.slow),
        pytest.param("clang", CASES, marks=pytest.mark.slow),
    ],
)
def test_host_c_computes_the_same(compiler, cases, tmp_path):
    found = host_differences(models(cases), tmp_path, compiler, "cortex-m4f")
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", NORMAL_BOARDS)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(models(FEW), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", EMULATED)
def test_every_case_on_every_emulated_core(board, tmp_path):
    found = board_differences(models(CASES), tmp_path, board)
    assert not found, one_line_each(found)


def test_functions_are_near_the_real_ones():
    x = np.exp(np.random.default_rng(0).uniform(-40, 40, 100_000)).astype(np.float32)
    exact = x.astype(np.float64)
    assert np.abs(reciprocal_root(x) * np.sqrt(exact) - 1).max() < 2**-22
    assert (
        np.abs((logarithm(x) - np.log(exact)) / np.maximum(np.abs(np.log(exact)), 1)).max() < 2**-21
    )
    y = np.array([-1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997], np.float32)
    np.testing.assert_array_equal(round_to_nearest(y), [-2, 0, 0, 2, 2, 0])
