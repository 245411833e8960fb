"""TFLite's functions of int16 codes: changes of scale, ReLUs, logistic, tanh, softmax.

Sources: TensorFlow Lite `kernels/internal/reference/requantize.h`, `leaky_relu.h`, `softmax.h`,
`.../integer_ops/logistic.h`, `.../tanh.h`, `kernels/internal/common.h` (`LUTLookup`, the table of
the logistic function); `tensorflow/lite/micro/kernels/logistic_common.cc`, `softmax_common.cc`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.fixedpoint import IntArray
from edgecomp.ir import Array, Clamp, DType, Node, QParams, Tensor
from edgecomp.ops.expression import Expr
from edgecomp.ops.unary import UnaryParams
from edgecomp.requant.int16 import HIGH, LOW, saturate
from edgecomp.requant.tflite import multiply_by_quantized_multiplier, quantize_multiplier_tflite

UNIT_QPARAMS = QParams((2.0**-15,), 0, None, is_wide=True)
"""Of what lies between -1 and 1."""
EXPONENT_RANGE = 10.0
_STEPS = 512


@dataclass(frozen=True)
class Tflite16Rescale:
    """Distances from the zero point, times a factor above 0 and perhaps another one below.

    Factors are `multiplier * 2^(shift - 31)`, rounded twice; shifts to the left are positive.
    `is_narrow` says that the output's codes are int8.
    """

    arithmetic: ClassVar[str] = "tflite"
    kind: ClassVar[str] = "rescale"

    zero_in: int
    zero_point: int
    multiplier: int
    shift: int
    multiplier_below: int
    shift_below: int
    low: int
    high: int
    is_narrow: bool

    def codes(self, x: Array) -> Array:
        """Scale codes."""
        distance = x.astype(np.int64) - self.zero_in
        above = multiply_by_quantized_multiplier(distance, self.multiplier, self.shift)
        below = multiply_by_quantized_multiplier(distance, self.multiplier_below, self.shift_below)
        scaled = np.where(distance >= 0, above, below) + self.zero_point
        kind = np.int8 if self.is_narrow else np.int16
        return np.asarray(np.clip(scaled, self.low, self.high).astype(kind))


@dataclass(frozen=True)
class Tflite16Sigmoid:
    """Logistic function or tanh, by straight lines between `table[i] = sigmoid(i / 24)`.

    Attributes:
        kind: `logistic` or `tanh`, which is `2 * sigmoid(2 x) - 1`.
        multiplier: with `shift` the factor from input codes to steps of `2^-12 / 3`.
        shift: right shift, rounded half up.
        table: 16 bits behind the point.
    """

    arithmetic: ClassVar[str] = "tflite"

    kind: str
    multiplier: int
    shift: int
    table: IntArray

    def codes(self, x: Array) -> Array:
        """Look codes up."""
        half = (1 << self.shift) >> 1
        place = (x.astype(np.int64) * self.multiplier + half) >> self.shift
        bits = 9 if self.kind == "logistic" else 8
        size = np.abs(place)
        index = np.minimum(size >> bits, 254)
        first, second = self.table[index], self.table[index + 1]
        value = (first << bits) + (size & ((1 << bits) - 1)) * (second - first)
        if self.kind == "logistic":
            value = np.where(size >> bits >= 255, 0x7FFF << 10, value)
            mirrored = np.where(place >= 0, value, (1 << 25) - 1 - value)
            return saturate((mirrored + (1 << 9)) >> 10)
        value = np.where(size >> bits >= 255, 0xFFFF << 8, value) - (1 << 23)
        mirrored = np.where(place >= 0, value, -value - 1)
        return saturate((mirrored + (1 << 7)) >> 8)


@dataclass(frozen=True)
class Tflite16Softmax:
    """Exponentials and one reciprocal from tables of 513 codes, a straight line between two.

    Attributes:
        multiplier: with `shift` the factor from distances to steps of `10 / 65535`.
        shift: positive is left.
        exponent: `exp` from -10 to 0, 15 bits behind the point.
        reciprocal: `1 / (1 + x)` from 0 to 1, likewise.
    """

    arithmetic: ClassVar[str] = "tflite"

    multiplier: int
    shift: int
    exponent: Array
    reciprocal: Array

    def codes(self, x: Array) -> Array:
        """Compute softmax of codes `(..., classes)`."""
        x = x.astype(np.int64)
        distance = x - x.max(axis=-1, keepdims=True)
        scaled = multiply_by_quantized_multiplier(distance, self.multiplier, self.shift)
        part = looked_up(self.exponent, np.clip(scaled + HIGH, LOW, HIGH))
        total = part.sum(axis=-1, keepdims=True)
        bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
        normal = ((total << (31 - bits)) + (1 << 13)) >> 14
        share = looked_up(self.reciprocal, np.clip(normal - (3 << 15), LOW, HIGH))
        shift = bits - 1
        half = np.int64(1) << (shift - 1)
        return saturate((part * share + half) >> shift, 0)


def looked_up(table: Array, codes: IntArray) -> IntArray:
    """Codes on the straight lines of a table of 513."""
    index, rest = (codes >> 7) + 256, codes & 127
    first, second = table[index].astype(np.int64), table[index + 1].astype(np.int64)
    return np.asarray(first + (((second - first) * rest + 64) >> 7))


@cache
def sigmoid_table() -> tuple[int, ...]:
    """256 values of the logistic function, `i / 24` apart, as Q0.16.

    Each is raised by half of what the line to the next one lacks in its middle; the last is 1.
    """

    def exact(x: float) -> float:
        return 65536 / (1 + math.exp(-x / 24))

    lacks = (exact(i + 0.5) - (exact(i) + exact(i + 1)) / 2 for i in range(255))
    return (*(math.floor(exact(i) + lack / 2 + 0.5) for i, lack in enumerate(lacks)), 65535)


def function_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    """Make the constants of a function of one code.

    Raises:
        UnsupportedError: TensorFlow Lite for Microcontrollers has no such function of int16 codes.
    """
    params, x = node.params, inputs[0].qparams
    assert isinstance(params, UnaryParams)
    assert x is not None
    if DType.INT8 in {inputs[0].dtype, output.dtype} and params.expr != ("x",):
        raise _refused(node, f"{params.text} between int8 and int16 codes")
    made = _constants(params.expr, x, output)
    if made is None:
        raise _refused(node, params.text)
    return made


def _constants(expr: Expr, x: QParams, output: Tensor) -> Tflite16Rescale | Tflite16Sigmoid | None:
    """Make the constants of one of TFLite's functions, None where it is none."""
    out = output.qparams
    assert out is not None
    ratio = x.scalar / out.scalar
    match expr:
        case ("x",):
            return _rescale(x, output, ratio, ratio, Clamp())
        case ("relu", ("x",)):
            return _rescale(x, output, ratio, ratio, Clamp(0.0))
        case ("clip", ("x",), ("const", least), ("const", most)) if ratio == 1.0:
            return _rescale(x, output, ratio, ratio, Clamp(float(least), float(most)))
        case ("max", ("x",), ("const", least)) if ratio == 1.0:
            return _rescale(x, output, ratio, ratio, Clamp(low=float(least)))
        case ("min", ("x",), ("const", most)) if ratio == 1.0:
            return _rescale(x, output, ratio, ratio, Clamp(high=float(most)))
        case ("leaky_relu", ("x",), ("const", alpha)) if alpha > 0:
            below = x.scalar * float(np.float32(alpha)) / out.scalar
            return _rescale(x, output, ratio, below, Clamp())
        case (("sigmoid" | "tanh") as name, ("x",)) if out == UNIT_QPARAMS:
            return _sigmoid(name, x.scalar)
    return None


