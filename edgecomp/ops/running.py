"""Sums over the frames of a ring, brought up to date by what comes and what goes.

Layers of `edgecomp.passes.stream`; no model file has them.  Sums are int32 numbers of four codes
each, the lowest digit first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import rescale, saturate
from edgecomp.ir import NO_CLAMP, Array, Clamp, Shape, Tensor
from edgecomp.ops.base import Constraint, Op
from edgecomp.ops.history import RingParams
from edgecomp.ops.movement import Movement
from edgecomp.ops.reduce_mean import MeanConstants, mean_constants

DIGITS = 4


def digits_of(sums: Array) -> Array:
    """Codes `(…, 4 * n)` of int32 numbers `(…, n)`."""
    return np.ascontiguousarray(sums.astype("<i4")).view(np.int8)


def sums_of(codes: Array) -> Array:
    """Int32 numbers `(…, n)` of codes `(…, 4 * n)`, as int64."""
    return np.ascontiguousarray(codes, np.int8).view("<i4").astype(np.int64)


def _codes(tensor: Tensor, array: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    assert tensor.qparams is not None
    return tensor.qparams.quantize(array).astype(np.int8)


def there_is_a_sum_for_each_element(params: RingParams, inputs: Sequence[Tensor]) -> bool:
    """The sums must be those of the elements of a frame; a ring and the frames of a slot follow."""
    sums, ring, frames = inputs
    return (
        sums.size == DIGITS * params.frame_elements
        and ring.shape == params.shape
        and frames.size == params.step * params.frame_elements
    )


class RunningSum(Movement[RingParams]):
    """Sums over a ring's frames once new ones take the place of the oldest.

    Inputs: the sums, a state; the ring, before it is written; the new frames.
    """

    name: ClassVar[str] = "running_sum"

    def constraints(self) -> Sequence[Constraint[RingParams]]:
        """Limits of sums."""
        return (there_is_a_sum_for_each_element,)

    def infer(self, params: RingParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: that of the sums."""
        return inputs[0].shape

    def float_ref(
        self, params: RingParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Add what comes, subtract what goes; sums are of codes, in real numbers too."""
        sums, ring, new = (_codes(t, x) for t, x in zip(inputs, arrays, strict=True))
        count = len(sums)
        last = params.number(inputs[1], ring)
        slot = np.where(last < params.slots - 1, last + 1, 0)
        slots = ring[:, 0, : params.elements].reshape(count, params.slots, params.step, -1)
        old = slots[np.arange(count), slot].astype(np.int64).sum(axis=1)
        come = new.reshape(count, params.step, -1).astype(np.int64).sum(axis=1)
        made = digits_of(sums_of(sums.reshape(count, -1)) + come - old).reshape(sums.shape)
        if arrays[0].dtype.kind != "f":
            return made
        assert inputs[0].qparams is not None
        return inputs[0].qparams.dequantize(made)


@dataclass(frozen=True)
class RunningMeanParams(RingParams):
    """What is averaged.

    Attributes:
        output: shape of the means.
        clamp: fused activation.
    """

    output: Shape = ()
    clamp: Clamp = NO_CLAMP


def means_fit_the_sums(params: RunningMeanParams, inputs: Sequence[Tensor]) -> bool:
    """There must be as many means as sums."""
    return DIGITS * int(np.prod(params.output)) == inputs[0].size


class RunningMean(Op[RunningMeanParams]):
    """Means of a ring's frames from their sums, which are clamped to what codes can add up to."""

    name: ClassVar[str] = "running_mean"

    def constraints(self) -> Sequence[Constraint[RunningMeanParams]]:
        """Limits of means."""
        return (means_fit_the_sums,)

    def infer(self, params: RunningMeanParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape as asked."""
        return params.output

    def _sums(self, params: RunningMeanParams, tensor: Tensor, array: Array) -> Array:
        sums = sums_of(_codes(tensor, array).reshape(len(array), -1))
        limited = np.clip(sums, -128 * params.frames, 127 * params.frames)
        return limited.reshape(len(array), *params.output)

    def float_ref(
        self, params: RunningMeanParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Average real values."""
        x = inputs[0].qparams
        assert x is not None
        sums = self._sums(params, inputs[0], arrays[0])
        return params.clamp.apply(x.scalar * (sums / params.frames - x.zero_point))

    def prepare(
        self, params: RunningMeanParams, inputs: Sequence[Tensor], output: Tensor
    ) -> MeanConstants:
        """Make the constants of a mean over as many elements."""
        return mean_constants(inputs[0], output, params.frames, params.frames, params.clamp)

    def int_ref(
        self,
        params: RunningMeanParams,
        prepared: MeanConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Average codes exactly, as `reduce_mean` does."""
        acc = self._sums(params, inputs[0], arrays[0]) + prepared.start
        scaled = rescale(acc, prepared.multiplier, prepared.shift)
        return saturate(scaled + prepared.zero_point, prepared.low, prepared.high)
