"""Dense (fully connected) layer: ONNX Gemm and MatMul by a constant.

Input `(..., I)`, weights OI, output `(..., O)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import NO_CLAMP, Array, Clamp, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Op, exact_matmul
from edgecomp.ops.linear import LinearConstants, prepare_linear


@dataclass(frozen=True)
class DenseParams(OpParams):
    """Fused activation of a dense layer."""

    clamp: Clamp = NO_CLAMP


def weights_are_constant(params: DenseParams, inputs: Sequence[Tensor]) -> bool:
    """The weights and the bias must be constants."""
    return all(tensor.is_const for tensor in inputs[1:])


def weights_are_symmetric(params: DenseParams, inputs: Sequence[Tensor]) -> bool:
    """Weights quantized in the model file must have zero point 0 (symmetric quantization)."""
    return inputs[1].qparams is None or inputs[1].qparams.zero_point == 0


class Dense(Op[DenseParams]):
    """`y[o] = clamp(bias[o] + sum w[o, i] * x[i])` for every row of the input."""

    name: ClassVar[str] = "dense"

    def constraints(self) -> Sequence[Constraint[DenseParams]]:
        """Limits of a dense layer."""
        return (weights_are_constant, weights_are_symmetric)

    def infer(self, params: DenseParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the last axis becomes O."""
        return (*inputs[0].shape[:-1], inputs[1].shape[0])

    def macs(self, params: DenseParams, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Rows times I times O."""
        return math.prod(inputs[0].shape[:-1]) * inputs[1].size

    def float_ref(
        self, params: DenseParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Multiply real values."""
        y = np.matmul(arrays[0], arrays[1].T)
        if len(arrays) > 2:
            y = y + arrays[2]
        return params.clamp.apply(y)

    def prepare(
        self, params: DenseParams, inputs: Sequence[Tensor], output: Tensor
    ) -> LinearConstants:
        """Fold bias and zero point, make the multipliers."""
        bias = inputs[2] if len(inputs) > 2 else None
        return prepare_linear(inputs[0], inputs[1], bias, output, params.clamp)

    def int_ref(
        self,
        params: DenseParams,
        prepared: LinearConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Multiply codes exactly."""
        bound = 128 * int(np.abs(arrays[1].astype(np.int64)).sum(axis=1).max())
        return prepared.finish(exact_matmul(arrays[0], arrays[1].T, bound))


def emit_dense(
    node: ImportedNode, build: Builder, x: str, weights: Array, like: str, bias: Array | None
) -> str:
    """Emit a dense layer with OI `weights`."""
    inputs = [x, build.constant(np.ascontiguousarray(weights), f"{node.name}.weights", "OI", like)]
    if bias is not None:
        inputs.append(build.constant(bias, f"{node.name}.bias", "O"))
    return build.emit("dense", inputs, DenseParams(), node)
