"""How each operator of a quantized graph is written in ONNX, in real numbers.

An emitter gets a node and returns the name of its real output and whether that has its channels
first.  Tensors stay in whatever order their neighbours want, so a convolutional network has no
transposes inside.
"""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from edgecomp.ir import Array, Node
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.layer_norm import LayerNorm, LayerNormParams
from edgecomp.ops.movement import ConcatParams, PadParams, ReshapeParams, TransposeParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.where import CompareParams
from edgecomp.quant.qdq_builder import QdqBuilder, channels_first
from edgecomp.quant.qdq_choices import emit_embedding, emit_gather, emit_resize, emit_top
from edgecomp.quant.qdq_recurrent import emit_recurrent
from edgecomp.quant.qdq_spatial import (
    Emitted,
    clamped,
    emit_average_pool,
    emit_conv2d,
    emit_max_pool,
    operands,
    real_name,
)
from edgecomp.quant.qdq_unary import emit_expression

Emitter = Callable[[QdqBuilder, Node], Emitted]


def emit_node(build: QdqBuilder, node: Node) -> Emitted:
    """Add the ONNX nodes of one node: name of the real output, and whether channels are first."""
    return EMITTERS[node.op](build, node)


def _dense(build: QdqBuilder, node: Node) -> Emitted:
    x, weights, *bias = operands(build, node)
    name = build.take(x.name, first=False)
    # Gemm takes matrices; a MatMul and an Add would have a tensor without scale between them.
    if len(x.shape) != 2:
        rows = build.constant(np.array([-1, x.shape[-1]], np.int64), f"{node.name}.rows")
        name = build.emit("Reshape", [name, rows], f"{x.name}.rows")
    constants = [build.dequantized(tensor, tensor.value) for tensor in (weights, *bias)]
    y = clamped(build, node, build.emit("Gemm", [name, *constants], real_name(node), transB=1))
    if len(x.shape) != 2:
        shape = np.array(build.graph.tensors[node.output].shape, np.int64)
        y = build.emit(
            "Reshape", [y, build.constant(shape, f"{node.name}.shape")], f"{node.output}.shaped"
        )
    return y, False


def _elementwise(op_type: str) -> Emitter:
    def emitter(build: QdqBuilder, node: Node) -> Emitted:
        names, first = _alike(build, node)
        return clamped(build, node, build.emit(op_type, names, real_name(node))), first

    return emitter


def _compare(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, CompareParams)
    op_type = {"less": "Less", "less_or_equal": "LessOrEqual", "equal": "Equal"}[params.kind]
    names, first = _alike(build, node)
    truth = build.emit(op_type, names, f"{node.output}.truth")
    return build.emit("Cast", [truth], real_name(node), to=TensorProto.FLOAT), first


def _where(build: QdqBuilder, node: Node) -> Emitted:
    (condition, *choices), first = _alike(build, node)
    truth = build.emit("Cast", [condition], f"{node.output}.truth", to=TensorProto.BOOL)
    return build.emit("Where", [truth, *choices], real_name(node)), first


def _alike(build: QdqBuilder, node: Node) -> tuple[list[str], bool]:
    """All operands in the order of the first that is computed, and whether it is channels first."""
    tensors = operands(build, node)
    first = next(build.forms[t.name].first for t in tensors if not t.is_const)
    return [
        build.dequantized(t, _in_form(t.value, first))
        if t.is_const
        else build.take(t.name, first=first)
        for t in tensors
    ], first


def _in_form(data: Array, first: bool) -> Array:
    return data.transpose(channels_first(data.ndim)) if first and data.ndim > 2 else data


def _unary(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, UnaryParams)
    form = build.forms[node.inputs[0]]
    return emit_expression(build, node.params.expr, form.name, real_name(node)), form.first


def _prelu(build: QdqBuilder, node: Node) -> Emitted:
    x, slopes = operands(build, node)
    rank = len(x.shape)
    shape = (-1, *([1] * (rank - 2)))
    name = build.constant(slopes.value.astype(np.float32).reshape(shape), slopes.name)
    y = build.emit("PRelu", [build.take(x.name, first=True), name], real_name(node))
    return y, rank > 2


def _reduction(op_type: str) -> Emitter:
    return lambda build, node: _reduce(build, node, op_type)


def _reduce(build: QdqBuilder, node: Node, op_type: str) -> Emitted:
    params = node.params
    assert isinstance(params, (ReduceMeanParams, ReduceMaxParams))
    x = operands(build, node)[0]
    rank = len(x.shape)
    # All spatial axes may go in either order: what is left is N C.
    either = params.keepdims or params.axes == tuple(range(1, rank - 1))
    first = build.forms[x.name].first and either
    places = channels_first(rank) if first else tuple(range(rank))
    axes = build.constant(
        np.array(sorted(places.index(axis) for axis in params.axes), np.int64), f"{node.name}.axes"
    )
    y = build.emit(
        op_type,
        [build.take(x.name, first=first), axes],
        real_name(node),
        keepdims=int(params.keepdims),
    )
    if isinstance(params, ReduceMeanParams):
        y = clamped(build, node, y)
    return y, first and params.keepdims


