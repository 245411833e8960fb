"""Every case in C: on the host and on every emulated core the bits of the integer reference."""

import pytest

from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model
from tests.support.cases import case_codes, case_graph, one_line_each
from tests.support.proof import EMULATED, SMALL_BOARD, board_differences, host_differences

EVERY_SECOND = 2
EVERY_THIRD = 3
"""For cores whose kernels another core has, too, and for the second compiler."""
SOME = [
    *((board, EVERY_SECOND) for board in ("mps2-an386", "mps2-an385-v6m", "mps3-an547")),
    *((board, EVERY_THIRD) for board in ("mps2-an385", "mps2-an500", "mps2-an505")),
]
IN_FULL = [(board, 1) for board in (*EMULATED, SMALL_BOARD)]


def models(*, keep_input=False, step=1):
    made = []
    for case in ALL_CASES[::step]:
        graph = case_graph(case)
        made.append(Model(case.id, graph, case_codes(case, graph), keep_input))
    return made


@pytest.mark.parametrize(
    ("compiler", "core", "keep_input", "step"),
    [
        ("gcc", "cortex-m4f", False, EVERY_SECOND),
        pytest.param("gcc", "cortex-m4f", False, 1, marks=pytest.mark.slow),
        ("clang", "cortex-m0", True, EVERY_THIRD),
        pytest.param("clang", "cortex-m0", True, 1, marks=pytest.mark.slow),
        pytest.param("gcc", "cortex-m0", False, 1, marks=pytest.mark.slow),
        pytest.param("clang", "cortex-m4f", True, 1, marks=pytest.mark.slow),
        pytest.param("gcc", "cortex-m55", False, 1, marks=pytest.mark.slow),
        pytest.param("clang", "cortex-m55", False, 1, marks=pytest.mark.slow),
    ],
)
def test_host_c_computes_the_same(compiler, core, keep_input, step, tmp_path):
    made = models(keep_input=keep_input, step=step)
    found = host_differences(made, tmp_path, compiler, core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize(
    ("board", "step"),
    [*SOME, *(pytest.param(*one, marks=pytest.mark.slow) for one in IN_FULL)],
)
def test_emulated_core_computes_the_same(board, step, tmp_path):
    found = board_differences(models(step=step), tmp_path, board)
    assert not found, one_line_each(found)
