"""LogSoftmax over the last axis, in fixed point: softmax's exponentials and a table of logarithms.

Source of the semantics: ONNX LogSoftmax.  The integer formula is in docs/numerics.md, "LogSoftmax".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, IntArray, round_half_up, saturate
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op
from edgecomp.ops.softmax import along_last_axis

SEGMENTS = 256
"""Of the table of logarithms from 1 to 2, between whose entries is interpolated."""
MAX_FRACTION_BITS = 24


@dataclass(frozen=True)
class LogSoftmaxParams(OpParams):
    """LogSoftmax has no parameters: it always works along the last axis."""


@dataclass(frozen=True)
class LogSoftmaxConstants:
    """`q = sat((addend - multiplier * d - log(sum)) >> fraction_bits)`, `d = max(x) - x`.

    Attributes:
        exponent: `half_up(2^exponent_bits * exp(-scale_in * d))` for d = 0 … 255.
        exponent_bits: see there.
        logarithm: `half_up(2^fraction_bits * l(1 + i / 256) / scale_out)` for i = 0 … 256, with
            `l(x) = ln(x) + 1 / (16 * (256 * x)^2)`.
        doubling: `half_up(2^fraction_bits * ln(2) / scale_out)`.
        multiplier: `rint(2^fraction_bits * scale_in / scale_out)`.
        addend: zero point of the output and the rounding half.
        fraction_bits: of all sums.
    """

    exponent: IntArray
    exponent_bits: int
    logarithm: IntArray
    doubling: int
    multiplier: int
    addend: int
    fraction_bits: int


class LogSoftmax(Op[LogSoftmaxParams]):
    """`x - log(sum(exp(x)))` along the last axis."""

    name: ClassVar[str] = "log_softmax"

    def infer(self, params: LogSoftmaxParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the input's."""
        return inputs[0].shape

    def float_ref(
        self, params: LogSoftmaxParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Compute real values."""
        x = arrays[0] - arrays[0].max(axis=-1, keepdims=True)
        return np.asarray(x - np.log(np.exp(x).sum(axis=-1, keepdims=True)))

    def prepare(
        self, params: LogSoftmaxParams, inputs: Sequence[Tensor], output: Tensor
    ) -> LogSoftmaxConstants:
        """Make the tables, with as many bits as keep every sum within 32.

        Raises:
            InternalError: the output's scale is too small for the input's.
        """
        x, out = inputs[0].qparams, output.qparams
        assert x is not None
        assert out is not None
        count = inputs[0].shape[-1]
        exponent_bits = 31
        while count << exponent_bits > 2**31:
            exponent_bits -= 1
        exponent = round_half_up(np.ldexp(np.exp(-x.scalar * np.arange(256.0)), exponent_bits))
        point = 1 + np.arange(SEGMENTS + 1) / SEGMENTS
        # Chords lie below the arc: the table is raised by half of their largest distance.
        logarithms = (np.log(point) + 1 / (16 * (SEGMENTS * point) ** 2)) / out.scalar
        for bits in range(MAX_FRACTION_BITS, -1, -1):
            multiplier = int(np.rint(np.ldexp(x.scalar / out.scalar, bits)))
            addend = (out.zero_point << bits) + ((1 << bits) >> 1)
            table = round_half_up(np.ldexp(logarithms, bits))
            doubling = int(round_half_up(np.ldexp(np.log(2.0) / out.scalar, bits)))
            largest = abs(addend) + 255 * multiplier + (count.bit_length() + 1) * doubling
            if largest <= INT32_MAX:
                return LogSoftmaxConstants(
                    exponent, exponent_bits, table, doubling, multiplier, addend, bits
                )
        raise InternalError(f"the scale of {output.name!r} is too small for its input's")

    def int_ref(
        self,
        params: LogSoftmaxParams,
        prepared: LogSoftmaxConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Compute codes exactly."""
        k, x = prepared, arrays[0].astype(np.int64)
        distance = x.max(axis=-1, keepdims=True) - x
        total = k.exponent[distance].sum(axis=-1, keepdims=True)
        # Sums are below 2^53, so that frexp is exact.
        power = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
        mantissa = total << (31 - power)
        index = (mantissa >> 23) & 255
        low = k.logarithm[index]
        part = ((k.logarithm[index + 1] - low) * (mantissa & (2**23 - 1))) >> 23
        start = k.addend - (power - k.exponent_bits) * k.doubling - low - part
        return saturate((start - k.multiplier * distance) >> k.fraction_bits)


def _import(node: ImportedNode, build: Builder) -> str:
    """Import ONNX LogSoftmax; before opset 13 it flattens the axes from `axis` on."""
    return along_last_axis(node, build, "log_softmax", LogSoftmaxParams())


ONNX: dict[str, Importer] = {"LogSoftmax": _import}
