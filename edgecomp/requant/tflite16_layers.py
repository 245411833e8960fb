"""Layers of TFLite files with int16 activations: their constants, and what the device computes.

Operators that `edgecomp.requant.int16_layers` computes by sums and a factor, or by moving codes,
are computed there, with TFLite's constants.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.ir import Array, DType, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.base import as_nhwc
from edgecomp.ops.pool import AveragePool
from edgecomp.requant import int16_layers
from edgecomp.requant.int16 import LOW, codes_of
from edgecomp.requant.int16_layers import Compute, Prepare
from edgecomp.requant.tflite import quantize_multiplier_tflite
from edgecomp.requant.tflite16 import (
    LEFT_SHIFT,
    Tflite16Average,
    Tflite16Factor,
    Tflite16Sum,
    check_int32,
    factor,
    linear_constants,
    scale_of,
)
from edgecomp.requant.tflite16_functions import function_constants, softmax_constants
from edgecomp.requant.tflite_lstm16 import lstm16_codes, lstm16_constants
from edgecomp.requant.tflite_svdf import is_svdf, svdf_constants

_MOVED = ("pad", "reshape", "transpose", "concat", "gather", "max_pool")


_BETWEEN = ("unary", "conv2d", "dense")
"""Operators that may have int8 codes at one of their ends."""


def _linear(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    made = svdf_constants if is_svdf(inputs, output) else linear_constants
    return made(node, inputs, output)


def _sum(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16Sum:
    params: Any = node.params
    a, b, out = scale_of(inputs[0]), scale_of(inputs[1]), scale_of(output)
    twice = 2.0 * max(a, b)
    pairs = [
        quantize_multiplier_tflite(scale)
        for scale in (a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * out))
    ]
    if pairs[2][1] > 0:
        raise UnsupportedError(
            node.op, node.name, "the scale of its output is far below those of its operands"
        )
    low, high = codes_of(params.clamp, output)
    return Tflite16Sum(
        multiplier_a=pairs[0][0],
        multiplier_b=pairs[1][0],
        multiplier_out=pairs[2][0],
        shift_a=-pairs[0][1],
        shift_b=-pairs[1][1],
        shift_out=-pairs[2][1],
        sign_b=-1 if node.op == "sub" else 1,
        low=low,
        high=high,
    )


def _summed(node: Node, k: Tflite16Sum, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return k.combine(arrays[0], arrays[1])


def _product(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16Factor:
    params: Any = node.params
    ratio = scale_of(inputs[0]) * scale_of(inputs[1]) / scale_of(output)
    made = factor([ratio], output, params.clamp)
    check_int32(node, LOW * LOW, made)
    return made


def _mean(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16Factor:
    """A mean's count is divided into the multiplier."""
    params: Any = node.params
    multiplier, shift = quantize_multiplier_tflite(scale_of(inputs[0]) / scale_of(output))
    count = math.prod(inputs[0].shape[axis] for axis in params.axes)
    if node.op == "reduce_mean":
        room = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << room) // count, shift - room
    bounds = codes_of(params.clamp, output)
    made = Tflite16Factor(np.array([multiplier]), np.array([shift]), *bounds)
    check_int32(node, -LOW * count, made)
    return made


def _average(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16Average:
    params: Any = node.params
    if inputs[0].qparams != output.qparams or (params.count_include_pad and params.has_padding):
        raise UnsupportedError(
            node.op, node.name, "TFLite's average has one scale and leaves padding out"
        )
    return Tflite16Average(*codes_of(params.clamp, output))


def _averaged(
    node: Node, k: Tflite16Average, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    params: Any = node.params
    x = arrays[0].reshape(-1, *as_nhwc(inputs[0].shape)[1:]).astype(np.int64)
    total = params.taps(params.pad(x, 0)).sum(axis=(3, 4))
    divisors = AveragePool().divisors(params, inputs[0])[:, :, None]
    return k.average(total, divisors).reshape(-1, *OPS["average_pool"].infer(params, inputs))


def _function(node: Node, k: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
    return np.asarray(k.codes(arrays[0]))


_COMPUTE = {op: pair[1] for op, pair in int16_layers.LAYERS.items()}

LAYERS: Mapping[str, tuple[Prepare, Compute]] = {
    "conv2d": (_linear, _COMPUTE["conv2d"]),
    "dense": (_linear, _COMPUTE["dense"]),
    "add": (_sum, _summed),
    "sub": (_sum, _summed),
    "mul": (_product, _COMPUTE["mul"]),
    "average_pool": (_average, _averaged),
    "reduce_mean": (_mean, _COMPUTE["reduce_mean"]),
    "reduce_sum": (_mean, _COMPUTE["reduce_mean"]),
    "unary": (function_constants, _function),
    "softmax": (softmax_constants, _function),
    **{op: int16_layers.LAYERS[op] for op in _MOVED},
    "shift": int16_layers.LAYERS["concat"],
    "lstm": (lstm16_constants, lstm16_codes),
}
"""Operators of int16 codes that TensorFlow Lite for Microcontrollers has, as ours."""


def tflite16_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    """Make the constants of a layer.

    Raises:
        UnsupportedError: TensorFlow Lite for Microcontrollers has no such layer of int16 codes.
    """
    if node.op not in LAYERS:
        raise UnsupportedError(
            node.op,
            node.name,
            "TensorFlow Lite for Microcontrollers has no such layer of int16 codes",
            "convert the model with int8 activations",
        )
    mixed = {t.dtype for t in (*inputs, output) if not t.is_const or t.dtype is DType.INT16}
    if mixed != {DType.INT16} and node.op not in _BETWEEN:
        raise UnsupportedError(
            node.op,
            node.name,
            "it has both int8 and int16 codes",
            "convert the model with one type of activations",
        )
    return LAYERS[node.op][0](node, inputs, output)


def tflite16_codes(
    node: Node, prepared: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    """Compute a layer's codes `(samples, *shape)` exactly."""
    return LAYERS[node.op][1](node, prepared, inputs, arrays)
