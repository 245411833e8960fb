"""Random networks from file to emulated core: floats as onnxruntime, bits as the reference."""

from functools import cache
from typing import get_args

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.kernels.base import Goal
from edgecomp.passes.dead_channels import remove_dead_channels
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import EMULATED, SMALL_BOARD, board_differences, host_differences
from tests.support.random_graphs import (
    float_differences,
    float_graph,
    quantized_model,
    random_model,
)

FEW, MANY = 40, 300
GOALS: tuple[Goal, ...] = get_args(Goal)
LEAST_SPREAD = 10
"""Tensors with fewer codes prove little; only a small part may be such."""
OPERATORS = frozenset(
    """
    Abs Acos Acosh Add Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Concat
    Conv ConvTranspose Cos Cosh DepthToSpace Div Dropout Elu Erf Exp Flatten Floor Gelu Gemm
    GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Log MatMul Max MaxPool Min Mish Mul Neg PRelu Pad Reciprocal
    ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Resize Round Selu Shrink Sigmoid
    Sign Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Tan Tanh
    ThresholdedRelu Transpose Unsqueeze
    """.split()  # noqa: SIM905 - a list of one word per line helps nobody
)


@cache
def prepared(folder, count):
    """Make, read, compare and quantize networks 0 to `count` - 1."""
    models, lines, ops = [], [], set()
    for seed in range(count):
        random = random_model(seed)
        ops |= set(random.ops)
        graph = float_graph(random, folder)
        lines += float_differences(random, graph)
        models.append(quantized_model(random, graph))
    return models, lines, ops


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("random")


SIZES = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", SIZES)
def test_floats_are_onnxruntimes(folder, count):
    _, lines, ops = prepared(folder, count)
    assert not lines, one_line_each(lines)
    assert ops <= OPERATORS
    if count == MANY:
        assert ops == OPERATORS


@pytest.mark.parametrize("count", SIZES)
def test_most_tensors_vary(folder, count):
    models, _, _ = prepared(folder, count)
    spreads = [
        len(np.unique(array))
        for model in models
        for name, array in model.expected().items()
        if name not in model.graph.inputs and array[0].size > 1
    ]
    assert sum(spread < LEAST_SPREAD for spread in spreads) <= 0.1 * len(spreads)


@pytest.mark.parametrize("count", SIZES)
def test_removing_dead_channels_keeps_the_bits(folder, count):
    removed = 0
    for model in prepared(folder, count)[0]:
        smaller, _ = remove_dead_channels(model.graph)
        assert set(smaller.inputs) == set(model.graph.inputs)
        before = run_int(model.graph, model.codes)
        after = run_int(smaller, model.codes)
        for name in model.graph.outputs:
            np.testing.assert_array_equal(after[name], before[name], f"{model.name}/{name}")
        removed += smaller != model.graph
    assert removed


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
@pytest.mark.parametrize("count", SIZES)
def test_host_c_computes_the_same(folder, count, compiler, tmp_path):
    found = host_differences(lean(prepared(folder, count)[0]), tmp_path, compiler)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ["mps2-an385-v6m", "mps2-an386", "mps3-an547"])
def test_emulated_core_computes_the_same(folder, board, tmp_path):
    found = board_differences(lean(prepared(folder, FEW)[0]), tmp_path, board)
    assert not found, one_line_each(found)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("board", [*EMULATED, SMALL_BOARD])
def test_every_emulated_core_computes_many_the_same(folder, board, goal, tmp_path):
    models = lean(prepared(folder, MANY)[0], goal)
    for start in range(0, MANY, 100):
        found = board_differences(models[start : start + 100], tmp_path / str(start), board)
        assert not found, one_line_each(found)


def lean(models, goal=None):
    """Every second model without its dead channels; for `goal`, or for all goals in turn."""
    return [
        Model(
            m.name,
            remove_dead_channels(m.graph)[0] if n % 2 else m.graph,
            m.codes,
            goal=goal or GOALS[n // 2 % len(GOALS)],
        )
        for n, m in enumerate(models)
    ]
