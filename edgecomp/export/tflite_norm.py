"""How normalizations of rows are written in TFLite: in real numbers, between codes."""

import numpy as np

from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.ir import Array, Node
from edgecomp.ops.layer_norm import LayerNormParams


def emit_norm(build: TfliteBuilder, node: Node) -> None:
    """Add the parts of a normalization: mean, variance, one over its root, gain and offset.

    Raises:
        UnsupportedError: it is one of groups of channels.
    """
    params = node.params
    assert isinstance(params, LayerNormParams)
    x_tensor, gain, offset = build.graph.node_inputs(node)
    if params.repeat > 1 or gain.size != x_tensor.shape[-1]:
        raise build.refusal(
            node,
            "gains that differ from row to row (those of groups) are not read back",
            "export QDQ ONNX, or normalize by layers or batches",
        )
    file = build.file
    source, out = build.take(node.inputs[0]), build.activation(node.output)
    shape, name = file.shape_of(source), file.name_of(out)
    rows = (*shape[:-1], 1)
    last = build.numbers(out, ".axes", [len(shape) - 1])

    def part(
        what: str, op: str, inputs: list[int], kind: str = "", *, each_row: bool = False
    ) -> int:
        made = file.tensor(f"{name}.{what}", rows if each_row else shape, "float32")
        keep = {"KeepDims": True} if op == "MEAN" else {}
        return file.operator(op, inputs, made, kind, **keep)

    def constant(what: str, value: Array) -> int:
        return file.constant(f"{name}.{what}", value.astype(np.float32))

    x = part("in", "DEQUANTIZE", [source], "DequantizeOptions")
    if params.centered:
        mean = part("mean", "MEAN", [x, last], "ReducerOptions", each_row=True)
        x = part("centred", "SUB", [x, mean], "SubOptions")
    square = part("square", "MUL", [x, x], "MulOptions")
    variance = part("variance", "MEAN", [square, last], "ReducerOptions", each_row=True)
    epsilon = constant("epsilon", np.array([params.epsilon]))
    sure = part("sure", "ADD", [variance, epsilon], "AddOptions", each_row=True)
    inverse = part("inverse", "RSQRT", [sure], each_row=True)
    y = part("normal", "MUL", [x, inverse], "MulOptions")
    y = part("scaled", "MUL", [y, constant("gain", gain.value)], "MulOptions")
    y = part("real", "ADD", [y, constant("offset", offset.value)], "AddOptions")
    build.requantized(y, out)
