"""Softmax over the last axis, in fixed point with one table of exponentials.

Source of the semantics: ONNX Softmax.  The integer formula is in docs/numerics.md, "Softmax".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, round_half_up, saturate
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op

MAX_EXPONENT_BITS = 23
HIDDEN_SCORE = -10_000.0
"""What masks have where no share is wanted: `exp` of it is 0 in float32."""


@dataclass(frozen=True)
class SoftmaxParams(OpParams):
    """Softmax has no parameters: it always works along the last axis."""


@dataclass(frozen=True)
class SoftmaxConstants:
    """`q = sat(zero_point + (numerator[d] + sum // 2) // sum)`, `d = max(x) - x`.

    Attributes:
        exponent: `rint(2^bits * exp(-scale_in * d))` for d = 0..255; the sum is over these.
        numerator: `rint(2^bits * exp(-scale_in * d) / scale_out)`.
        output_shift: where `1 / scale_out` is a power of two, its logarithm: the numerator is then
            `exponent[d] << output_shift` and needs no second table; else None.
        zero_point: of the output.
    """

    arithmetic: ClassVar[str] = "edgecomp"

    exponent: IntArray
    numerator: IntArray
    output_shift: int | None
    zero_point: int

    def codes(self, x: Array) -> Array:
        """Compute softmax of codes `(..., classes)` exactly."""
        distance = x.max(axis=-1, keepdims=True) - x
        total = self.exponent[distance].sum(axis=-1, keepdims=True)
        return saturate((self.numerator[distance] + total // 2) // total + self.zero_point)


class Softmax(Op[SoftmaxParams]):
    """`exp(x) / sum(exp(x))` along the last axis."""

    name: ClassVar[str] = "softmax"

    def infer(self, params: SoftmaxParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the input's."""
        return inputs[0].shape

    def float_ref(
        self, params: SoftmaxParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Compute softmax of real values."""
        e = np.exp(arrays[0] - arrays[0].max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))

    def prepare(
        self, params: SoftmaxParams, inputs: Sequence[Tensor], output: Tensor
    ) -> SoftmaxConstants:
        """Make the tables, with as many bits as keep every sum within uint32."""
        x, out = inputs[0].qparams, output.qparams
        assert x is not None
        assert out is not None
        inverse = 1.0 / out.scalar
        count = inputs[0].shape[-1]
        bits = MAX_EXPONENT_BITS
        while (count << bits) > 2**31 or (inverse + count / 2) * 2**bits >= 2**32 - 1:
            bits -= 1
        falling = np.ldexp(np.exp(-x.scalar * np.arange(256.0)), bits)
        exponent = round_half_up(falling)
        mantissa, power = math.frexp(inverse)
        if mantissa == 0.5 and power > 1:
            return SoftmaxConstants(exponent, exponent << (power - 1), power - 1, out.zero_point)
        return SoftmaxConstants(exponent, round_half_up(falling * inverse), None, out.zero_point)

    def int_ref(
        self,
        params: SoftmaxParams,
        prepared: SoftmaxConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Compute softmax of codes exactly."""
        return prepared.codes(arrays[0].astype(np.int64))


def along_last_axis(node: ImportedNode, build: Builder, op: str, params: OpParams) -> str:
    """Emit a layer that works along the last axis for one that works along any.

    Before operator set 13 softmax and its like flatten the axes from `axis` on.
    """
    x = node.inputs[0]
    shape = build.shape(x)
    rank = len(shape)
    if node.opset < 13:
        axis = int(node.attrs.get("axis", 1)) % rank
        flat = (math.prod(shape[:axis]), math.prod(shape[axis:]))
        y = build.emit(op, [build.reshape(x, flat, node)], params, node)
        return build.reshape(y, shape, node)
    axis = int(node.attrs.get("axis", -1)) % rank
    if axis == rank - 1:
        return build.emit(op, [x], params, node)
    perm = [a for a in range(rank) if a != axis] + [axis]
    y = build.emit(op, [build.transpose(x, perm, node)], params, node)
    return build.transpose(y, [int(a) for a in np.argsort(perm)], node)


def from_onnx(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Softmax; before opset 13 it flattens the axes from `axis` on."""
    return along_last_axis(node, build, "softmax", SoftmaxParams())


ONNX: dict[str, Importer] = {"Softmax": from_onnx}
