"""Recurrent layers on which kernels are measured."""

from collections.abc import Iterator

import numpy as np

from edgecomp.ir import DType, Graph, Node, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gru import GruParams
from edgecomp.ops.lstm import LstmParams
from edgecomp.ops.recurrent import HIDDEN_QPARAMS, Recurrent, RecurrentParams
from edgecomp.ops.rnn import RnnParams

_IN = QParams.per_tensor(0.02, 3)
_SIZES = ((24, 6, 32), (8, 16, 16), (3, 40, 64), (10, 3, 5), (1, 32, 32))
"""Steps, inputs, units."""
_LAYERS: tuple[tuple[str, RecurrentParams], ...] = (
    ("lstm", LstmParams()),
    ("lstm", LstmParams(emits="last")),
    ("gru", GruParams()),
    ("gru", GruParams(reset_after=False)),
    ("rnn", RnnParams()),
)


def recurrent_graphs() -> Iterator[Graph]:
    """Yield one-layer networks; the same ones at every call."""
    for op, params in _LAYERS:
        for sizes in _SIZES:
            yield _graph(op, params, *sizes)


def _graph(op: str, params: RecurrentParams, steps: int, inputs: int, units: int) -> Graph:
    layer = OPS[op]
    assert isinstance(layer, Recurrent)
    rng = np.random.default_rng(steps)
    rows = layer.gates * units
    biases = rows + (units if isinstance(params, GruParams) and params.reset_after else 0)
    tensors = [
        Tensor("x", (1, steps, inputs), DType.INT8, _IN),
        *(_matrix(name, rows, n, rng) for name, n in (("weights", inputs), ("recurrent", units))),
        Tensor("bias", (biases,), data=rng.normal(0, 0.3, biases).astype(np.float32)),
    ]
    output = Tensor("y", layer.infer(params, tensors), DType.INT8, HIDDEN_QPARAMS)
    names = tuple(tensor.name for tensor in tensors)
    node = Node("layer", op, names, "y", params)
    return Graph(op, ("x",), ("y",), (node,), {t.name: t for t in (*tensors, output)})


def _matrix(name: str, rows: int, inputs: int, rng: np.random.Generator) -> Tensor:
    codes = np.rint(rng.normal(0, 30, (rows, inputs))).clip(-127, 127).astype(np.int8)
    scales = QParams.per_channel(np.full(rows, 0.3 / inputs**0.5 / 30), 0)
    return Tensor(name, codes.shape, DType.INT8, scales, codes)
