"""Every storage on every case that has weights: coded weights compute what plain ones do."""

from dataclasses import replace

import numpy as np
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
from tests.support.proof import EMULATED, board_differences, host_differences

CODED = [name for name in STORAGES if name != "dense8"]
CASES = [case for case in ALL_CASES if case.op in LINEAR]
RECURRENT = [case for case in ALL_CASES if case.op in {*WEIGHTS} - LINEAR]


def storable(storage, values, seed):
    """Weights near the given ones that a storage is made for: few bits, few values, many zeros."""
    rng = np.random.default_rng(seed)
    density = 0.07 if seed % 2 else 0.6
    if storage == "packed4":
        return (values // 16).astype(np.int8)
    if storage == "codebook":
        shift = 8 if seed % 2 else 32  # tables of 32 or 8 values
        fours = np.arange(len(values)) // 4 % shift if seed % 3 else np.zeros(len(values), int)
        own = fours.reshape(-1, *(1,) * (values.ndim - 1))  # tables of their own
        return (values // shift * shift + own).astype(np.int8)
    if storage == "huffman":
        kept = (values // 16 * 16) * (rng.random(values.shape) < density)
        return (kept if seed % 3 else values).astype(np.int8)
    if seed % 3:
        return (values * (rng.random(values.shape) < density)).astype(np.int8)
    blocks = rng.random((values.size + 3) // 4).repeat(4)[: values.size].reshape(values.shape)
    return (values * (blocks < density)).astype(np.int8)


def stored_graph(case, storage, decode=()):
    graph = case_graph(case)
    layer = Layer(graph, graph.nodes[0])
    data = storable(storage, layer.stored_weights, case.seed)
    if storage == "sparse" and data.all():
        data.reshape(-1)[0] = 0
    # Those of a recurrent layer are stored together.
    ends = np.cumsum([tensor.size for tensor in layer.weights])[:-1]
    marked = {
        t.name: replace(t, data=part.reshape(t.shape), storages=(storage,), decode=decode)
        for t, part in zip(layer.weights, np.split(data.reshape(-1), ends), strict=True)
    }
    return graph.replace(tensors={**graph.tensors, **marked})


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
    for case in CASES:
        for storage in CODED:
            graph = stored_graph(case, storage)
            layer = Layer(graph, graph.nodes[0])
            tried |= {
                (kernel.op, kernel.encoded(layer).decoder)
                for kernel in applicable(layer, get_core("cortex-m4f"))
                if kernel.name in KERNELS
            }
    decoders = ("packed4", "codebook", "huffman", "huffman_gaps", "sparse", "sparse_blocks")
    assert tried == {(op, decoder) for op in ("conv2d", "dense") for decoder in decoders}


def test_every_storage_has_a_kernel_for_every_operator():
    for op in ("conv2d", "dense"):
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
