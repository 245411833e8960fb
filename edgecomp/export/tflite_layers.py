"""How layers of products, sums and reductions are written in TFLite."""

from collections.abc import Callable, Sequence
from typing import Any

from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.ir import NO_CLAMP, Clamp, Node, QParams, Tensor
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams

Emitter = Callable[[TfliteBuilder, Node], None]

SOFTMAX_QPARAMS = QParams.per_tensor(1 / 256, -128)
UNIT_QPARAMS = QParams((2.0**-15,), is_wide=True)
"""Of what lies between -1 and 1, in int16 codes."""
LOG_SOFTMAX_QPARAMS = QParams.per_tensor(16 / 256, 127)
MAX_RANK = 5
"""Most axes with which runtimes add and multiply with broadcasting."""


def add_bias(build: TfliteBuilder, bias: Tensor, weights: Tensor, name: str) -> int:
    """Add a bias with as many scales as the weights have."""
    assert bias.qparams is not None
    assert weights.qparams is not None
    q = bias.qparams
    if weights.qparams.axis is None:
        q = QParams(q.scale[:1], 0)
    return build.file.tensor(name, bias.shape, str(bias.value.dtype), q, bias.value)


def _dense(build: TfliteBuilder, node: Node) -> None:
    x, weights, *bias = build.graph.node_inputs(node)
    source = build.take(x.name)
    out = build.activation(node.output)
    label = build.file.name_of(out)
    inputs = [source, build.codes(weights, f"{label}.weights", weights.value)]
    inputs += [add_bias(build, one, weights, f"{label}.bias") for one in bias]
    params: Any = node.params
    build.fused(
        "FULLY_CONNECTED",
        inputs,
        out,
        "FullyConnectedOptions",
        params.clamp,
        KeepNumDims=len(x.shape) > 2,
    )


def in_reals(
    build: TfliteBuilder,
    op: str,
    inputs: Sequence[int],
    out: int,
    kind: str,
    clamp: Clamp,
    others: Sequence[int] = (),
    **options: Any,
) -> None:
    """Add an operator between changes of type, for what it does not compute well on codes.

    Args:
        build: the file in the making.
        op: the operator.
        inputs: codes that become real numbers.
        out: codes that are made.
        kind: name of the table of its options.
        clamp: bounds of the result.
        others: operands behind `inputs` that are no codes.
        options: by the schema's field names.
    """
    file = build.file
    name, q = file.name_of(out), file.qparams_of(out)
    sources = [file.tensor(f"{name}.in", file.shape_of(x), "float32") for x in inputs]
    for x, source in zip(inputs, sources, strict=True):
        file.operator("DEQUANTIZE", [x], source, "DequantizeOptions")
    real = file.tensor(f"{name}.real", file.shape_of(out), "float32")
    file.operator(op, [*sources, *others], real, kind, **options)
    rescaled(build, real, out, clamp.codes(q), q)


def rescaled(build: TfliteBuilder, x: int, out: int, bounds: tuple[int, int], q: QParams) -> None:
    """Add a change of scale, and bounds where codes have any."""
    if bounds == q.limits:
        build.requantized(x, out)
        return
    free = build.inner(out, ".rescaled", build.file.shape_of(out), q)
    build.limited(build.requantized(x, free), out, bounds, q)


def _sum(op: str, kind: str) -> Emitter:
    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        if len(build.graph.tensors[node.output].shape) > MAX_RANK:
            raise build.refusal(node, f"more than {MAX_RANK} axes", "reshape before")
        inputs = [build.take(name) for name in node.inputs]
        build.fused(op, inputs, build.activation(node.output), kind, params.clamp)

    return emitter


def _choice(op: str) -> Emitter:
    """Emitter of MAXIMUM or MINIMUM, whose operands must have the output's scale."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        q = build.qparams(node.output)
        out = build.activation(node.output)
        inputs: list[int] = []
        for name in node.inputs:
            index = build.take(name)
            if build.qparams(name) != q:
                shape = build.file.shape_of(index)
                index = build.requantized(index, build.inner(out, f".{len(inputs)}", shape, q))
            inputs.append(index)
        build.bounded(op, inputs, out, "MaximumMinimumOptions", params.clamp)

    return emitter


def _bounded(op: str, kind: str) -> Emitter:
    """Emitter of an operator of two operands, with bounds behind it."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        params: Any = node.params
        inputs = [build.take(name) for name in node.inputs]
        build.bounded(op, inputs, build.activation(node.output), kind, params.clamp)

    return emitter


