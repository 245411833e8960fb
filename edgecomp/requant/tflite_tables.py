"""Functions of one code as TFLite computes them: tables of what its fixed point gives.

Functions that are not named here have the table of real numbers, as TFLite's have.
Sources: TensorFlow Lite `kernels/internal/reference/requantize.h`, `leaky_relu.h`, `hard_swish.h`,
`.../integer_ops/logistic.h`, `.../tanh.h`; `tensorflow/lite/micro/kernels/activations_common.cc`,
`hard_swish_common.cc`; gemmlowp `fixedpoint/fixedpoint.h`.
"""

import math
from collections.abc import Sequence

import numpy as np

from edgecomp.fixedpoint import INT32_MAX, IntArray, saturate
from edgecomp.ir import Array, Clamp, Node, QParams, Tensor
from edgecomp.ops.add import AddConstants
from edgecomp.ops.expression import Expr
from edgecomp.ops.unary import UnaryParams
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite
from edgecomp.requant.tflite_fixedpoint import (
    divide_by_power_of_two,
    exp_on_negative_values,
    one_minus_over_one_plus,
    one_over_one_plus,
)
from edgecomp.requant.tflite_layers import sum_constants

LOGISTIC_QPARAMS = QParams.per_tensor(1 / 256, -128)
TANH_QPARAMS = QParams.per_tensor(1 / 128, 0)
CODES = np.arange(-128, 128, dtype=np.int64)
_RELUISH_SCALE = np.float32(3.0) / np.float32(32768.0)
_INT16 = (-(1 << 15), (1 << 15) - 1)


def table_constants(node: Node, inputs: Sequence[Tensor], output: Tensor, own: Array) -> Array:
    """Make the table of a function, by code + 128.

    Args:
        node: the layer.
        inputs: its operand.
        output: what it makes.
        own: the table of real numbers.
    """
    params, x, out = node.params, inputs[0].qparams, output.qparams
    assert isinstance(params, UnaryParams)
    assert x is not None
    assert out is not None
    match params.expr:
        case ("x",):
            return saturate(_rescaled(x, out, x.scalar / out.scalar) + out.zero_point)
        case ("relu", ("x",)):
            factor = x.scalar / out.scalar
            codes = _rescaled(x, out, factor) + out.zero_point
            return saturate(codes, out.zero_point, 127)
        case ("leaky_relu", ("x",), ("const", alpha)):
            return _leaky_relu(x, out, alpha)
        case ("sigmoid", ("x",)) if out == LOGISTIC_QPARAMS:
            return _logistic(x)
        case ("tanh", ("x",)) if out == TANH_QPARAMS:
            return _tanh(x)
        case ("hard_swish", ("x",)):
            return _hard_swish(x, out)
        case ("clip", inner, ("const", low), ("const", high)):
            return _with_number(inner, x, out, Clamp(low, high), own)
    return _with_number(params.expr, x, out, Clamp(), own)


def _rescaled(x: QParams, out: QParams, factor: float) -> IntArray:
    """Every code's distance from the zero point, in codes of the output."""
    return multiply_by_quantized_multiplier(
        CODES - x.zero_point, *quantize_multiplier_tflite(factor)
    )


def _leaky_relu(x: QParams, out: QParams, alpha: float) -> Array:
    above = _rescaled(x, out, x.scalar / out.scalar)
    below = _rescaled(x, out, x.scalar * float(np.float32(alpha)) / out.scalar)
    return saturate(np.where(x.zero_point <= CODES, above, below) + out.zero_point)


def _with_number(expr: Expr, x: QParams, out: QParams, clamp: Clamp, own: Array) -> Array:
    """The table of a sum or a product with a number, which is one code at its size."""
    match expr:
        case ("div", ("x",), ("const", number)) if number:
            return _product(x, out, 1.0 / number, clamp)
        case ("mul", ("x",), ("const", number)) | ("mul", ("const", number), ("x",)):
            return _product(x, out, number, clamp)
        case (("add" | "sub") as op, ("x",), ("const", number)):
            return _sum(op, x, out, number, clamp, is_left=False)
        case (("add" | "sub") as op, ("const", number), ("x",)):
            return _sum(op, x, out, number, clamp, is_left=True)
    return own