def _refused(node: Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        node.op,
        node.name,
        f"TensorFlow Lite for Microcontrollers does not compute {what} on int16 codes at such "
        "scales",
        "convert the model with int8 activations",
    )


def _rescale(
    x: QParams, output: Tensor, above: float, below: float, clamp: Clamp
) -> Tflite16Rescale | None:
    """Make factors; None where a shifted distance could leave int32."""
    out = output.qparams
    assert out is not None
    pairs = (*quantize_multiplier_tflite(above), *quantize_multiplier_tflite(below))
    largest = -x.zero_point - LOW if x.is_wide else 255
    if largest << max(pairs[1], pairs[3], 0) >= 1 << 31:
        return None
    bounds = clamp.codes(out, output.dtype)
    is_narrow = output.dtype is DType.INT8
    return Tflite16Rescale(x.zero_point, out.zero_point, *pairs, *bounds, is_narrow)


def _sigmoid(name: str, scale: float) -> Tflite16Sigmoid | None:
    kind = "logistic" if name == "sigmoid" else "tanh"
    table = np.array(sigmoid_table(), np.int64)
    mantissa, exponent = math.frexp(scale)
    left = 12 + exponent - 1
    if mantissa == 0.5 and left in {0} | ({1} if kind == "tanh" else set()):
        return Tflite16Sigmoid(kind, 3 << left, 0, table)
    factor, shift = scale * 4096.0 * 3.0, 0
    while factor <= 32767.0 / 2.0 and shift <= 30:
        factor, shift = factor * 2.0, shift + 1
    return None if factor > HIGH else Tflite16Sigmoid(kind, int(factor), shift, table)