def _div(build: TfliteBuilder, node: Node) -> None:
    """A quotient, of real numbers: TFLite's of codes loses small ones."""
    params: Any = node.params
    inputs = [build.take(name) for name in node.inputs]
    out = build.activation(node.output)
    in_reals(build, "DIV", inputs, out, "DivOptions", params.clamp)


def _reduction(op: str) -> Emitter:
    def emitter(build: TfliteBuilder, node: Node) -> None:
        params = node.params
        assert isinstance(params, ReduceMeanParams | ReduceMaxParams)
        clamp = params.clamp if isinstance(params, ReduceMeanParams) else NO_CLAMP
        x = build.take(node.inputs[0])
        out = build.activation(node.output)
        inputs = [x, build.numbers(out, ".axes", params.axes)]
        build.bounded(op, inputs, out, "ReducerOptions", clamp, KeepDims=params.keepdims)

    return emitter


def _fixed(op: str, kind: str, fixed: QParams, **options: Any) -> Emitter:
    """Emitter of an operator whose codes have one scale only; others are computed in reals."""

    def emitter(build: TfliteBuilder, node: Node) -> None:
        fixed_output(build, node, op, kind, fixed, along_axis=True, **options)

    return emitter


def fixed_output(
    build: TfliteBuilder,
    node: Node,
    op: str,
    kind: str,
    fixed: QParams,
    *,
    along_axis: bool = False,
    **options: Any,
) -> None:
    """Add an operator of one input whose output's scale is prescribed."""
    if along_axis:
        x, out = build.take(node.inputs[0]), build.activation(node.output)
    else:
        x, out = build.beside(node.inputs[0], node.output)
    if build.qparams(node.output) in {fixed, UNIT_QPARAMS}:
        build.file.operator(op, [x], out, kind, **options)
        return
    in_reals(build, op, [x], out, kind, NO_CLAMP, **options)


def _argmax(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, ArgMaxParams)
    readers = build.graph.consumers()[node.output]
    if params.last or params.starts or any(reader.op != "reshape" for reader in readers):
        raise build.refusal(
            node,
            "indices are int32 there, which no layer reads, count from 0 in each row, and of equal "
            "elements the first wins",
            "let it be the last layer, and take the first of equal ones",
        )
    x = build.take(node.inputs[0])
    shape = build.file.shape_of(x)
    # TFLite's loses the axis that ours keeps as 1.
    out = build.activation(node.output, shape[:-1], dtype="int32")
    axis = build.numbers(out, ".axis", len(shape) - 1)
    op = "ARG_MAX" if params.largest else "ARG_MIN"
    kind = "ArgMaxOptions" if params.largest else "ArgMinOptions"
    build.file.operator(op, [x, axis], out, kind, OutputType=2)


def _embedding(build: TfliteBuilder, node: Node) -> None:
    raise build.refusal(
        node,
        "codes choose rows of a table there only after they have become int32",
        "export as ONNX (qdq), or look rows up outside of the network",
    )


def _top(build: TfliteBuilder, node: Node) -> None:
    raise build.refusal(
        node,
        "its operator has two results, one of them int32, and TFLite Micro does not have it",
        "export as ONNX (qdq), or end the network at the scores",
    )


LAYERS: dict[str, Emitter] = {
    "embedding": _embedding,
    "dense": _dense,
    "add": _sum("ADD", "AddOptions"),
    "sub": _sum("SUB", "SubOptions"),
    "mul": _sum("MUL", "MulOptions"),
    "div": _div,
    "maximum": _choice("MAXIMUM"),
    "minimum": _choice("MINIMUM"),
    "matmul": _bounded("BATCH_MATMUL", "BatchMatMulOptions"),
    "reduce_mean": _reduction("MEAN"),
    "reduce_sum": _reduction("SUM"),
    "reduce_max": _reduction("REDUCE_MAX"),
    "reduce_min": _reduction("REDUCE_MIN"),
    "softmax": _fixed("SOFTMAX", "SoftmaxOptions", SOFTMAX_QPARAMS, Beta=1.0),
    "log_softmax": _fixed("LOG_SOFTMAX", "LogSoftmaxOptions", LOG_SOFTMAX_QPARAMS),
    "argmax": _argmax,
    "top_values": _top,
    "top_indices": _top,
}
"""By operator: what adds it to the file."""
