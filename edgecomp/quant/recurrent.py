"""Quantization of recurrent layers: their weights, and the range of what they remember.

Gates need no calibration: pre-activations, gates and hidden states have fixed formats.  An LSTM's
cell state is not bounded; its fraction bits are chosen from what it holds on the samples.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array, DType, Graph, Node, QParams, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.gates import UNIT_BITS
from edgecomp.ops.lstm import GATES, LstmParams
from edgecomp.ops.recurrent import HIDDEN_QPARAMS, Recurrent
from edgecomp.ops.rnn import RnnParams
from edgecomp.quant.observe import observe_ranges

ROOM = 2.0
"""A cell state may become so many times as large as on the samples: saturating costs more than a
bit of precision, of which it has plenty."""
LEAST_SCALE = 1e-12
"""Of rows that are all zeros."""


def is_recurrent(node: Node) -> bool:
    """Whether a layer carries a state from step to step."""
    return isinstance(OPS[node.op], Recurrent)


def hidden_qparams(node: Node) -> QParams | None:
    """Parameters of hidden states that lie between -1 and 1; None for other outputs."""
    params = node.params
    if isinstance(params, RnnParams) and params.activation != "tanh":
        return None
    emits = getattr(params, "emits", "")
    return HIDDEN_QPARAMS if emits in {"sequence", "last", "state"} else None


def settle_cells(graph: Graph, samples: Mapping[str, Array] | None) -> Graph:
    """Choose the fraction bits of every LSTM's cell state, unless its file has chosen them.

    Args:
        graph: a float graph.
        samples: for each graph input the calibration samples `(samples, *shape)`; without any the
            layers stay as they are.
    """
    layers = [
        node
        for node in graph.nodes
        if isinstance(node.params, LstmParams) and not _is_settled(graph, node.params, node.output)
    ]
    if not samples or not layers:
        return graph
    probes, tensors = [], dict(graph.tensors)
    for node in layers:
        name = f"{node.output}\0cells"
        assert isinstance(node.params, LstmParams)
        params = replace(node.params, emits="memories")
        shape = OPS[node.op].infer(params, graph.node_inputs(node))
        tensors[name] = Tensor(name, shape)
        probes.append(replace(node, name=name, output=name, params=params))
    watched = graph.with_nodes((*graph.nodes, *probes), tensors)
    ranges = observe_ranges(watched, samples, [probe.output for probe in probes])
    settled = {
        node.output: _with_range(node, ranges[probe.output])
        for node, probe in zip(layers, probes, strict=True)
    }
    return graph.replace(nodes=tuple(settled.get(node.output, node) for node in graph.nodes))


def _is_settled(graph: Graph, params: LstmParams, output: str) -> bool:
    """Whether the layer is of a TFLite file that has int8 hidden states and an int16 cell state."""
    return params.keeps and graph.tensors[output].qparams is not None


def _with_range(node: Node, seen: tuple[float, float]) -> Node:
    assert isinstance(node.params, LstmParams)
    size = max(ROOM * max(abs(bound) for bound in seen), 1.0)
    bits = max(UNIT_BITS - math.ceil(math.log2(size)), 0)
    return replace(node, params=replace(node.params, cell_bits=bits))


def quantize_recurrent(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """Quantize both matrices of a layer, a scale per row; biases and constant states stay real.

    An LSTM with TFLite's int16 activations has a scale per gate.

    Args:
        graph: the float graph.
        node: the layer.
        tensors: those of the quantized graph, to which the constants are added.

    Returns:
        The layer's operands there.
    """
    for name in node.inputs[1:3]:
        tensor = graph.tensors[name]
        rows = np.abs(tensor.value.astype(np.float64)).max(axis=1)
        if node.numerics == "tflite16" and isinstance(node.params, LstmParams):
            gates = rows.reshape(GATES, -1)
            rows = np.broadcast_to(gates.max(axis=1, keepdims=True), gates.shape).reshape(-1)
        q = tensor.qparams or QParams.per_channel(np.maximum(rows / 127, LEAST_SCALE), 0)
        codes = q.quantize(tensor.value, -128 if tensor.qparams else -127).astype(np.int8)
        tensors[name] = replace(tensor, dtype=DType.INT8, qparams=q, data=codes)
    for name in node.inputs[3:]:
        tensors.setdefault(name, graph.tensors[name])
    return node.inputs
