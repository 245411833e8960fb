"""Interpolation by filters: along each axis a product with the constant matrix of their weights.

Cubic interpolation weighs four neighbours.  Where a smoothing resize makes an axis shorter, linear
and cubic filters are as much wider as the axis becomes shorter.

Source of the semantics: ONNX Resize, modes linear and cubic, attribute antialias; R. Keys, "Cubic
convolution interpolation for digital image processing", 1981.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode
from edgecomp.ops.dense import emit_dense


@dataclass(frozen=True)
class Filter:
    """How inputs count by their distance from an output's coordinate.

    Attributes:
        weight: of inputs at distances 0 and more.
        reach: the distance from which on nothing counts.
    """

    weight: Callable[[Array], Array]
    reach: int


LINEAR = Filter(lambda d: np.maximum(1 - d, 0.0), 1)


def cubic(a: float) -> Filter:
    """Keys' filter, whose slope at distance 1 is `a`."""

    def weight(d: Array) -> Array:
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((d - 5) * d + 8) * d * a - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))

    return Filter(weight, 2)


def filter_matrix(at: Array, size: int, kind: Filter, *, inside: bool, scale: float = 1.0) -> Array:
    """Weights `(outputs, size)` of the inputs of one axis.

    Args:
        at: the input's coordinate of each output, float64.
        size: length of the input.
        kind: the filter.
        inside: whether only inputs that exist count; otherwise the border's stand beside it.
        scale: at most 1: by which distances are multiplied, so that the filter is wider.

    >>> filter_matrix(np.array([1.0, 1.5]), 4, cubic(-0.5), inside=False)
    array([[ 0.    ,  1.    ,  0.    ,  0.    ],
           [-0.0625,  0.5625,  0.5625, -0.0625]])
    """
    reach = math.ceil(kind.reach / scale)
    places = np.floor(at).astype(np.int64)[:, None] + np.arange(1 - reach, 1 + reach)
    weight = kind.weight(np.abs(at[:, None] - places) * scale)
    weight = weight / weight.sum(axis=1, keepdims=True)
    if inside:
        weight = np.where((places >= 0) & (places < size), weight, 0.0)
        weight = weight / weight.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(at), size))
    np.add.at(matrix, (np.arange(len(at))[:, None], np.clip(places, 0, size - 1)), weight)
    return matrix


def emit_filters(
    node: ImportedNode,
    build: Builder,
    x: str,
    kind: Filter,
    axes: Mapping[int, tuple[Array, float]],
) -> str:
    """Emit the interpolation of `x` along axes to real coordinates, with the filter's scale."""
    inside = bool(node.attrs.get("exclude_outside", 0))
    for axis, (at, scale) in axes.items():
        shape = build.shape(x)
        order = [other for other in range(len(shape)) if other != axis] + [axis]
        matrix = filter_matrix(at, shape[axis], kind, inside=inside, scale=scale)
        moved = build.transpose(x, order, node)
        x = emit_dense(node, build, moved, matrix.astype(np.float32), "", None)
        x = build.transpose(x, [int(place) for place in np.argsort(order)], node)
    return x
