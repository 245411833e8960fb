"""The cases whose kernel depends on what the build is optimized for, on the host and emulated."""

from typing import get_args

import pytest

from edgecomp.kernels import Layer
from edgecomp.kernels.base import Goal
from edgecomp.plan.select import choose_kernel
from edgecomp.targets.cores import get_core
from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model
from tests.support.cases import case_codes, case_graph, one_line_each
from tests.support.proof import board_differences, host_differences

GOALS = tuple(goal for goal in get_args(Goal) if goal != "balanced")


def models():
    """Every case under every goal under which the M4 computes it by another kernel."""
    core = get_core("cortex-m4f")
    made = []
    for case in ALL_CASES:
        if case.op == "reshape":
            continue
        graph = case_graph(case)
        layer = Layer(graph, graph.nodes[0])
        usual = choose_kernel(layer, core)
        made += [
            Model(f"{case.id}-{goal}", graph, case_codes(case, graph), goal=goal)
            for goal in GOALS
            if choose_kernel(layer, core, goal) is not usual
        ]
    return made


def test_speed_has_kernels_of_its_own():
    assert len([model for model in models() if model.goal == "speed"]) >= 8


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_host_c_computes_the_same(compiler, tmp_path):
    found = host_differences(models(), tmp_path, compiler)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"])
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(models(), tmp_path, board)
    assert not found, one_line_each(found)
