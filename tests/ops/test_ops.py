"""Every case four ways: real numbers, integer reference, host C, every emulated core."""

import math

import numpy as np
import pytest

from edgecomp.ops import OPS
from tests.ops.tables import ALL_CASES, MODULES
from tests.ops.unary import FUNCTIONS
from tests.support.bounds import code_error_bound, real_codes
from tests.support.bundle import Model
from tests.support.cases import case_codes, case_graph, real_outputs

LEAST_SPREAD = 10
"""A comparison of bits means something only where the codes vary."""


def test_every_operator_has_cases():
    assert {case.op for case in ALL_CASES} == set(OPS)
    names = [module.__name__.split(".")[-1] for module in MODULES]
    assert [name for name in names if name in OPS] == list(OPS)
    assert len({case.id for case in ALL_CASES}) == len(ALL_CASES)


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.id)
def test_integers_follow_the_real_numbers(case):
    graph = case_graph(case)
    codes = case_codes(case, graph)
    (node,) = graph.nodes
    got = Model(case.id, graph, codes).expected()["y"]
    wanted = real_codes(graph, node, real_outputs(graph, codes)["y"])
    error = np.abs(got - wanted)
    if case.op in {"unary", "div"}:
        # Where the function has no value, neither side has anything to say.
        error = error[np.isfinite(wanted)]
    assert error.max() <= code_error_bound(graph, node)
    spread = len(np.unique(got))
    assert case.few_codes == (spread < LEAST_SPREAD), f"{spread} different codes"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_tables_hold_the_nearest_codes(function):
    graph = case_graph(function.case())
    (node,) = graph.nodes
    x, out = graph.tensors["t0"].qparams, graph.tensors["y"].qparams
    table = OPS["unary"].prepare(node.params, graph.node_inputs(node), graph.tensors["y"])
    for index in range(256):
        real = function.definition(x.scalar * (index - 128 - x.zero_point))
        wanted = min(max(real / out.scalar + out.zero_point, -128), 127)
        assert abs(table[index] - wanted) <= 0.5 + 1e-9 * math.ceil(abs(wanted)), index
