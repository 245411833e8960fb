"""Integer references against the definitions of the operators in rational numbers."""

import pytest

from edgecomp.interp import run_int
from edgecomp.ops import OPS
from tests.ops.tables import ALL_CASES
from tests.support.bounds import code_error_bound
from tests.support.cases import MADE_FOR_STREAMS, case_codes, case_graph
from tests.witness.exact import exact_code, sampled_elements

ELEMENTS = 60
SLOW = frozenset({"softmax-1000", "softmax-1000-sharp", "lstm-words", "gru-words"})
"""A thousand exact exponentials for each element, or a hundred rows of products."""
CASES = [
    pytest.param(case, id=case.id, marks=[pytest.mark.slow] if case.id in SLOW else [])
    for case in ALL_CASES
    if case.op not in MADE_FOR_STREAMS
]


@pytest.mark.parametrize("case", CASES)
def test_codes_are_those_of_the_real_scales(case):
    graph = case_graph(case)
    codes = case_codes(case, graph)
    (node,) = graph.nodes
    got = run_int(graph, codes)["y"]
    bound = code_error_bound(graph, node)
    if case.numerics == "tflite":
        # Two roundings: the second may meet a tie that the first has made.
        bound += 0.5
    checked = 0
    for sample, index in sampled_elements(graph.tensors["y"].shape, len(got), ELEMENTS):
        exact = exact_code(graph, node, codes, sample, index)
        if exact is None:
            continue
        code = int(got[(sample, *index)])
        assert abs(code - exact) <= bound, (sample, index, code, float(exact))
        checked += 1
    # Some functions have no definition here; tests/ops looks at every table entry of those.
    assert checked or case.op == "unary"


def test_every_operator_is_defined_here():
    from tests.witness.exact import _DEFINITIONS

    assert set(_DEFINITIONS) == set(OPS) - MADE_FOR_STREAMS
