"""int16 activations: real numbers, integer reference, host C and every emulated core agree."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.ir import DType, QParams
from edgecomp.quant.int16 import as_int16
from edgecomp.quant.quantize import quantize
from edgecomp.requant.int16_layers import LAYERS, MOST_AWAY
from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model
from tests.support.cases import (
    case_graph,
    one_line_each,
    random_codes,
    real_outputs,
    real_value,
)
from tests.support.proof import EMULATED, board_differences, host_differences

SAMPLES = 8


def symmetric(qparams: QParams) -> QParams:
    """int16 parameters that cover the range of asymmetric int8 ones."""
    largest = max(qparams.zero_point + 128, 127 - qparams.zero_point)
    return as_int16(QParams.per_tensor(qparams.scalar * largest / 127))


def wide(case):
    """A case of int8 activations as one of int16 activations; None where there is no such."""
    graph = case_graph(case)
    tensors, qparams = {}, {}
    for name, tensor in graph.tensors.items():
        if tensor.is_const:
            data = real_value(tensor).astype(np.float32)
            tensors[name] = replace(tensor, dtype=DType.FLOAT32, qparams=None, data=data)
        else:
            tensors[name] = replace(tensor, dtype=DType.FLOAT32, qparams=None)
            qparams[name] = symmetric(tensor.qparams)
    if case.op == "softmax":
        qparams["y"] = QParams.per_tensor(2.0**-15)
    if case.op == "embedding":
        qparams["t0"] = QParams.per_tensor(1.0)
    return quantize(graph.replace(tensors=tensors), qparams, numerics="int16")


STEEP = {"floor", "ceil", "round", "sign", "thresholded-relu", "log", "reciprocal"}
"""Functions with steps or poles, of which lines through some codes know nothing."""


def fits(case):
    border = getattr(case.params, "value", 0.0) if case.op == "pad" else 0.0
    return case.op in LAYERS and case.numerics == "edgecomp" and not border


def wide_or_refused(case):
    try:
        return wide(case)
    except UnsupportedError:
        return None


CANDIDATES = [(case, wide_or_refused(case)) for case in ALL_CASES if fits(case)]
WIDE = [(case, graph) for case, graph in CANDIDATES if graph is not None]
EVERY = 7
"""Of the cases, one in so many is computed in the quick tests."""


@pytest.fixture(scope="module")
def models():
    return [
        Model(case.id, graph, random_codes(graph, np.random.default_rng(case.seed), SAMPLES))
        for case, graph in WIDE
    ]


def some(models):
    """The first case of each operator, and one in so many of the others."""
    first = {model.graph.nodes[0].op: model for model in reversed(models)}
    return [*first.values(), *(m for m in models[::EVERY] if m not in first.values())]


def test_every_operator_has_cases():
    assert {case.op for case, _ in WIDE} == set(LAYERS)


def test_steep_functions_are_refused():
    refused = {case.id for case, graph in CANDIDATES if graph is None}
    assert refused == {f"unary-{name}" for name in STEEP}


def test_codes_are_those_of_real_numbers(models):
    """At most one code from the real result, rounded; lines of tables mostly, too."""
    lines = []
    for (case, _), model in zip(WIDE, models, strict=True):
        # Where a function has no value, 0 stands in.
        real = np.nan_to_num(real_outputs(model.graph, model.codes)["y"])
        tensor = model.graph.tensors["y"]
        wanted = tensor.qparams.quantize(real, *DType.INT16.limits)
        away = np.abs(model.expected()["y"].astype(np.int64) - wanted)
        good = away.max() <= 1
        if case.op == "unary":
            good = np.median(away) <= 1 and np.sqrt(np.mean(away**2.0)) <= 1.5 * MOST_AWAY
        if not good:
            lines.append(f"{case.id}: {away.max()} codes away")
    assert not lines, one_line_each(lines)


def test_host_c_computes_the_same(models, tmp_path):
    found = host_differences(some(models), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize(
    "board",
    [
        name if name == "mps2-an386" else pytest.param(name, marks=pytest.mark.slow)
        for name in EMULATED
    ],
)
def test_emulated_cores_compute_the_same(models, board, tmp_path):
    found = board_differences(some(models), tmp_path, board)
    assert not found, one_line_each(found)
