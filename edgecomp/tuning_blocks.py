"""More layers on which kernels are measured: blocks of mobile, dense and U-shaped networks.

Inverted residuals widen and narrow by six, and their depthwise windows are 3x3 to 7x7; U-shaped
networks have maps of 64x64, and layers with fewer outputs than inputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Shape3 = tuple[int, int, int]
Convolution = tuple[Shape3, int, tuple[int, int], Mapping[str, Any]]
"""Height, width and channels of the input, output channels, height and width of the window."""

_SIDES = {"pad_left": 1, "pad_right": 1}
_SIDE = {"pad_right": 1}
_TWICE = {"stride_h": 2, "stride_w": 2}


def _around(pad: int) -> dict[str, int]:
    return dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), pad)


CONVOLUTIONS: Sequence[Convolution] = (
    # To widen and to narrow.
    ((32, 32, 8), 48, (1, 1), {}),
    ((16, 16, 16), 96, (1, 1), {}),
    ((8, 8, 32), 192, (1, 1), {}),
    ((4, 4, 56), 336, (1, 1), {}),
    ((32, 32, 48), 8, (1, 1), {}),
    ((16, 16, 96), 16, (1, 1), {}),
    ((8, 8, 192), 32, (1, 1), {}),
    ((4, 4, 336), 56, (1, 1), {}),
    ((4, 4, 112), 256, (1, 1), {}),
    # At the ends of a U, and fewer outputs than inputs.
    ((64, 64, 3), 8, (3, 3), _around(1)),
    ((64, 64, 3), 16, (3, 3), {**_around(1), **_TWICE}),
    ((32, 32, 8), 8, (3, 3), _around(1)),
    ((64, 64, 16), 8, (3, 3), _around(1)),
    ((32, 32, 32), 16, (3, 3), _around(1)),
    ((16, 16, 32), 64, (3, 3), _around(1)),
    ((32, 32, 8), 1, (1, 1), {}),
    # Without padding.
    ((20, 20, 6), 10, (3, 3), {}),
    ((28, 28, 1), 8, (3, 3), {}),
    ((13, 13, 8), 16, (3, 3), {}),
    ((32, 32, 3), 12, (5, 5), {}),
    ((14, 14, 12), 24, (5, 5), {}),
    # Rows and bands of such blocks.
    ((1, 64, 8), 48, (1, 1), {}),
    ((2, 64, 8), 48, (1, 1), {}),
    ((2, 64, 16), 8, (1, 1), {}),
    ((2, 32, 48), 8, (1, 1), {}),
    ((4, 32, 8), 48, (1, 1), {}),
    ((2, 16, 16), 96, (1, 1), {}),
    ((4, 64, 8), 8, (3, 3), _SIDES),
    ((6, 64, 16), 8, (3, 3), _SIDES),
    ((3, 28, 1), 8, (3, 3), {}),
    ((3, 13, 8), 16, (3, 3), {}),
    ((3, 20, 12), 24, (3, 3), {}),
    ((4, 28, 1), 8, (3, 3), {}),
    ((6, 28, 1), 8, (3, 3), {}),
    ((4, 13, 8), 16, (3, 3), {}),
    ((6, 13, 8), 16, (3, 3), {}),
    ((4, 32, 16), 16, (3, 3), {}),
    ((5, 33, 16), 32, (3, 3), _TWICE),
    # Channels as pruning leaves them.
    ((24, 24, 29), 31, (1, 1), {}),
    ((12, 12, 45), 61, (1, 1), {}),
    ((6, 6, 98), 35, (1, 1), {}),
    ((6, 6, 27), 110, (1, 1), {}),
    ((3, 3, 75), 201, (1, 1), {}),
    ((10, 10, 13), 22, (3, 3), _around(1)),
    ((2, 24, 29), 31, (1, 1), {}),
    ((2, 12, 45), 61, (1, 1), {}),
)
DEPTHWISE: Sequence[tuple[Shape3, int, Mapping[str, Any]]] = (
    ((32, 32, 48), 3, _around(1)),
    ((16, 16, 96), 3, _around(1)),
    ((8, 8, 192), 3, _around(1)),
    ((4, 4, 336), 3, _around(1)),
    ((32, 32, 48), 3, {**_around(1), **_TWICE}),
    ((16, 16, 96), 3, {**_around(1), **_TWICE}),
    ((8, 8, 192), 3, {**_around(1), **_TWICE}),
    ((18, 18, 24), 3, {}),
    ((18, 18, 24), 3, _TWICE),
    ((24, 24, 32), 5, _around(2)),
    ((12, 12, 120), 5, _around(2)),
    ((6, 6, 128), 5, _around(2)),
    ((24, 24, 32), 5, {**_around(2), **_TWICE}),
    ((12, 12, 120), 5, {**_around(2), **_TWICE}),
    ((16, 16, 24), 5, {}),
    ((12, 12, 32), 7, _around(3)),
    ((14, 14, 16), 7, {}),
    ((3, 32, 48), 3, _SIDES),
    ((3, 64, 48), 3, {**_SIDE, **_TWICE}),
    ((4, 32, 48), 3, _SIDES),
    ((4, 64, 16), 3, _SIDES),
    ((6, 16, 96), 3, _SIDES),
    ((5, 64, 48), 3, {**_SIDE, **_TWICE}),
    ((5, 32, 96), 3, {**_SIDE, **_TWICE}),
    ((9, 32, 48), 3, {**_SIDE, **_TWICE}),
    ((4, 18, 24), 3, {}),
    ((5, 33, 16), 3, _TWICE),
    ((4, 24, 29), 3, _SIDES),
    ((5, 12, 61), 3, {**_SIDE, **_TWICE}),
    ((12, 12, 61), 3, {**_around(1), **_TWICE}),
    ((24, 24, 31), 3, _around(1)),
    ((5, 24, 32), 5, {"pad_left": 2, "pad_right": 2}),
    ((6, 24, 32), 5, {"pad_left": 2, "pad_right": 2}),
    ((7, 24, 64), 5, {"pad_left": 2, "pad_right": 2, **_TWICE}),
)
"""Height, width and channels; height and width of the window."""
POOLED: Sequence[Shape3] = ((2, 26, 8), (2, 12, 16), (2, 48, 16), (4, 32, 12))
"""Bands that are pooled by 2x2."""