def _product(x: QParams, out: QParams, number: float, clamp: Clamp) -> Array:
    size = QParams.per_tensor(abs(number) or 1.0)
    sign = (number > 0) - (number < 0)
    pair = quantize_multiplier_tflite(x.scalar * size.scalar / out.scalar)
    scaled = multiply_by_quantized_multiplier((CODES - x.zero_point) * sign, *pair)
    return saturate(scaled + out.zero_point, *clamp.codes(out))


def _sum(op: str, x: QParams, out: QParams, number: float, clamp: Clamp, *, is_left: bool) -> Array:
    size = QParams.per_tensor(abs(number) or 1.0)
    sign = np.array((number > 0) - (number < 0), np.int64)
    low, high = clamp.codes(out)
    own = AddConstants(0, 0, 0, 0, low, high)
    operands = (size, x) if is_left else (x, size)
    constants = sum_constants(operands, out, own, -1 if op == "sub" else 1)
    return constants.combine(sign, CODES) if is_left else constants.combine(CODES, sign)


def _in_q4(x: QParams) -> tuple[IntArray, IntArray]:
    """Every code's value in Q4.27, and where it lies within that; elsewhere it is 0."""
    multiplier, shift = quantize_multiplier_tflite(x.scalar * (1 << 27))
    distance = CODES - x.zero_point
    radius = math.floor(((1 << 4) - 1) * 2.0**27 / 2.0**shift)
    inside = np.abs(distance) < radius
    scaled = multiply_by_quantized_multiplier(np.where(inside, distance, 0), multiplier, shift)
    return scaled, np.where(inside, 0, np.sign(distance))


def _logistic(x: QParams) -> Array:
    scaled, outside = _in_q4(x)
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(scaled), 4))
    value = np.where(scaled > 0, positive, INT32_MAX - positive)
    value = np.where(scaled == 0, 1 << 30, value)
    codes = divide_by_power_of_two(value, 23) - 128
    return saturate(np.where(outside, outside * 255, codes))


def _tanh(x: QParams) -> Array:
    scaled, outside = _in_q4(x)
    # Twice the value is the same number with one more bit before the point.
    positive = one_minus_over_one_plus(exp_on_negative_values(-np.abs(scaled), 5))
    codes = divide_by_power_of_two(np.sign(scaled) * positive, 24)
    return saturate(np.where(outside, outside * 255, codes))


def _hard_swish(x: QParams, out: QParams) -> Array:
    """Product of the input by a multiplier in [0, 1], both of 16 bits."""
    hires = np.float32(1 / 128) * np.float32(x.scalar)
    factor, exponent = quantize_multiplier_tflite(float(hires / np.float32(out.scalar)))
    slope, reluish_exponent = quantize_multiplier_tflite(float(hires / _RELUISH_SCALE))
    value = (CODES - x.zero_point) << 7
    preshift = _high_multiply(value, _halved(factor))
    reluish = value
    if reluish_exponent > 0:
        reluish = np.clip(reluish << (reluish_exponent - 1), *_INT16)
    reluish = _high_multiply(reluish, _halved(slope))
    if reluish_exponent > 0:
        reluish = np.clip(reluish << 1, *_INT16)
    reluish = divide_by_power_of_two(reluish, max(-reluish_exponent, 0))
    gate = (reluish + (1 << 15)) >> 1
    product = gate * preshift
    # C divides towards zero.
    gated = np.where(product >= 0, product >> 15, -((-product) >> 15))
    return saturate(divide_by_power_of_two(gated, max(-exponent, 0)) + out.zero_point)


def _halved(multiplier: int) -> int:
    """A multiplier of 31 bits as one of 15."""
    return min((multiplier + (1 << 15)) >> 16, _INT16[1])


def _high_multiply(a: IntArray, b: int) -> IntArray:
    """`a * b / 2^15` on 16 bits, rounded to nearest, saturated."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    quotient = np.where(nudged >= 0, nudged >> 15, -((-nudged) >> 15))
    return np.asarray(np.clip(quotient, *_INT16), np.int64)
