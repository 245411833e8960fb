"""Scales of recurrent layers: the range of a cell state, and layers that are silent or too loud."""

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.ir import Graph, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.lstm import CELL_BITS, LstmParams
from edgecomp.ops.rnn import RnnParams
from edgecomp.quant import quantize_model
from edgecomp.quant.recurrent import settle_cells

UNITS = 3


def network(op, params, bias):
    """A float network of one layer whose weights are all 0."""
    rows = OPS[op].gates * UNITS
    shapes = {"weights": (rows, 2), "recurrent": (rows, UNITS), "bias": (rows,)}
    tensors = {"x": Tensor("x", (1, 6, 2))}
    for name, shape in shapes.items():
        value = np.full(shape, bias if name == "bias" else 0.0, np.float32)
        tensors[name] = Tensor(name, shape, data=value)
    inputs = ["x"]
    if params.begins == "given":
        inputs += ["hidden", "memory"]
        tensors |= {name: Tensor(name, (1, UNITS)) for name in inputs[1:]}
    y = Tensor("y", OPS[op].infer(params, list(tensors.values())))
    node = Node("layer", op, tuple(tensors), "y", params)
    return Graph("recurrent", tuple(inputs), ("y",), (node,), {**tensors, "y": y})


def samples(graph, value):
    return {n: np.full((2, *graph.tensors[n].shape), value, np.float32) for n in graph.inputs}


@pytest.mark.parametrize(
    ("op", "params", "bias", "value"),
    [
        ("rnn", RnnParams(activation="relu"), -1.0, 1e-8),
        ("rnn", RnnParams(activation="relu"), 0.0, 1e6),
        ("lstm", LstmParams(emits="memory"), 0.0, 1e-8),
        ("lstm", LstmParams(emits="memory", begins="given"), 0.0, 1e6),
        ("lstm", LstmParams(begins="given"), 0.0, 1e6),
        ("lstm", LstmParams(clip=1e9), 5.0, 1.0),
    ],
)
def test_silent_and_loud_layers_can_be_quantized(op, params, bias, value):
    graph = network(op, params, bias)
    quantized, _ = quantize_model(graph, samples(graph, value))
    codes = {n: np.full((1, *graph.tensors[n].shape), 127, np.int8) for n in graph.inputs}
    assert run_int(quantized, codes)["y"].shape == (1, *graph.tensors["y"].shape)


@pytest.mark.parametrize(("bias", "bits"), [(0.01, 15), (1.0, 13), (9.0, 11)])
def test_a_cell_state_has_twice_the_range_of_the_samples(bias, bits):
    """After six steps it is 0.015, 1.75 and 6.0."""
    graph = network("lstm", LstmParams(), bias)
    (node,) = settle_cells(graph, samples(graph, 1.0)).nodes
    assert node.params.cell_bits == bits
    (unseen,) = settle_cells(graph, None).nodes
    assert unseen.params.cell_bits == CELL_BITS