def softmax_constants(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Tflite16Softmax:
    """Make the tables of a softmax.

    Raises:
        UnsupportedError: its output is not in units of 2^-15, or 32 bits do not hold its numbers.
    """
    assert inputs[0].qparams is not None
    ratio = inputs[0].qparams.scalar / (EXPONENT_RANGE / 65535.0)
    multiplier, shift = quantize_multiplier_tflite(ratio)
    fits = 65535 << max(shift, 0) < 1 << 31 and output.shape[-1] <= 65535
    if output.qparams != UNIT_QPARAMS or not fits:
        raise _refused(node, "softmax")
    return Tflite16Softmax(multiplier, shift, *_softmax_tables())


@cache
def _softmax_tables() -> tuple[Array, Array]:
    exponent = _table(_exponential, -EXPONENT_RANGE, 0.0)
    return exponent, _table(lambda x: np.float32(1.0) / (np.float32(1.0) + x), 0.0, 1.0)


def _table(function: Callable[[Array], Array], least: float, most: float) -> Array:
    """513 codes with 15 bits behind the point, made in float32, so that lines lie in the middle.

    Args:
        function: of float32 numbers, 513 of them at most.
        least: where the table begins.
        most: where it ends.
    """
    one, units = np.float32(1.0), np.float32(65535.0)
    unit_in, unit_out = np.float32(most - least) / units, np.float32(2.0) / units
    first = unit_in * -units if most == 0.0 else np.float32(least)
    last = np.float32(most) if most == 0.0 else unit_in * units
    step = (last - first) / np.float32(_STEPS)
    gain = np.float32(65536.0) / (unit_out * np.float32(32767.0) - unit_out * np.float32(-32768.0))
    number = np.arange(_STEPS, dtype=np.float32)
    here = function(first + number * step) * gain
    middle = _rounded(function(first + number * step + step / np.float32(2.0)) * gain)
    there = function(first + (number + one) * step) * gain
    line = _rounded((there + _rounded(here)) / np.float32(2.0))
    away = _rounded((line - middle) / np.float32(2.0))
    end = _rounded(function(np.atleast_1d(last)) * gain)
    return saturate(np.concatenate([_rounded(here) - away, end]))


def _exponential(x: Array) -> Array:
    """`exp` of float32 numbers, rounded to float32 once."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _rounded(x: Array) -> Array:
    """Whole float32 numbers, ties away from zero."""
    return np.asarray(np.trunc(x + np.copysign(np.float32(0.5), x)), np.float32)
