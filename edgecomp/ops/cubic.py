"""Cubic interpolation: along each axis a product with the constant matrix of its four weights.

Source of the semantics: ONNX Resize, mode cubic; R. Keys, "Cubic convolution interpolation for
digital image processing", 1981.
"""

from collections.abc import Mapping

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode
from edgecomp.ops.dense import emit_dense


def cubic_matrix(at: Array, size: int, a: float, *, inside: bool) -> Array:
    """Weights `(outputs, size)` of the inputs of one axis.

    Args:
        at: the input's coordinate of each output, float64.
        size: length of the input.
        a: the kernel's slope at distance 1.
        inside: whether only inputs that exist count; otherwise the border's stand beside it.

    >>> cubic_matrix(np.array([1.0, 1.5]), 4, -0.5, inside=False)
    array([[ 0.    ,  1.    ,  0.    ,  0.    ],
           [-0.0625,  0.5625,  0.5625, -0.0625]])
    """
    matrix = np.zeros((len(at), size))
    rows = np.arange(len(at))
    first = np.floor(at).astype(np.int64)
    for place in (first - 1, first, first + 1, first + 2):
        d = np.abs(at - place)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((d - 5) * d + 8) * d * a - 4 * a
        weight = np.where(d <= 1, near, far)
        if inside:
            weight = np.where((place >= 0) & (place < size), weight, 0.0)
        np.add.at(matrix, (rows, np.clip(place, 0, size - 1)), weight)
    return matrix / matrix.sum(axis=1, keepdims=True) if inside else matrix


def emit_cubic(node: ImportedNode, build: Builder, axes: Mapping[int, Array]) -> str:
    """Emit the interpolation of the first input to real coordinates by axis."""
    y = node.inputs[0]
    a = float(node.attrs.get("cubic_coeff_a", -0.75))
    inside = bool(node.attrs.get("exclude_outside", 0))
    for axis, at in axes.items():
        shape = build.shape(y)
        order = [other for other in range(len(shape)) if other != axis] + [axis]
        matrix = cubic_matrix(at, shape[axis], a, inside=inside).astype(np.float32)
        moved = build.transpose(y, order, node)
        y = emit_dense(node, build, moved, matrix, "", None)
        y = build.transpose(y, [int(place) for place in np.argsort(order)], node)
    return y
