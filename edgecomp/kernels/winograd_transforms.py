"""Winograd's transforms in exact integers, for 3 taps and 1, 2 or 4 outputs.

`A (G g * B d)` is a whole multiple of the direct sum: the rows of `G` are multiplied so that they
are integers and `A` is cheap.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; the points are
0, 1, -1 for two outputs, 0, 1, -1, 2, -2 for four.
"""

from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.conv2d import Conv2dParams


@dataclass(frozen=True)
class Transform:
    """One axis of Winograd's F(m, 3).

    Attributes:
        outputs: m.
        weights: `G`, `(points, 3)`.
        inputs: `B`, `(points, m + 2)`.
        sums: `A`, `(m, points)`.
        factor: how many times the direct sum comes out.
    """

    outputs: int
    weights: Array
    inputs: Array
    sums: Array
    factor: int

    @property
    def points(self) -> int:
        """Products of `outputs` outputs."""
        return len(self.weights)


_THREE = np.eye(3, dtype=np.int64)
DIRECT = Transform(1, _THREE, _THREE, np.ones((1, 3), np.int64), 1)
"""No transform: three products of one output."""

_ONE = np.ones((1, 1), np.int64)
ONE = Transform(1, _ONE, _ONE, _ONE, 1)
"""One row by itself."""

F2 = Transform(
    2,
    np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64),
    np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.int64),
    np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.int64),
    2,
)

F4 = Transform(
    4,
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 12]], np.int64),
    np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        np.int64,
    ),
    np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 2]],
        np.int64,
    ),
    24,
)


def window_refusal(window: Conv2dParams) -> str | None:
    """Say why a window is none that the transforms are for; None if it is."""
    if (window.kernel_h, window.kernel_w, window.groups) != (3, 3, 1):
        return "not 3x3 without groups"
    if (window.stride_h, window.stride_w, window.dilation_h, window.dilation_w) != (1, 1, 1, 1):
        return "stride or dilation"
    return None
