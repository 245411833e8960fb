"""A float graph and the parameters of its activations become a graph of integers."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from edgecomp.errors import InternalError, UnsupportedError, UserError
from edgecomp.fixedpoint import INT32_MAX, INT32_MIN
from edgecomp.ir import Array, DType, Graph, Node, QParams, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.quant.indices import WIDE_INDEX_QPARAMS
from edgecomp.quant.int16 import as_int16
from edgecomp.quant.ranges import range_qparams
from edgecomp.quant.recurrent import is_recurrent, quantize_recurrent
from edgecomp.quant.sharing import shares_qparams
from edgecomp.requant import prepare_node

LEAST_RATIO = 2.0**-15
"""Least `scale_in * scale_w / scale_out`: below it a multiplier has fewer than 16 bits."""
LARGEST_BIAS = 2.0**21
"""Largest code of a bias: float32 still holds it exactly, with room for what is folded in."""

LARGEST_BIAS_INT16 = 2.0**30
"""With int16 activations sums are finer; they may need more than 32 bits, a bias does not."""


def quantize(
    graph: Graph,
    qparams: Mapping[str, QParams],
    *,
    symmetric: bool = False,
    numerics: str | None = None,
    float_layers: Collection[str] = (),
) -> Graph:
    """Quantize every tensor.

    Args:
        graph: a float graph; constants that carry parameters keep them, and their exact integers.
        qparams: parameters of every activation (`calibrate`).
        symmetric: give element-wise constants the zero point 0.
        numerics: the arithmetic of the layers, `edgecomp`, `tflite` or `int16`; each layer's own
            unless given.
        float_layers: names of layers that compute in float32: their constants stay real.

    Returns:
        A graph of int8 activations and weights (per output channel, -127 to 127) and int32 biases
        at `scale_in * scale_w[c]`.  Dense weights have one scale under `tflite`, as its converter
        gives them.  PReLU's slopes and
        the gains of normalizations stay real.  Every layer's constants have been prepared once,
        which proves that no accumulator leaves int32.

    Raises:
        UserError: a file's own scales do not fit a bias.
        InternalError: an accumulator could leave int32, or an activation has no parameters.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in graph.tensors.items():
        if not tensor.is_const:
            if name not in qparams:
                raise InternalError(f"tensor {name!r} was not calibrated")
            wide = numerics == "int16" or qparams[name].is_wide
            dtype = DType.INT16 if wide else DType.INT8
            tensors[name] = replace(tensor, dtype=dtype, qparams=qparams[name])
    nodes = []
    for given in graph.nodes:
        node = replace(given, numerics=_numerics(given, numerics, tensors))
        if node.name in float_layers:
            node = replace(given, numerics="float32")
            inputs = tuple(_real_operand(graph, name, tensors) for name in node.inputs)
        elif node.op in LINEAR:
            one_scale = node.op == "dense" and node.numerics in {"tflite", "tflite16"}
            inputs = _quantize_linear(graph, node, tensors, one_scale)
        elif node.op == "embedding":
            inputs = _quantize_table(graph, node, tensors)
        elif is_recurrent(node):
            inputs = quantize_recurrent(graph, node, tensors)
        else:
            inputs = tuple(
                _quantize_operand(graph, node, n, tensors, symmetric) for n in node.inputs
            )
        nodes.append(replace(node, inputs=inputs))
    result = graph.with_nodes(nodes, tensors)
    for node in result.nodes:
        _prove(node, result, given=graph.tensors[node.output].qparams is not None)
    return result


def _prove(node: Node, graph: Graph, *, given: bool) -> None:
    """Prepare a layer's constants once: `given` says that its scales came with a file."""
    try:
        prepare_node(node, graph.node_inputs(node), graph.node_output(node))
    except InternalError as error:
        if not given:
            raise
        raise UserError(
            f"layer {node.name!r}: {error}\n  the file gives these scales: quantize the model again"
        ) from error


def _numerics(node: Node, asked: str | None, tensors: Mapping[str, Tensor]) -> str:
    """The arithmetic of a layer: TFLite has another one where codes have 16 bits.

    In a network of int8 codes indices of tables may have 16 bits; they are moved only.
    """
    numerics = asked or node.numerics
    codes = (tensors[name] for name in (*node.inputs, node.output) if name in tensors)
    wide = any(tensor.dtype is DType.INT16 for tensor in codes)
    if wide and tensors[node.output].qparams == WIDE_INDEX_QPARAMS:
        return "int16"
    chooses = node.op == "embedding" and tensors[node.output].dtype is DType.INT8
    return "tflite16" if wide and numerics == "tflite" and not chooses else numerics


def _real_operand(graph: Graph, name: str, tensors: dict[str, Tensor]) -> str:
    """Copy a constant operand of a float32 layer, without scales and special storages."""
    tensor = graph.tensors[name]
    if not tensor.is_const:
        return name
    copy = _free_name(tensors, f"{name}.real")
    data = tensor.value.astype(np.float32)
    tensors[copy] = Tensor(copy, tensor.shape, DType.FLOAT32, None, data, tensor.layout)
    return copy


def _quantize_operand(
    graph: Graph, node: Node, name: str, tensors: dict[str, Tensor], symmetric: bool
) -> str:
    """Quantize a constant operand per tensor; slopes and gains are only copied."""
    tensor = graph.tensors[name]
    if name in tensors or not tensor.is_const:
        return name
    if node.op in {"prelu", "layer_norm"}:
        tensors[name] = tensor
        return name
    q = tensor.qparams
    if q is None and shares_qparams(node):
        q = tensors[node.output].qparams
    if q is None:
        ends = float(tensor.value.min()), float(tensor.value.max())
        q = range_qparams(*ends, symmetric=symmetric or node.is_int16)
    if node.is_int16:
        q = q if tensor.qparams else as_int16(q)
        codes = q.quantize(tensor.value, *DType.INT16.limits).astype(np.int16)
        tensors[name] = replace(tensor, dtype=DType.INT16, qparams=q, data=codes)
        return name
    tensors[name] = replace(
        tensor, dtype=DType.INT8, qparams=q, data=q.quantize(tensor.value).astype(np.int8)
    )
    return name


