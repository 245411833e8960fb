"""DequantizeLinear of what a network gets as an input: codes, or whole numbers of more bits.

Codes of at most eight bits with one scale are those of the device: the scale becomes the input's.
Those of floating point of eight bits or four choose a row of the table of all of them.  All others
are numbers that a layer multiplies by their scales, one, or one by channel or by block.
"""

import math
from dataclasses import replace

import numpy as np
import onnx

from edgecomp.frontend import qdq
from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ir import Array, QParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.convolutions import emit_per_channel
from edgecomp.ops.embedding import emit_embedding
from edgecomp.ops.expression import X, call
from edgecomp.ops.unary import UnaryParams

_TYPES = onnx.TensorProto.DataType
CODE_TYPES = frozenset(
    number
    for name, number in _TYPES.items()
    if name in {"INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2"}
)
"""Element types of inputs that int8 codes can hold; `onnx` knows some of them since lately."""

TINY_FLOATS = frozenset(
    number for name, number in _TYPES.items() if name.startswith(("FLOAT8", "FLOAT4"))
)
"""Element types of floating point whose codes, as unsigned numbers, are indices of a table."""


def dequantized(node: ImportedNode, build: GraphBuilder, kind: int, *, are_codes: bool) -> str:
    """Import the dequantization of activations.

    Args:
        node: the layer.
        build: the graph in the making.
        kind: element type of the activations, or that of real numbers where it is not known.
        are_codes: whether they are codes; else numbers.

    Returns:
        The activation itself, where it has the scale as its own, or the result of a layer.

    Raises:
        UnsupportedError: its quantization has another scale, or several scales.
    """
    source = node.inputs[0]
    given = build.qparams(source)
    scale, zero = qdq.scale_and_zero(node, build)
    if not are_codes:
        return _restored(node, build, scale, zero)
    is_unsigned = kind == _TYPES.UINT8 or (kind not in CODE_TYPES and zero.dtype == np.uint8)
    shift = qdq.UINT8_SHIFT if is_unsigned else 0
    if scale.size == 1:
        wanted = QParams.per_tensor(float(scale.reshape(())), int(zero.reshape(-1)[0]) - shift)
    else:
        wanted = QParams.per_tensor(1.0, -shift)
    if given is None:
        build.annotate(source, wanted)
    elif scale.size > 1 and given != wanted:
        raise build.unsupported(
            node, "activations must be quantized per tensor", "quantize only weights per channel"
        )
    elif given != wanted:
        raise build.unsupported(
            node, f"its scale or zero point differs from that of {source!r}'s quantization"
        )
    return source if scale.size == 1 else _restored(node, build, scale, zero)


def looked_up(node: ImportedNode, build: GraphBuilder, kind: int) -> str:
    """Import the dequantization of floating point of eight bits or four.

    NaN becomes 0, and what is infinite the largest finite number.
    """
    scale, zero = qdq.scale_and_zero(node, build)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    bits = 4 if "float4" in dtype.name else 8
    numbers = np.arange(2**bits, dtype=np.uint8).view(dtype).astype(np.float64)
    largest = np.abs(numbers[np.isfinite(numbers)]).max()
    numbers = np.nan_to_num(numbers, nan=0.0, posinf=largest, neginf=-largest)
    is_scaled = scale.size == 1
    if is_scaled:
        numbers = (numbers - float(zero.reshape(-1)[0])) * float(scale.reshape(()))
    table = build.constant(numbers.astype(np.float32), f"{node.name}.numbers")
    part = node if is_scaled else replace(node, outputs=())
    y = emit_embedding(replace(part, inputs=(table, node.inputs[0])), build, 0)
    return y if is_scaled else _restored(replace(node, inputs=(y,)), build, scale, zero)


def _restored(node: ImportedNode, build: GraphBuilder, scale: Array, zero: Array) -> str:
    """Emit `(x - zero) * scale`, rounded once."""
    x = node.inputs[0]
    shape = build.shape(x)
    factor, addend = scale.astype(np.float64), -zero.astype(np.float64) * scale.astype(np.float64)
    if factor.size == 1:
        ends = (float(number.reshape(-1)[0]) for number in (zero, scale))
        expr = call("mul", call("sub", X, next(ends)), next(ends))
        return build.emit("unary", [x], UnaryParams(expr), node)
    axis = int(node.attrs.get("axis", 1)) % len(shape)
    if len(shape) == 1 or node.attrs.get("block_size", 0):
        full = [np.broadcast_to(qdq.spread(node, v, shape), shape) for v in (factor, addend)]
        flat = build.reshape(x, (1, math.prod(shape)), node)
        y = emit_per_channel(node, build, flat, full[0].reshape(-1), full[1].reshape(-1))
        return build.reshape(y, shape, node)
    swap = list(range(len(shape)))
    swap[1], swap[axis] = axis, 1
    y = emit_per_channel(node, build, build.transpose(x, swap, node), factor, addend)
    return build.transpose(y, swap, node)