def _argmax(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, ArgMaxParams)
    index = build.emit(
        "ArgMax" if params.largest else "ArgMin",
        [build.take(node.inputs[0], first=False)],
        f"{node.output}.index",
        axis=-1,
        keepdims=1,
        select_last_index=int(params.last),
    )
    if params.starts:
        shape = build.graph.tensors[node.output].shape
        starts = np.array(params.starts, np.int64).reshape(shape)
        added = [index, build.constant(starts, f"{node.name}.starts")]
        index = build.emit("Add", added, f"{node.output}.index_of_all")
    return build.emit("Cast", [index], real_name(node), to=TensorProto.FLOAT), False


def _matmul(build: QdqBuilder, node: Node) -> Emitted:
    names = [
        build.dequantized(t, t.value) if t.is_const else build.take(t.name, first=False)
        for t in operands(build, node)
    ]
    return clamped(build, node, build.emit("MatMul", names, real_name(node))), False


def _softmax(build: QdqBuilder, node: Node) -> Emitted:
    x = build.take(node.inputs[0], first=False)
    op_type = "LogSoftmax" if node.op == "log_softmax" else "Softmax"
    return build.emit(op_type, [x], real_name(node), axis=-1), False


def _layer_norm(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, LayerNormParams)
    x, *constants = operands(build, node)
    name, label = build.take(x.name, first=False), node.name
    axes = build.constant(np.array([-1], np.int64), f"{label}.axes")
    if params.centered:
        mean = build.emit("ReduceMean", [name, axes], f"{label}.mean")
        name = build.emit("Sub", [name, mean], f"{label}.centered")
    square = build.emit("Mul", [name, name], f"{label}.square")
    variance = build.emit("ReduceMean", [square, axes], f"{label}.variance")
    epsilon = build.constant(np.array(params.epsilon, np.float32), f"{label}.epsilon")
    shifted = build.emit("Add", [variance, epsilon], f"{label}.shifted")
    name = build.emit("Div", [name, build.emit("Sqrt", [shifted], f"{label}.spread")], f"{label}.n")
    channel = LayerNorm().channels(params, (x, *constants))
    gain, offset = (
        build.constant(t.value[channel].astype(np.float32), f"{t.name}.full") for t in constants
    )
    scaled = build.emit("Mul", [name, gain], f"{label}.scaled")
    return build.emit("Add", [scaled, offset], real_name(node)), False


def _pad(build: QdqBuilder, node: Node) -> Emitted:
    params = node.params
    assert isinstance(params, PadParams)
    form = build.forms[node.inputs[0]]
    rank = len(params.before)
    places = channels_first(rank) if form.first else tuple(range(rank))
    pads = [params.before[axis] for axis in places] + [params.after[axis] for axis in places]
    inputs = [
        form.name,
        build.constant(np.array(pads, np.int64), f"{node.name}.pads"),
        build.constant(np.array(params.value, np.float32), f"{node.name}.value"),
    ]
    return build.emit("Pad", inputs, real_name(node)), form.first


def _concat(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, ConcatParams)
    first = build.forms[node.inputs[0]].first
    rank = len(build.graph.tensors[node.output].shape)
    axis = channels_first(rank).index(node.params.axis) if first else node.params.axis
    names = [build.take(name, first=first) for name in node.inputs]
    return build.emit("Concat", names, real_name(node), axis=axis), first


def _reshape(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, ReshapeParams)
    x = operands(build, node)[0]
    # Where all but one axis is 1 the order of the axes does not matter.
    scattered = sum(n > 1 for n in x.shape) > 1
    first = build.forms[x.name].first and not scattered
    shape = build.constant(np.array(node.params.shape, np.int64), f"{node.name}.shape")
    y = build.emit("Reshape", [build.take(x.name, first=first), shape], real_name(node))
    return y, False


def _transpose(build: QdqBuilder, node: Node) -> Emitted:
    assert isinstance(node.params, TransposeParams)
    x = build.take(node.inputs[0], first=False)
    return build.emit("Transpose", [x], real_name(node), perm=node.params.perm), False


EMITTERS: dict[str, Emitter] = {
    "conv2d": emit_conv2d,
    "dense": _dense,
    "add": _elementwise("Add"),
    "sub": _elementwise("Sub"),
    "mul": _elementwise("Mul"),
    "div": _elementwise("Div"),
    "maximum": _elementwise("Max"),
    "minimum": _elementwise("Min"),
    "compare": _compare,
    "where": _where,
    "unary": _unary,
    "prelu": _prelu,
    "max_pool": emit_max_pool,
    "average_pool": emit_average_pool,
    "reduce_mean": _reduction("ReduceMean"),
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_max": _reduction("ReduceMax"),
    "reduce_min": _reduction("ReduceMin"),
    "argmax": _argmax,
    "top_values": emit_top,
    "top_indices": emit_top,
    "matmul": _matmul,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "layer_norm": _layer_norm,
    "lstm": emit_recurrent,
    "gru": emit_recurrent,
    "rnn": emit_recurrent,
    "pad": _pad,
    "concat": _concat,
    "gather": emit_gather,
    "embedding": emit_embedding,
    "resize": emit_resize,
    "reshape": _reshape,
    "transpose": _transpose,
}
"""How each operator is written."""
