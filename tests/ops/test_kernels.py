"""Every kernel on every case that it can compute, whether or not a build would choose it."""

from collections import defaultdict

import pytest

from edgecomp.kernels import KERNELS, Layer
from edgecomp.plan.select import applicable, choose_kernel
from edgecomp.targets.boards import get_board
from edgecomp.targets.cores import get_core
from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model
from tests.support.cases import case_codes, case_graph, one_line_each
from tests.support.proof import EMULATED, board_differences, host_differences


def passed_over(core):
    """Every case with each kernel that could compute it on `core` and is not the chosen one."""
    made = []
    for case in ALL_CASES:
        if case.op == "reshape":
            continue
        graph = case_graph(case)
        layer = Layer(graph, graph.nodes[0])
        chosen = choose_kernel(layer, core)
        made += [
            Model(
                f"{case.id}-{kernel.name}",
                graph,
                case_codes(case, graph),
                forced={layer.output.name: kernel.name},
            )
            for kernel in applicable(layer, core)
            if kernel is not chosen
        ]
    return made


def some_of_each(models, count=4):
    """Of each kernel's cases `count` from first to last, for where there is no time for all."""
    by_kernel = defaultdict(list)
    for model in models:
        (kernel,) = model.forced.values()
        by_kernel[kernel].append(model)
    return [
        made[index * (len(made) - 1) // (count - 1)] if len(made) > count else made[index]
        for made in by_kernel.values()
        for index in range(min(count, len(made)))
    ]


def test_every_kernel_computes_some_case():
    cores = [get_board(board).core for board in EMULATED]
    tried = {
        kernel.name
        for case in ALL_CASES
        if case.op != "reshape"
        for graph in [case_graph(case)]
        for core in cores
        for kernel in applicable(Layer(graph, graph.nodes[0]), core)
    }
    plain = {
        kernel.name
        for kernel in KERNELS.values()
        if kernel.storage == "dense8" and "edgecomp" in kernel.numerics
    }
    assert tried == plain - {"embedding_wide"}, (
        "kernels of coded weights: tests/ops/test_storages.py; "
        "of float32 and int16: test_float32.py and test_int16.py; "
        "of indices of int16: tests/e2e/test_embedding.py"
    )


@pytest.mark.parametrize(
    ("compiler", "core"),
    [
        pytest.param("gcc", "cortex-m4f", marks=pytest.mark.slow),
        pytest.param("clang", "cortex-m4f", marks=pytest.mark.slow),
        pytest.param("gcc", "cortex-m0", marks=pytest.mark.slow),
        pytest.param("gcc", "cortex-m3", marks=pytest.mark.slow),
    ],
)
def test_host_c_computes_the_same(compiler, core, tmp_path):
    found = host_differences(passed_over(get_core(core)), tmp_path, compiler, core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an385-v6m", "mps2-an385", "mps2-an386", "mps3-an547"])
def test_emulated_core_computes_some_the_same(board, tmp_path):
    models = some_of_each(passed_over(get_board(board).core))
    found = board_differences(models, tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("board", EMULATED)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(passed_over(get_board(board).core), tmp_path, board)
    assert not found, one_line_each(found)