def _quantize_table(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> tuple[str, str]:
    """Give a table the codes of its layer's output: rows are only copied then.

    Raises:
        UnsupportedError: the codes of the indices do not reach its last row.
    """
    index, out = tensors[node.inputs[0]], tensors[node.output]
    table = graph.tensors[node.inputs[1]]
    assert index.qparams is not None
    assert out.qparams is not None
    most = index.dtype.limits[1] - index.qparams.zero_point + 1
    if table.shape[0] > most:
        more = (
            ""
            if index.dtype is DType.INT16
            else ("give the network no inputs but indices, build with --activations int16, or ")
        )
        raise UnsupportedError(
            node.op,
            node.name,
            f"its table has {table.shape[0]:,} rows; {index.dtype.value} codes of indices tell "
            f"{most:,} apart",
            f"{more}use a smaller vocabulary, or look rows up outside of the network",
        )
    codes = out.qparams.quantize(table.value, *out.dtype.limits).astype(out.dtype.numpy)
    name = _free_name(tensors, table.name)
    qparams = out.qparams
    tensors[name] = replace(table, name=name, dtype=out.dtype, qparams=qparams, data=codes)
    return node.inputs[0], name


def _quantize_linear(
    graph: Graph, node: Node, tensors: dict[str, Tensor], one_scale: bool
) -> tuple[str, ...]:
    """Quantize weights and bias of one layer.

    A constant that several layers share gets one copy per layer: its scales depend on theirs.
    """
    x = tensors[node.inputs[0]].qparams
    out = tensors[node.output].qparams
    assert x is not None
    assert out is not None
    weights = graph.tensors[node.inputs[1]]
    bias = graph.tensors[node.inputs[2]] if len(node.inputs) > 2 else None
    largest_bias = LARGEST_BIAS_INT16 if node.is_int16 else LARGEST_BIAS
    q = weights.qparams or weight_qparams(weights, bias, x, out, largest_bias)
    if one_scale and weights.qparams is None:
        q = QParams.per_tensor(max(q.scale))
    names = [node.inputs[0], _free_name(tensors, weights.name)]
    dtype = DType.INT16 if q.is_wide else DType.INT8
    limits = dtype.limits if weights.qparams else (-127, 127)
    tensors[names[1]] = replace(
        weights,
        name=names[1],
        dtype=dtype,
        qparams=q,
        data=q.quantize(weights.value, *limits).astype(dtype.numpy),
    )
    if bias is not None:
        scales = np.broadcast_to(x.scalar * np.asarray(q.scale, np.float64), bias.shape)
        codes = np.rint(bias.value.astype(np.float64) / _own_scales(bias, scales))
        # TFLite's converter gives biases of 64 bits to int16 activations.
        wide = bias.qparams.is_wide if bias.qparams else node.numerics == "tflite16"
        if not wide and (codes.min() < INT32_MIN or codes.max() > INT32_MAX):
            raise UserError(
                f"the bias of layer {node.name!r} does not fit int32 at the scales of its input "
                "and weights\n  the file gives these scales: quantize the model again"
            )
        names.append(_free_name(tensors, bias.name))
        tensors[names[2]] = replace(
            bias,
            name=names[2],
            dtype=DType.INT64 if wide else DType.INT32,
            qparams=QParams.per_channel(scales, 0),
            data=codes.astype(np.int64 if wide else np.int32),
        )
    return tuple(names)


def _own_scales(bias: Tensor, scales: Array) -> Array:
    """The scales that a bias of a quantized file has, if they are those of its layer.

    They are rounded in another way, so that only they give large codes back exactly.
    """
    if bias.qparams is None or bias.dtype is not DType.FLOAT64:
        return scales
    own = np.broadcast_to(np.asarray(bias.qparams.scale, np.float64), bias.shape)
    return own if np.allclose(own, scales, rtol=1e-4, atol=0.0) else scales


def weight_qparams(
    weights: Tensor,
    bias: Tensor | None,
    x: QParams,
    out: QParams,
    largest_bias: float = LARGEST_BIAS,
) -> QParams:
    """Symmetric parameters per output channel of a layer's weights.

    The scale of a channel whose weights are next to nothing (1e-30, left over by weight decay) is
    raised to `2^-15 * scale_out / scale_in`, so that the multiplier keeps 16 bits, and to
    `|bias| / (2^21 * scale_in)`, so that float32 runtimes hold the bias exactly: both far below
    what the output's codes can show.
    """
    channels = weights.shape[0]
    largest = np.abs(weights.value.astype(np.float64)).reshape(channels, -1).max(axis=1)
    floor = np.full(channels, LEAST_RATIO * out.scalar / x.scalar)
    if bias is not None:
        needed = np.abs(bias.value.astype(np.float64)) / (largest_bias * x.scalar)
        floor = np.maximum(floor, needed)
    return QParams.per_channel(np.maximum(largest / 127, floor), 0)


def _free_name(tensors: Mapping[str, Tensor], name: str) -> str:
    """Return `name`, or a numbered variant where another layer has taken it."""
    candidate, count = name, 1
    while candidate in tensors:
        count += 1
        candidate = f"{name}_{count}"
    return candidate
