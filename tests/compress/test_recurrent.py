"""Recurrent layers as torch modules: the same numbers, and gradients for every constant."""

import numpy as np
import pytest

from edgecomp.compress.train.graph_module import as_module, trainable_tensors
from edgecomp.interp import run_float
from edgecomp.ir import Graph, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.rnn import RnnParams

torch = pytest.importorskip("torch")

BATCH, STEPS, INPUTS, UNITS = 2, 5, 3, 4
LAYERS = {
    "lstm": LstmParams(),
    "lstm-all": LstmParams(peepholes=True, coupled=True, clip=0.8, begins="given", emits="memory"),
    "lstm-peepholes": LstmParams(peepholes=True, emits="last"),
    "gru": GruParams(),
    "gru-given": GruParams(begins="given", emits="last", clip=0.8),
    "gru-before": GruParams(reset_after=False),
    "rnn": RnnParams(),
    "rnn-relu": RnnParams(activation="relu", begins="given", clip=1.5),
}


def network(name):
    """A float network of one layer."""
    rng = np.random.default_rng(0)
    params = LAYERS[name]
    op = OPS[name.split("-")[0]]
    rows = op.gates * UNITS
    own = UNITS if getattr(params, "reset_after", False) else 0
    shapes = {
        "weights": (rows, INPUTS),
        "recurrent": (rows, UNITS),
        "bias": (rows + own,),
        "peepholes": (3 * UNITS,),
    }
    tensors = {"x": Tensor("x", (BATCH, STEPS, INPUTS))}
    for role in op.roles(params)[1:]:
        value = rng.normal(0, 0.7, shapes.get(role, (BATCH, UNITS))).astype(np.float32)
        tensors[role] = Tensor(role, value.shape, data=value)
    y = Tensor("y", op.infer(params, list(tensors.values())))
    node = Node("layer", op.name, tuple(tensors), "y", params)
    return Graph("recurrent", ("x",), ("y",), (node,), {**tensors, "y": y})


@pytest.mark.parametrize("name", LAYERS)
def test_module_computes_the_same_and_has_gradients(name):
    graph = network(name)
    x = np.random.default_rng(1).normal(0, 1, (6, BATCH, STEPS, INPUTS))
    module = as_module(graph).double()
    y = module(torch.tensor(x))["y"]
    expected = run_float(graph, {"x": x})["y"]
    np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-6)
    y.square().sum().backward()
    for constant, source in zip(trainable_tensors(graph), module.sources, strict=True):
        assert source.weight.grad.abs().max() > 0, constant
