"""Cases of convolution that are one row, as stages fused by rows have them, and small ones beside.

The input is as high as the window: nothing is padded above or below.
"""

from dataclasses import replace

from edgecomp.ir import Clamp
from tests.ops.conv2d import conv, pads
from tests.support.cases import Act, Weights

SIDES = pads(0, 1, 0, 1)
RIGHT = pads(0, 0, 0, 1)

OWN_CASES = (
    # Pairs of pixels: odd and even rows, strides, wide windows, padding of one side and none.
    conv("row-3x3-17x16", Act((1, 3, 17, 16)), Weights((6, 3, 3, 16)), **SIDES),
    conv("row-3x3-2x4", Act((1, 3, 2, 4)), Weights((4, 3, 3, 4)), **SIDES),
    conv("row-3x3-3x4-zero-point-lowest", Act((1, 3, 3, 4), 0, 6), Weights((4, 3, 3, 4)),
         out=(0, 4), clamp=Clamp(0), **SIDES),
    conv("row-3x3-valid-9x8-zero-point-highest", Act((1, 3, 9, 8), -6, 0), Weights((8, 3, 3, 8)),
         out=(-4, 1)),
    conv("row-3x3-stride-2-16x8", Act((1, 3, 16, 8)), Weights((4, 3, 3, 8)), stride_w=2, **RIGHT),
    conv("row-3x3-stride-2-11x16-clamp", Act((1, 3, 11, 16)), Weights((12, 3, 3, 16)), stride_w=2,
         clamp=Clamp(-0.4, 0.7), out=(-1, 1), **SIDES),
    conv("row-5x5-7x12", Act((1, 5, 7, 12)), Weights((4, 5, 5, 12)), **pads(0, 2, 0, 2)),
    conv("row-1x4-9x20", Act((1, 1, 9, 20)), Weights((8, 1, 4, 20)), **pads(0, 3, 0, 0)),
    conv("row-3x3-8x64", Act((1, 3, 8, 64)), Weights((8, 3, 3, 64)), **SIDES),
    conv("row-3x1-stride-2-9x32", Act((1, 3, 9, 32)), Weights((4, 3, 1, 32)), stride_w=2),
    conv("row-extreme-products", Act((1, 3, 6, 32), 0, 1),
         Weights((4, 3, 3, 32), pattern="extreme", uneven=1.0), **SIDES),
    conv("row-largest-products", Act((1, 3, 5, 32), 0, 1),
         Weights((4, 3, 3, 32), pattern="largest", uneven=1.0), bias=20.0, **SIDES),
    conv("row-tiny-weights", Act((1, 3, 6, 16)), Weights((4, 3, 3, 16), 1e-4), bias=1e-4, **SIDES),
    # Depthwise rows.
    conv("row-depthwise-5x64", Act((1, 3, 5, 64)), Weights((64, 3, 3, 1)), groups=64, **SIDES),
    conv("row-depthwise-valid-7x16", Act((1, 3, 7, 16), 0, 6), Weights((16, 3, 3, 1)), groups=16),
    conv("row-depthwise-stride-2-8x32", Act((1, 3, 8, 32)), Weights((32, 3, 3, 1)), groups=32,
         stride_w=2, **RIGHT),
    conv("row-depthwise-one-pixel", Act((1, 3, 1, 16)), Weights((16, 3, 3, 1)), groups=16,
         **SIDES),
    conv("row-depthwise-clamp", Act((1, 3, 4, 16)), Weights((16, 3, 3, 1)), groups=16,
         clamp=Clamp(-0.4, 0.7), out=(-1, 1), **SIDES),
    conv("row-depthwise-extreme-products", Act((1, 3, 4, 16), 0, 1),
         Weights((16, 3, 3, 1), pattern="extreme", uneven=1.0), groups=16, **SIDES),
    conv("row-depthwise-largest-products", Act((1, 3, 4, 16), 0, 1),
         Weights((16, 3, 3, 1), pattern="largest", uneven=1.0), groups=16, bias=20.0, **SIDES),
    conv("row-one-pixel", Act((1, 3, 3, 16)), Weights((4, 3, 3, 16))),
    conv("row-one-channel", Act((1, 3, 12, 1)), Weights((1, 3, 3, 1)), **SIDES),
    conv("row-1x1-13x8", Act((1, 1, 13, 8)), Weights((16, 1, 1, 8))),
    conv("row-shift", Act((1, 3, 5, 4), 0, 6), Weights((4, 3, 3, 4), 3.0), out=(0, 2), **SIDES),
)  # fmt: skip

TFLITE = frozenset({"row-3x3-17x16", "row-3x3-stride-2-11x16-clamp", "row-extreme-products"})
"""Cases that are computed by TFLite's arithmetic, too."""

CASES = (
    *OWN_CASES,
    *(
        replace(case, name=f"tflite-{case.name}", numerics="tflite")
        for case in OWN_CASES
        if case.name in TFLITE
    ),
)
