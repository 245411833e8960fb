"""Linear interpolation along one or two axes; nearest neighbours are a choice of elements.

The weights of an axis are integers over a common denominator, exactly those of the coordinates
wherever these are fractions of at most 4096 parts.  Source of the semantics: ONNX Resize.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import IntArray, saturate
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Constraint, Op

LARGEST_DENOMINATOR = 4096
MAX_AXES = 2
Positions = tuple[float, ...] | None


@dataclass(frozen=True)
class ResizeParams(OpParams):
    """For each axis the input's coordinate of each output, or None where nothing changes.

    Coordinates lie within the input: between 0 and its length minus 1.
    """

    positions: tuple[Positions, ...]

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that are interpolated."""
        return tuple(axis for axis, given in enumerate(self.positions) if given is not None)


@dataclass(frozen=True)
class AxisWeights:
    """One axis: `y[i] = (x[low] * (denominator - weight) + x[low + 1] * weight) / denominator`.

    Where `weight` is 0, the second neighbour need not exist.
    """

    axis: int
    low: IntArray
    weight: IntArray
    denominator: int


def axis_weights(axis: int, positions: Sequence[float]) -> AxisWeights:
    """Split coordinates into the lower neighbour and the weight of the upper one.

    >>> axis_weights(0, (0.0, 0.25, 0.75)).denominator
    4
    """
    low = np.floor(np.asarray(positions, np.float64)).astype(np.int64)
    parts = [
        Fraction(position - int(start)).limit_denominator(LARGEST_DENOMINATOR)
        for position, start in zip(positions, low, strict=True)
    ]
    denominator = min(lcm(*(part.denominator for part in parts)), LARGEST_DENOMINATOR)
    weight = np.array([round(part * denominator) for part in parts], np.int64)
    whole = weight == denominator
    return AxisWeights(axis, low + whole, np.where(whole, 0, weight), denominator)


def at_most_two_axes(params: ResizeParams, inputs: Sequence[Tensor]) -> bool:
    """At most two axes can be interpolated."""
    return 1 <= len(params.axes) <= MAX_AXES


def coordinates_are_inside(params: ResizeParams, inputs: Sequence[Tensor]) -> bool:
    """Coordinates must lie inside the input."""
    return all(
        min(params.positions[axis] or (-1,)) >= 0
        and max(params.positions[axis] or ()) <= inputs[0].shape[axis] - 1
        for axis in params.axes
    )


class Resize(Op[ResizeParams]):
    """Weighted mean of the nearest two elements along an axis, or four along two axes."""

    name: ClassVar[str] = "resize"
    same_qparams: ClassVar[bool] = True

    def constraints(self) -> Sequence[Constraint[ResizeParams]]:
        """Limits of an interpolation."""
        return (at_most_two_axes, coordinates_are_inside)

    def infer(self, params: ResizeParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the number of coordinates of each axis."""
        return tuple(
            n if given is None else len(given)
            for n, given in zip(inputs[0].shape, params.positions, strict=True)
        )

    def float_ref(
        self, params: ResizeParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Interpolate real values."""
        y = arrays[0]
        for axis in params.axes:
            positions = np.asarray(params.positions[axis], np.float64)
            low = np.floor(positions).astype(np.int64)
            high = np.minimum(low + 1, inputs[0].shape[axis] - 1)
            shape = [1] * y.ndim
            shape[axis + 1] = len(positions)
            part = (positions - low).astype(y.dtype).reshape(shape)
            below, above = (np.take(y, index, axis=axis + 1) for index in (low, high))
            y = below * (1 - part) + above * part
        return y

    def prepare(
        self, params: ResizeParams, inputs: Sequence[Tensor], output: Tensor
    ) -> tuple[AxisWeights, ...]:
        """Make the weights of each axis, in the order of the axes."""
        return tuple(axis_weights(axis, params.positions[axis] or ()) for axis in params.axes)

    def int_ref(
        self,
        params: ResizeParams,
        prepared: tuple[AxisWeights, ...],
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Interpolate codes exactly: one rounding, half up."""
        acc, denominator = arrays[0].astype(np.int64), 1
        for k in prepared:
            shape = [1] * acc.ndim
            shape[k.axis + 1] = len(k.low)
            weight = k.weight.reshape(shape)
            high = np.minimum(k.low + 1, inputs[0].shape[k.axis] - 1)
            below, above = (np.take(acc, index, axis=k.axis + 1) for index in (k.low, high))
            acc = below * (k.denominator - weight) + above * weight
            denominator *= k.denominator
        return saturate((2 * acc + denominator) // (2 * denominator))
