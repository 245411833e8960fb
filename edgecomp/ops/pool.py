"""Max and average pooling, local and global.

NHWC (or NWC).  Maxima ignore the padding; averages divide by their own count of taps, or by the
whole window where the padding counts.  Source of the semantics: ONNX MaxPool, AveragePool,
GlobalMaxPool, GlobalAveragePool.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, quantize_multipliers, rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, Shape, Tensor
from edgecomp.ops.base import Constraint, Op, as_nhwc, like_rank
from edgecomp.ops.spatial import Window


@dataclass(frozen=True)
class MaxPoolParams(Window):
    """The window of a max pool."""


@dataclass(frozen=True)
class AveragePoolParams(Window):
    """The window of an average pool.

    Attributes:
        count_include_pad: divide by the whole window even where it reaches outside.
        clamp: fused activation.
    """

    count_include_pad: bool = False
    clamp: Clamp = NO_CLAMP


def batch_is_one(params: Window, inputs: Sequence[Tensor]) -> bool:
    """The batch must be 1."""
    return as_nhwc(inputs[0].shape)[0] == 1


def windows_touch_input(params: Window, inputs: Sequence[Tensor]) -> bool:
    """Every window must contain at least one element of the input."""
    _, h, w, _ = as_nhwc(inputs[0].shape)
    return bool(params.counts(h, w).min() > 0)


def _nhwc(inputs: Sequence[Tensor], x: Array) -> Array:
    _, h, w, c = as_nhwc(inputs[0].shape)
    return x.reshape(-1, h, w, c)


def _shaped(inputs: Sequence[Tensor], y: Array) -> Array:
    _, h, w, c = y.shape
    return y.reshape(-1, *like_rank(len(inputs[0].shape), 1, h, w, c))


def _infer(params: Window, inputs: Sequence[Tensor]) -> Shape:
    n, h, w, c = as_nhwc(inputs[0].shape)
    return like_rank(len(inputs[0].shape), n, *params.output_hw(h, w), c)


class MaxPool(Op[MaxPoolParams]):
    """Largest element of each window."""

    name: ClassVar[str] = "max_pool"
    same_qparams: ClassVar[bool] = True

    def constraints(self) -> Sequence[Constraint[MaxPoolParams]]:
        """Limits of a pool."""
        return (batch_is_one, windows_touch_input)

    def infer(self, params: MaxPoolParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape, of the input's rank."""
        return _infer(params, inputs)

    def float_ref(
        self, params: MaxPoolParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Take maxima; the padding is minus infinity."""
        return self._max(params, inputs, arrays[0], -np.inf)

    def prepare(self, params: MaxPoolParams, inputs: Sequence[Tensor], output: Tensor) -> None:
        """Nothing is needed."""

    def int_ref(
        self,
        params: MaxPoolParams,
        prepared: None,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Take maxima of codes; the padding is the lowest code."""
        return self._max(params, inputs, arrays[0], -128)

    def _max(self, params: Window, inputs: Sequence[Tensor], x: Array, lowest: float) -> Array:
        taps = params.taps(params.pad(_nhwc(inputs, x), lowest))
        return _shaped(inputs, taps.max(axis=(3, 4)))


@dataclass(frozen=True)
class AverageConstants:
    """`q = clamp(zero_point + rescale(sum - count * input_zero_point))`.

    Attributes:
        multiplier: indexed by the divisor (0 unused).
        shift: indexed by the divisor.
    """

    arithmetic: ClassVar[str] = "edgecomp"

    input_zero_point: int
    multiplier: IntArray
    shift: IntArray
    zero_point: int
    low: int
    high: int

    def average(self, total: Array, divisors: Array) -> Array:
        """Divide sums of codes, from which the input's zero point was taken."""
        scaled = rescale(total, self.multiplier[divisors], self.shift[divisors])
        return saturate(scaled + self.zero_point, self.low, self.high)


def prepare_average(
    x: Tensor, output: Tensor, largest_count: int, clamp: Clamp
) -> AverageConstants:
    """Make one multiplier for every divisor up to `largest_count`."""
    assert x.qparams is not None
    assert output.qparams is not None
    ratio = x.qparams.scalar / output.qparams.scalar
    multiplier, shift = quantize_multipliers(
        [0.0] + [ratio / count for count in range(1, largest_count + 1)]
    )
    low, high = clamp.codes(output.qparams)
    return AverageConstants(
        x.qparams.zero_point, multiplier, shift, output.qparams.zero_point, low, high
    )


class AveragePool(Op[AveragePoolParams]):
    """Mean of each window."""

    name: ClassVar[str] = "average_pool"

    def constraints(self) -> Sequence[Constraint[AveragePoolParams]]:
        """Limits of a pool."""
        return (batch_is_one, windows_touch_input)

    def infer(self, params: AveragePoolParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape, of the input's rank."""
        return _infer(params, inputs)

    def divisors(self, params: AveragePoolParams, x: Tensor) -> Array:
        """The divisor at each output position, `(oh, ow)`."""
        _, h, w, _ = as_nhwc(x.shape)
        counts = params.counts(h, w).astype(np.int64)
        if params.count_include_pad:
            counts[:] = params.kernel_h * params.kernel_w
        return counts

    def float_ref(
        self, params: AveragePoolParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Average real values."""
        taps = params.taps(params.pad(_nhwc(inputs, arrays[0]), 0.0))
        divisors = self.divisors(params, inputs[0])[:, :, None]
        y = (taps.sum(axis=(3, 4), dtype=np.float64) / divisors).astype(arrays[0].dtype)
        return _shaped(inputs, params.clamp.apply(y))

    def prepare(
        self, params: AveragePoolParams, inputs: Sequence[Tensor], output: Tensor
    ) -> AverageConstants:
        """Make a multiplier per divisor."""
        return prepare_average(inputs[0], output, params.kernel_h * params.kernel_w, params.clamp)

    def int_ref(
        self,
        params: AveragePoolParams,
        prepared: AverageConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Average codes exactly; the padding is the zero point, so it adds nothing."""
        x = _nhwc(inputs, arrays[0].astype(np.int32) - prepared.input_zero_point)
        acc = params.taps(params.pad(x, 0)).sum(axis=(3, 4))
        divisors = self.divisors(params, inputs[0])[:, :, None]
        return _shaped(inputs, prepared.average(acc, divisors))
