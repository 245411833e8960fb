"""Product of two matrices, or of batches of them, of which at least one is computed.

`(…, M, K)` times `(…, K, N)` is `(…, M, N)`.  Products with a constant matrix are dense layers.
Source of the semantics: ONNX MatMul, Gemm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.fixedpoint import INT32_MAX, quantize_multiplier
from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, QParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Op, exact_matmul
from edgecomp.ops.binary import ProductConstants, one_is_computed, ranks_are_equal

LONGEST = INT32_MAX // 255**2


@dataclass(frozen=True)
class MatMulParams(OpParams):
    """Fused activation of a product."""

    clamp: Clamp = NO_CLAMP


def sums_fit(params: MatMulParams, inputs: Sequence[Tensor]) -> bool:
    """Sums of at most 33,025 products fit an int32 accumulator."""
    return inputs[0].shape[-1] <= LONGEST


def matrices_fit(params: MatMulParams, inputs: Sequence[Tensor]) -> bool:
    """The columns of the left operand must be the rows of the right one."""
    a, b = inputs[0].shape, inputs[1].shape
    return len(a) >= 2 and a[-1] == b[-2]


def _largest(qparams: QParams) -> int:
    """The largest distance of a code from the zero point."""
    return max(qparams.zero_point + 128, 127 - qparams.zero_point)


class MatMul(Op[MatMulParams]):
    """`y = clamp(a @ b)`."""

    name: ClassVar[str] = "matmul"

    def constraints(self) -> Sequence[Constraint[MatMulParams]]:
        """Limits of a product of matrices."""
        return (ranks_are_equal, one_is_computed, matrices_fit, sums_fit)

    def infer(self, params: MatMulParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: batches broadcast, rows of the left operand, columns of the right."""
        a, b = inputs[0].shape, inputs[1].shape
        batch = np.broadcast_shapes(a[:-2], b[:-2])
        return (*(int(n) for n in batch), a[-2], b[-1])

    def macs(self, params: MatMulParams, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Elements of the output times K."""
        return math.prod(output.shape) * inputs[0].shape[-1]

    def float_ref(
        self, params: MatMulParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Multiply real values."""
        return params.clamp.apply(np.matmul(arrays[0], arrays[1]))

    def prepare(
        self, params: MatMulParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ProductConstants:
        """Make the multiplier.

        Raises:
            InternalError: the accumulator could leave int32.
        """
        a, b, out = inputs[0].qparams, inputs[1].qparams, output.qparams
        assert a is not None
        assert b is not None
        assert out is not None
        multiplier, shift = quantize_multiplier(a.scalar * b.scalar / out.scalar)
        if (inputs[0].shape[-1] * _largest(a) * _largest(b)) << shift > INT32_MAX:
            raise InternalError(f"the scale of {output.name!r} is too small for its sums")
        low, high = params.clamp.codes(out)
        return ProductConstants(
            a.zero_point, b.zero_point, multiplier, shift, out.zero_point, low, high
        )

    def int_ref(
        self,
        params: MatMulParams,
        prepared: ProductConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Multiply codes exactly."""
        a = arrays[0].astype(np.int32) - prepared.zero_point_a
        b = arrays[1].astype(np.int32) - prepared.zero_point_b
        return prepared.finish(exact_matmul(a, b, 255**2 * inputs[0].shape[-1]))
