"""ONNX's own cases: every one passes, in real numbers and codes, or is refused with a reason."""

from collections import Counter
from pathlib import Path

import onnx
import pytest

from edgecomp.ops import OPS
from tests.support.cases import MADE_FOR_STREAMS
from tests.support.onnx_standard import outcome, standard_cases, table

PAGE = Path(__file__).parents[2] / "docs" / "onnx-coverage.md"
STEP = 9
"""Every ninth case is computed while coding."""


@pytest.fixture(scope="module")
def cases():
    return standard_cases()


def check(found):
    wrong = [f"{case.name}: {result.reason}" for case, result in found if result.kind == "wrong"]
    assert not wrong, "\n".join(wrong)
    assert all(result.reason for _, result in found if result.kind == "refused")


def test_some_cases(cases):
    found = [(case, outcome(case)) for case in cases[::STEP]]
    check(found)
    assert Counter(result.kind for _, result in found)["passed"] > 50


@pytest.mark.slow
def test_every_case_and_the_page_of_them(cases):
    found = [(case, outcome(case)) for case in cases]
    check(found)
    passed = [(case, result) for case, result in found if result.kind == "passed"]
    assert len({case.op_type for case, _ in passed}) >= 45
    compared = {op for _, result in passed for op in result.layers}
    # No indices are computed there.
    assert compared >= set(OPS) - {"embedding", *MADE_FOR_STREAMS}
    if f"`onnx` {onnx.__version__}:" not in PAGE.read_text():
        pytest.skip("the page is of another version of onnx")
    assert table(cases, [result for _, result in found]) == PAGE.read_text()
