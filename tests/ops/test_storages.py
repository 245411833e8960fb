"""Every storage on every case that has weights: coded weights compute what plain ones do."""

import pytest

from edgecomp.ir.weights import LINEAR, WEIGHTS
from edgecomp.kernels import DECODED, KERNELS, Layer
from edgecomp.plan.select import applicable
from edgecomp.storage import STORAGES
from edgecomp.targets.boards import get_board
from edgecomp.targets.cores import get_core
from tests.ops.tables import ALL_CASES
from tests.support.bundle import Model
from tests.support.cases import case_codes, case_graph, one_line_each
from tests.support.proof import EMULATED, ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.stored import CODED, with_stored_weights

OPS = ("conv2d", "dense", "embedding")
"""Those with kernels that decode row by row."""
CASES = [case for case in ALL_CASES if case.op in LINEAR]
TABLES = [case for case in ALL_CASES if case.op == "embedding"]
RECURRENT = [case for case in ALL_CASES if case.op in {*WEIGHTS} - LINEAR - {"embedding"}]


def stored_graph(case, storage, decode=()):
    graph = case_graph(case)
    return with_stored_weights(graph, graph.nodes[0], storage, case.seed, decode)


def models(core, cases=CASES):
    """Every case with every storage and each kernel that computes it."""
    made = []
    for case in cases:
        for storage in CODED:
            graph = stored_graph(case, storage)
            layer = Layer(graph, graph.nodes[0])
            made += [
                Model(
                    f"{case.id}-{kernel.name}",
                    graph,
                    case_codes(case, graph),
                    forced={layer.output.name: kernel.name},
                )
                for kernel in applicable(layer, core)
                if kernel.name in KERNELS
            ]
    return made


def decoded_models(core, cases, decode, every):
    """Every case with every storage and each plain kernel on weights that are decoded before.

    Of these every so many, each storage and kernel in its turn.
    """
    made = []
    for case in cases:
        for storage in CODED:
            graph = stored_graph(case, storage, (decode,))
            layer = Layer(graph, graph.nodes[0])
            made += [
                Model(
                    f"{case.id}-{kernel.name}",
                    graph,
                    case_codes(case, graph),
                    forced={layer.output.name: kernel.name},
                )
                for kernel in applicable(layer, core)
                if kernel.name in DECODED
            ]
    return made[::every]


def test_every_decoder_is_tried():
    tried = set()
    for case in CASES + TABLES:
        for storage in CODED:
            graph = stored_graph(case, storage)
            layer = Layer(graph, graph.nodes[0])
            tried |= {
                (kernel.op, kernel.encoded(layer).decoder)
                for kernel in applicable(layer, get_core("cortex-m4f"))
                if kernel.name in KERNELS
            }
    decoders = ("packed4", "codebook", "huffman", "huffman_gaps", "sparse", "sparse_blocks")
    assert tried == {(op, decoder) for op in OPS for decoder in decoders}


def test_every_storage_has_a_kernel_for_every_operator():
    for op in OPS:
        assert {kernel.storage for kernel in KERNELS.values() if kernel.op == op} == set(STORAGES)


@pytest.mark.parametrize(
    ("compiler", "core", "step"),
    [
        ("gcc", "cortex-m4f", 16),
        pytest.param("gcc", "cortex-m4f", 1, marks=pytest.mark.slow),
        pytest.param("clang", "cortex-m0", 1, marks=pytest.mark.slow),
    ],
)
def test_host_c_computes_the_same(compiler, core, step, tmp_path):
    found = host_differences(models(get_core(core), CASES[::step]), tmp_path, compiler, core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize(
    ("board", "step"),
    [
        ("mps2-an385-v6m", 16),
        ("mps2-an385", 20),
        ("mps2-an386", 12),
        ("mps3-an547", 20),
        *(pytest.param(board, 1, marks=pytest.mark.slow) for board in EMULATED),
    ],
)
def test_emulated_core_computes_the_same(board, step, tmp_path):
    core = get_board(board).core
    found = board_differences(models(core, CASES[::step]), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize(
    ("compiler", "step", "every"),
    [
        ("clang", 32, 13),
        pytest.param("clang", 4, 3, marks=pytest.mark.slow),
        pytest.param("gcc", 8, 5, marks=pytest.mark.slow),
    ],
)
def test_whole_layers_are_decoded_in_host_c(decode, compiler, step, every, tmp_path):
    core = get_core("cortex-m4f")
    found = host_differences(
        decoded_models(core, CASES[::step], decode, every), tmp_path, compiler, core.name
    )
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize(
    ("board", "step", "every"),
    [
        ("mps2-an386", 24, 11),
        ("mps3-an547", 48, 11),
        *(pytest.param(board, 3, 1, marks=pytest.mark.slow) for board in EMULATED),
    ],
)
def test_whole_layers_are_decoded(decode, board, step, every, tmp_path):
    core = get_board(board).core
    found = board_differences(decoded_models(core, CASES[::step], decode, every), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize(
    ("compiler", "step"),
    [
        ("clang", 8),
        pytest.param("clang", 1, marks=pytest.mark.slow),
        pytest.param("gcc", 1, marks=pytest.mark.slow),
    ],
)
def test_recurrent_layers_are_decoded_in_host_c(decode, compiler, step, tmp_path):
    core = get_core("cortex-m4f")
    made = decoded_models(core, RECURRENT[::step], decode, 1)
    assert {model.graph.nodes[0].op for model in made} == {"lstm", "gru", "rnn"}
    found = host_differences(made, tmp_path, compiler, core.name)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize(
    ("board", "step"),
    [
        ("mps2-an386", 16),
        *(pytest.param(board, 1, marks=pytest.mark.slow) for board in EMULATED),
    ],
)
def test_recurrent_layers_are_decoded(decode, board, step, tmp_path):
    core = get_board(board).core
    found = board_differences(decoded_models(core, RECURRENT[::step], decode, 1), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_rows_of_tables_are_decoded_in_host_c(compiler, tmp_path):
    core = get_core("cortex-m0")
    made = models(core, TABLES)
    made += [model for time in ("layer", "boot") for model in decoded_models(core, TABLES, time, 3)]
    found = host_differences(made, tmp_path, compiler, core.name)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_rows_of_tables_are_decoded(board, tmp_path):
    core = get_board(board).core
    made = models(core, TABLES)
    made += [model for time in ("layer", "boot") for model in decoded_models(core, TABLES, time, 3)]
    found = board_differences(made, tmp_path, board)
    assert not found, one_line_each(found)
