"""Normalization of rows by their own mean and variance, in integers.

Source of the semantics: ONNX LayerNormalization, RMSNormalization, InstanceNormalization,
GroupNormalization.  The integer formula is in docs/numerics.md, "Normalization".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, saturate
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Op

NORMAL_BITS = 20
"""Fraction bits of a normalized element."""
OFFSET_BITS = 16
"""Fraction bits of the offsets."""
LEAST_EXPONENT = 6
"""Gains below 2^6 codes keep the fraction bits of 2^6, so that offsets fit 64 bits."""
LONGEST = 2**15


@dataclass(frozen=True)
class LayerNormParams(OpParams):
    """How rows (the last axis) are normalized.

    Attributes:
        epsilon: added to the variance.
        centered: whether the mean is subtracted; without it the root of the mean square is used.
        repeat: elements in a row, one after another, that share gain and offset: element e of the
            flattened tensor has those of channel `e // repeat % channels`.
    """

    epsilon: float
    centered: bool = True
    repeat: int = 1


@dataclass(frozen=True)
class LayerNormConstants:
    """Integers of a normalization; see docs/numerics.md.

    Attributes:
        input_zero_point: of the input.
        epsilon: `rint(2^8 * epsilon * n^2 / scale_in^2)`, at least 1.
        gain: `rint(2^(bits - 20) * gain / scale_out)` per channel, int32.
        offset: `rint(2^16 * (offset / scale_out + zero_point_out + 1/2))` per channel, int32.
        bits: fraction bits of the sum of both.
    """

    input_zero_point: int
    epsilon: int
    gain: IntArray
    offset: IntArray
    bits: int


def rows_are_short(params: LayerNormParams, inputs: Sequence[Tensor]) -> bool:
    """Rows have at most 32,768 elements, so that their sums fit 32 bits."""
    return inputs[0].shape[-1] <= LONGEST


def gains_are_constant(params: LayerNormParams, inputs: Sequence[Tensor]) -> bool:
    """Gain and offset must be constants, one number each per channel."""
    return all(tensor.is_const and len(tensor.shape) == 1 for tensor in inputs[1:])


class LayerNorm(Op[LayerNormParams]):
    """`(x - mean) / sqrt(variance + epsilon) * gain + offset` for every row of the last axis."""

    name: ClassVar[str] = "layer_norm"

    def constraints(self) -> Sequence[Constraint[LayerNormParams]]:
        """Limits of a normalization."""
        return (rows_are_short, gains_are_constant)

    def infer(self, params: LayerNormParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the input's."""
        return inputs[0].shape

    def channels(self, params: LayerNormParams, inputs: Sequence[Tensor]) -> Array:
        """The channel of every element, in the input's shape."""
        number = np.arange(inputs[0].size) // params.repeat % inputs[1].size
        return number.reshape(inputs[0].shape)

    def float_ref(
        self, params: LayerNormParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Normalize real values."""
        x = arrays[0].astype(np.float64)
        if params.centered:
            x = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((x * x).mean(axis=-1, keepdims=True) + params.epsilon)
        channel = self.channels(params, inputs)
        y = x / spread * arrays[1][channel] + arrays[2][channel]
        return np.asarray(y.astype(arrays[0].dtype))

    def prepare(
        self, params: LayerNormParams, inputs: Sequence[Tensor], output: Tensor
    ) -> LayerNormConstants:
        """Make gains and offsets."""
        x, out = inputs[0].qparams, output.qparams
        assert x is not None
        assert out is not None
        n = inputs[0].shape[-1]
        epsilon = min(max(round(256 * params.epsilon * n**2 / x.scalar**2), 1), 2**62)
        gain = inputs[1].value.astype(np.float64) / out.scalar
        offset = inputs[2].value.astype(np.float64) / out.scalar + out.zero_point + 0.5
        _, exponent = math.frexp(float(np.abs(gain).max()))
        bits = NORMAL_BITS + 30 - max(exponent, LEAST_EXPONENT)
        limit = 2**31 - 1
        return LayerNormConstants(
            x.zero_point,
            epsilon,
            np.rint(np.ldexp(gain, bits - NORMAL_BITS)).astype(np.int64),
            np.clip(np.rint(np.ldexp(offset, OFFSET_BITS)), -limit, limit).astype(np.int64),
            bits,
        )

    def int_ref(
        self,
        params: LayerNormParams,
        prepared: LayerNormConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Normalize codes exactly."""
        n = inputs[0].shape[-1]
        x = arrays[0].astype(np.int64) - prepared.input_zero_point
        total = x.sum(axis=-1, keepdims=True) if params.centered else np.zeros((1,) * x.ndim, int)
        variance = n * (x * x).sum(axis=-1, keepdims=True) - total * total
        scaled = (variance.astype(np.uint64) << np.uint64(8)) + np.uint64(prepared.epsilon)
        doublings = np.zeros(scaled.shape, np.int64)
        for _ in range(31):
            small = scaled < np.uint64(2**62)
            scaled = np.where(small, scaled << np.uint64(2), scaled)
            doublings += small
        inverse = (2**61 // square_root(scaled)).astype(np.int64)
        shift = 37 - doublings
        normal = ((x * n - total) * inverse + (1 << (shift - 1))) >> shift
        channel = self.channels(params, inputs)
        acc = normal * prepared.gain[channel]
        acc = acc + (prepared.offset[channel] << (prepared.bits - OFFSET_BITS))
        return saturate(acc >> prepared.bits)


def square_root(x: Array) -> Array:
    """The integer root, rounded down, of numbers from 2^62 to 2^64 - 1 (uint64)."""
    root = np.minimum(np.sqrt(x.astype(np.float64)), 2.0**32 - 1).astype(np.uint64)
    one = np.uint64(1)
    root = np.where(root * root > x, root - one, root)
    larger = np.minimum(root + one, np.uint64(2**32 - 1))
    return np.asarray(np.where(larger * larger <= x, larger, root))
