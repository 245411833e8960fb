"""QuantizeLinear and DequantizeLinear: annotations of the float graph.

A file quantized by pairs of these nodes keeps its scales: a pair around an activation becomes
qparams of the float tensor, a DequantizeLinear of stored weights becomes a float constant with
qparams from which quantization recovers the very same codes.
Source: ONNX operators QuantizeLinear and DequantizeLinear, opset 10 to 25.
"""

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.frontend.limits import LARGEST_NUMBER, SMALLEST_SCALE
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.refit import INT8_LIMITS, refitted
from edgecomp.ir import Array, QParams, Shape
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.expression import X
from edgecomp.ops.unary import UnaryParams

QUANTIZE = "QuantizeLinear"
DEQUANTIZE = "DequantizeLinear"

UINT8_SHIFT = 128
_STORED_CODES = frozenset({"int32", "int8", "uint8", "int4", "uint4", "int2", "uint2"})
_CODE_TYPES = {3: np.int8, 5: np.int16}
"""What the attribute `output_dtype` says, as ONNX numbers element types; it is uint8 else."""


def activation_qparams(node: ImportedNode, build: GraphBuilder) -> QParams:
    """Read scale and zero point of an activation, as those of int8 codes.

    uint8 codes become int8 codes by subtracting 128 from code and zero point alike.

    Raises:
        UnsupportedError: per channel, by blocks, of another dtype, or not constant.
    """
    if node.attrs.get("block_size", 0):
        raise build.unsupported(node, "quantization by blocks", attribute="block_size")
    scale, zero = scale_and_zero(node, build)
    if scale.size != 1:
        raise build.unsupported(
            node, "activations must be quantized per tensor", "quantize only weights per channel"
        )
    if zero.dtype not in {np.dtype(np.int8), np.dtype(np.uint8)}:
        raise build.unsupported(
            node, f"activations are {zero.dtype}; only int8 and uint8 are supported"
        )
    code = int(zero.reshape(())) - (UINT8_SHIFT if zero.dtype == np.uint8 else 0)
    return QParams.per_tensor(float(scale.reshape(())), code)


def dequantized_constant(node: ImportedNode, build: GraphBuilder, codes: Array) -> Constant:
    """Turn stored codes into a float constant with qparams.

    Returns:
        float32 elements; qparams of int8 (or narrower) codes, symmetric where the codes allow;
        none for int32 biases, whose scale is that of input times weights, nor for blocks and
        floating point of 8 bits or 4, which are quantized as real weights are.  Codes that need
        nine bits about their zero point get coarser scales per channel, or are marked to get them.

    Raises:
        UnsupportedError: of a dtype without support.
    """
    scale, zero = scale_and_zero(node, build)
    kind = str(codes.dtype)
    is_real = kind.startswith(("float8", "float4"))
    if not is_real and kind not in _STORED_CODES:
        raise build.unsupported(node, f"constants of {kind} are not supported")
    axis = int(node.attrs.get("axis", 1)) % max(codes.ndim, 1) if scale.size > 1 else None
    number = np.float64 if is_real else np.int64
    centred = codes.astype(number) - spread(node, zero.astype(number), codes.shape)
    data = (centred * spread(node, scale.astype(np.float64), codes.shape)).astype(np.float32)
    if is_real:
        return Constant(data)
    if kind == "int32" or (axis is not None and node.attrs.get("block_size", 0)):
        return Constant(data)
    low, high = INT8_LIMITS
    fits = not codes.size or (centred.min() >= low and centred.max() <= high)
    if fits:
        scales = tuple(float(s) for s in scale.reshape(-1).astype(np.float32))
        return Constant(data, QParams(scales, 0, axis))
    if axis is not None:
        return Constant(data, refitted(scale, centred, axis))
    shift = UINT8_SHIFT if kind == "uint8" else 0
    qparams = QParams.per_tensor(float(scale.reshape(())), int(zero.reshape(-1)[0]) - shift)
    return Constant(data, qparams, is_refitted=True)


def spread(node: ImportedNode, values: Array, shape: Shape) -> Array:
    """Scales or zero points as they are broadcast to `shape`: per tensor, axis or block."""
    if values.size == 1:
        return values.reshape(())
    axis = int(node.attrs.get("axis", 1)) % len(shape)
    block = int(node.attrs.get("block_size", 0))
    if block:
        return np.take(values, np.arange(shape[axis]) // block, axis)
    return values.reshape([-1 if place == axis else 1 for place in range(len(shape))])


def rescaled(build: GraphBuilder, name: str, qparams: QParams, node: ImportedNode) -> str:
    """Return an activation that has `qparams`: `name` itself, or a rescaled copy."""
    given = build.qparams(name)
    if given is not None and given != qparams:
        name = build.emit("unary", [name], UnaryParams(X), node)
    build.annotate(name, qparams)
    return name


def scale_and_zero(node: ImportedNode, build: GraphBuilder) -> tuple[Array, Array]:
    """Read the constant scale and zero point of a node.

    Returns:
        float32 scales, and the zero point in the codes' dtype.

    Raises:
        UnsupportedError: they are computed, or a scale is not positive.
    """
    scale = build.value(node.inputs[1])
    zero: Array | None = np.zeros((), _CODE_TYPES.get(node.attrs.get("output_dtype", 0), np.uint8))
    if node.has_input(2):
        zero = build.value(node.inputs[2])
    elif node.op_type == DEQUANTIZE:
        codes = build.value(node.inputs[0])
        zero = np.zeros((), np.uint8 if codes is None else codes.dtype)
    if scale is None or zero is None:
        raise build.unsupported(
            node, "scale and zero point must be constants", "quantize statically"
        )
    scale = scale.astype(np.float32)  # a float16 would be compared with limits it cannot hold
    if not ((scale >= SMALLEST_SCALE) & (scale <= LARGEST_NUMBER)).all():
        limit = (
            f"a scale is not a positive number between {SMALLEST_SCALE:g} and {LARGEST_NUMBER:g}"
        )
        raise UnsupportedError(node.op_type, node.name, limit)
    return scale, zero
