"""Cases of average pooling."""

from typing import Any

from edgecomp.ir import Clamp
from edgecomp.ops.pool import AveragePoolParams
from tests.support.binary_cases import as_tflite
from tests.support.cases import Act, OpCase


def pool(
    name: str,
    x: Act,
    kernel: tuple[int, int],
    out: tuple[float, float] | None = None,
    **params: Any,
) -> OpCase:
    """Build a case."""
    window = AveragePoolParams(kernel_h=kernel[0], kernel_w=kernel[1], **params)
    return OpCase(name, "average_pool", window, (x,), out)


AROUND = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}

OWN_CASES = (
    pool("2x2", Act((1, 6, 8, 3)), (2, 2), stride_h=2, stride_w=2),
    pool("3x3", Act((1, 7, 7, 2)), (3, 3), stride_h=2, stride_w=2),
    pool("3x3-padded", Act((1, 6, 5, 3), -1, 2), (3, 3), **AROUND),
    pool("3x3-count-include-pad", Act((1, 6, 5, 3), -1, 2), (3, 3), count_include_pad=True,
         **AROUND),
    pool("stride-2-padded", Act((1, 6, 7, 3), 0, 2), (3, 3), stride_h=2, stride_w=2, **AROUND),
    pool("stride-2-count-include-pad", Act((1, 6, 7, 3), 0, 2), (3, 3), stride_h=2, stride_w=2,
         count_include_pad=True, **AROUND),
    pool("ceil-mode", Act((1, 7, 5, 3)), (2, 2), stride_h=2, stride_w=2,
         pad_bottom=1, pad_right=1),
    pool("padding-of-one-side", Act((1, 5, 6, 2), -2, 1), (3, 2), pad_top=2, pad_right=1),
    pool("padding-of-one-side-included", Act((1, 5, 6, 2), -2, 1), (3, 2), pad_top=2,
         pad_right=1, count_include_pad=True),
    pool("dilated", Act((1, 9, 8, 3)), (3, 2), dilation_h=2, dilation_w=3),
    pool("dilated-padded", Act((1, 6, 6, 3)), (2, 2), dilation_h=3, dilation_w=2, **AROUND),
    pool("global", Act((1, 6, 5, 7)), (6, 5), (-0.5, 0.5)),
    pool("global-8x8", Act((1, 8, 8, 5), 0, 6), (8, 8), (0, 6)),
    pool("global-of-64-channels", Act((1, 8, 8, 64)), (8, 8)),
    pool("global-of-255-pixels", Act((1, 15, 17, 4), 0, 1), (15, 17)),
    pool("global-of-one-pixel", Act((1, 1, 1, 12), -1, 0), (1, 1)),
    pool("1x1", Act((1, 4, 4, 3)), (1, 1)),
    pool("1x5", Act((1, 3, 9, 4)), (1, 5), stride_w=2),
    pool("5x1", Act((1, 9, 3, 4)), (5, 1), stride_h=2, pad_top=2, pad_bottom=2),
    pool("1d", Act((1, 12, 3)), (1, 3), stride_w=2),
    pool("1d-padded", Act((1, 11, 3), 0, 3), (1, 4), stride_w=2, pad_left=2, pad_right=1),
    pool("1d-global", Act((1, 9, 5)), (1, 9)),
    pool("one-pixel", Act((1, 1, 1, 16)), (3, 3), **AROUND),
    pool("one-pixel-count-include-pad", Act((1, 1, 1, 16)), (3, 3), count_include_pad=True,
         **AROUND),
    pool("zero-points-lowest", Act((1, 6, 6, 2), 0, 4), (3, 3), (0, 3), **AROUND),
    pool("zero-points-highest", Act((1, 6, 6, 2), -4, 0), (3, 3), (-3, 0), **AROUND),
    pool("relu", Act((1, 6, 6, 2)), (3, 3), (-0.2, 0.8), clamp=Clamp(0), **AROUND),
    pool("clamp", Act((1, 6, 6, 2)), (2, 2), (-1, 1), clamp=Clamp(-0.3, 0.2)),
    pool("shift", Act((1, 6, 6, 2), -8, 8), (2, 2), (-0.5, 0.5)),
    pool("shift-at-the-border-only", Act((1, 6, 6, 2), -2, 2), (3, 3), (-0.8, 0.8), **AROUND),
    pool("large-window", Act((1, 20, 20, 2)), (17, 17), stride_h=3, stride_w=3),
)  # fmt: skip

CASES = (
    *OWN_CASES,
    # TFLite averages codes as they are: both ends have one scale.
    *(
        as_tflite(pool(name, Act(shape, -1, 2), kernel, (-1, 2), **params))
        for name, shape, kernel, params in (
            ("2x2", (1, 6, 8, 3), (2, 2), {"stride_h": 2, "stride_w": 2}),
            ("3x3-padded", (1, 6, 5, 3), (3, 3), AROUND),
            ("global", (1, 6, 5, 7), (6, 5), {}),
            ("one-pixel", (1, 1, 1, 4), (1, 1), {}),
            ("relu", (1, 6, 6, 3), (2, 3), {"clamp": Clamp(0)}),
        )
    ),
)
