"""Bias correction: the mean error of every channel is taken out of the layer's bias.

Rounding the weights shifts the mean of a layer's outputs, and the shift grows from layer to layer.
Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(ICCV 2019), section 4.2, with means measured on the calibration samples.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgecomp.fixedpoint import INT32_MAX
from edgecomp.ir import NO_CLAMP, Array, DType, Graph, Node, QParams, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.requant import compute_node, prepare_node

SAMPLES = 64
"""Enough for a mean: each sample has many positions."""


def correct_biases(float_graph: Graph, graph: Graph, inputs: Mapping[str, Array]) -> Graph:
    """Correct the biases of a quantized graph, layer by layer in execution order.

    Args:
        float_graph: the graph that `graph` was quantized from: same nodes, same names.
        graph: the quantized graph.
        inputs: for each graph input the samples, `(samples, *shape)` float32; the first 64 are
            used.

    Returns:
        The quantized graph with other biases.  Layers whose weights came quantized with the model
        keep theirs.
    """
    real: dict[str, Array] = {name: inputs[name][:SAMPLES] for name in graph.inputs}
    codes: dict[str, Array] = {
        name: _qparams(graph.tensors[name]).quantize(array).astype(np.int8)
        for name, array in real.items()
    }
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for exact, node in zip(float_graph.nodes, graph.nodes, strict=True):
        made = node
        linear = node.op in LINEAR and not node.is_float32
        if linear and float_graph.tensors[exact.inputs[1]].qparams is None:
            error = _mean_error(float_graph, exact, graph, node, real, codes)
            made = _corrected(node, tensors, error)
        nodes.append(made)
        operands = [tensors[name] for name in made.inputs]
        prepared = prepare_node(made, operands, tensors[made.output])
        arrays = [t.value if t.is_const else codes[t.name] for t in operands]
        codes[made.output] = compute_node(made, prepared, operands, arrays)
        float_operands = float_graph.node_inputs(exact)
        real[exact.output] = OPS[exact.op].float_ref(
            exact.params,
            float_operands,
            [t.value if t.is_const else real[t.name] for t in float_operands],
        )
    return graph.with_nodes(nodes, tensors)


def _qparams(tensor: Tensor) -> QParams:
    assert tensor.qparams is not None
    return tensor.qparams


def _mean_error(
    float_graph: Graph,
    exact: Node,
    graph: Graph,
    node: Node,
    real: Mapping[str, Array],
    codes: Mapping[str, Array],
) -> Array:
    """Mean of (quantized minus real) outputs per channel, before the fused activation."""
    op = OPS[node.op]
    params = replace(exact.params, clamp=NO_CLAMP)  # type: ignore[call-arg]
    wanted = op.float_ref(
        params,
        float_graph.node_inputs(exact),
        [t.value if t.is_const else real[t.name] for t in float_graph.node_inputs(exact)],
    )
    got = op.float_ref(
        params,
        graph.node_inputs(node),
        [
            _qparams(t).dequantize(t.value if t.is_const else codes[t.name]).astype(np.float32)
            for t in graph.node_inputs(node)
        ],
    )
    difference = got.astype(np.float64) - wanted
    return np.asarray(difference.reshape(-1, difference.shape[-1]).mean(axis=0))


def _corrected(node: Node, tensors: dict[str, Tensor], error: Array) -> Node:
    """Subtract real errors per channel from a layer's bias, which is added if there is none."""
    x, weights, *bias = (tensors[name] for name in node.inputs)
    scales = _qparams(x).scalar * np.broadcast_to(
        np.asarray(_qparams(weights).scale, np.float64), error.shape
    )
    start = bias[0].value.astype(np.int64) if bias else np.zeros(len(error), np.int64)
    change = np.rint(error / scales)
    data = np.clip(start - change, -INT32_MAX, INT32_MAX).astype(np.int32)
    if bias:
        tensors[bias[0].name] = bias[0].with_data(data)
        return node
    name = f"{node.name}.bias"
    while name in tensors:
        name += "_"
    qparams = QParams.per_channel(scales, 0)
    tensors[name] = Tensor(name, data.shape, DType.INT32, qparams, data, "O")
    return replace(node, inputs=(*node.inputs, name))
