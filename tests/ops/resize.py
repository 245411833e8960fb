"""Cases of linear interpolation."""

import numpy as np

from edgecomp.ir import Shape
from edgecomp.ops.resize import ResizeParams
from edgecomp.ops.resizing import coordinates
from tests.support.cases import Act, OpCase


def positions(size: int, out: int, mode: str) -> tuple[float, ...]:
    """Coordinates inside the input."""
    at = coordinates(mode, size, out, out / size)
    assert at is not None
    return tuple(float(p) for p in np.clip(at, 0, size - 1))


def resize(
    name: str,
    shape: Shape,
    sizes: dict[int, int],
    mode: str = "half_pixel",
    span: tuple[float, float] = (-1, 2),
) -> OpCase:
    """Build a case: output lengths by axis."""
    params = ResizeParams(
        tuple(
            positions(n, sizes[axis], mode) if axis in sizes else None
            for axis, n in enumerate(shape)
        )
    )
    return OpCase(name, "resize", params, (Act(shape, *span),))


IMAGE = (1, 4, 5, 3)

CASES = (
    resize("twice", IMAGE, {1: 8, 2: 10}),
    resize("twice-aligned", IMAGE, {1: 8, 2: 10}, "align_corners"),
    resize("twice-asymmetric", IMAGE, {1: 8, 2: 10}, "asymmetric"),
    resize("four-times", IMAGE, {1: 16, 2: 20}),
    resize("uneven", IMAGE, {1: 7, 2: 13}),
    resize("uneven-aligned", IMAGE, {1: 11, 2: 6}, "align_corners"),
    resize("smaller", (1, 9, 8, 3), {1: 4, 2: 3}),
    resize("one-pixel", (1, 1, 1, 20), {1: 3, 2: 2}),
    resize("rows", IMAGE, {1: 9}),
    resize("columns", IMAGE, {2: 9}),
    resize("channels", IMAGE, {3: 5}),
    resize("rows-and-channels", IMAGE, {1: 6, 3: 5}),
    resize("sequence", (1, 7, 4), {1: 19}),
    resize("zero-point-lowest", IMAGE, {1: 8, 2: 10}, span=(0, 1)),
    resize("zero-point-highest", IMAGE, {1: 8, 2: 10}, span=(-1, 0)),
    resize("large-denominators", (1, 7, 11, 2), {1: 61, 2: 97}),
)
