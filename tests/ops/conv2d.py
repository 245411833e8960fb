"""Cases of convolution."""

from dataclasses import replace
from typing import Any

from edgecomp.ir import Clamp
from edgecomp.ops.conv2d import Conv2dParams
from tests.support.cases import Act, Bias, OpCase, Weights


def conv(
    name: str,
    x: Act,
    weights: Weights,
    *,
    bias: float | None = 0.5,
    out: tuple[float, float] | None = None,
    few_codes: bool = False,
    **params: Any,
) -> OpCase:
    """Build a case; the kernel's size comes from the weights' shape."""
    kernel_h, kernel_w = weights.shape[1:3]
    window = Conv2dParams(kernel_h=kernel_h, kernel_w=kernel_w, **params)
    operands = (x, weights) if bias is None else (x, weights, Bias(bias))
    return OpCase(name, "conv2d", window, operands, out, few_codes=few_codes)


def pads(top: int, left: int, bottom: int, right: int) -> dict[str, int]:
    """Name four paddings in ONNX's order."""
    return {"pad_top": top, "pad_left": left, "pad_bottom": bottom, "pad_right": right}


SAME3 = pads(1, 1, 1, 1)

OWN_CASES = (
    # Shapes of the window.
    conv("1x1", Act((1, 4, 5, 6)), Weights((7, 1, 1, 6))),
    conv("3x3", Act((1, 6, 5, 4)), Weights((5, 3, 3, 4))),
    conv("3x3-same", Act((1, 6, 5, 4)), Weights((5, 3, 3, 4)), **SAME3),
    conv("5x3-same", Act((1, 7, 6, 3)), Weights((4, 5, 3, 3)), **pads(2, 1, 2, 1)),
    conv("1x7", Act((1, 3, 9, 2)), Weights((3, 1, 7, 2)), **pads(0, 3, 0, 3)),
    conv("7x1", Act((1, 9, 3, 2)), Weights((3, 7, 1, 2))),
    conv("whole-input", Act((1, 4, 5, 3)), Weights((6, 4, 5, 3))),
    conv("kernel-larger-than-input", Act((1, 2, 2, 3)), Weights((4, 5, 5, 3)), **pads(2, 2, 2, 2)),
    conv("2x2-even", Act((1, 5, 5, 3)), Weights((4, 2, 2, 3))),
    # Strides, dilation, padding of one side only.
    conv("stride-2", Act((1, 7, 8, 4)), Weights((6, 3, 3, 4)), stride_h=2, stride_w=2, **SAME3),
    conv("stride-2-same-upper", Act((1, 8, 8, 3)), Weights((4, 3, 3, 3)),
         stride_h=2, stride_w=2, **pads(0, 0, 1, 1)),
    conv("stride-2-same-lower", Act((1, 8, 8, 3)), Weights((4, 3, 3, 3)),
         stride_h=2, stride_w=2, **pads(1, 1, 0, 0)),
    conv("stride-3x1", Act((1, 9, 5, 2)), Weights((3, 2, 2, 2)), stride_h=3),
    conv("stride-1x2", Act((1, 4, 9, 2)), Weights((3, 2, 2, 2)), stride_w=2),
    conv("1x1-stride-2", Act((1, 5, 6, 4)), Weights((5, 1, 1, 4)), stride_h=2, stride_w=2),
    conv("1x1-padded", Act((1, 3, 3, 4), 0, 1), Weights((5, 1, 1, 4)), **SAME3),
    conv("stride-larger-than-kernel", Act((1, 9, 9, 2)), Weights((3, 2, 2, 2)),
         stride_h=4, stride_w=3),
    conv("dilation-2", Act((1, 7, 8, 3)), Weights((4, 3, 3, 3)), dilation_h=2, dilation_w=2),
    conv("dilation-3x1-same", Act((1, 8, 5, 3)), Weights((4, 3, 3, 3)),
         dilation_h=3, **pads(3, 1, 3, 1)),
    conv("dilation-1x2-stride-2", Act((1, 6, 9, 2)), Weights((3, 2, 3, 2)),
         dilation_w=2, stride_h=2, stride_w=2, **pads(0, 2, 1, 2)),
    # As transposed convolutions come: blocks of channels with windows of their own.
    *(
        conv(f"blocks-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)),
             Weights((n, 2, 2, c), pattern="blocks"), **pads(1, 1, 1, 1))
        for h, w, c, n in ((4, 5, 8, 64), (3, 3, 4, 68), (1, 9, 16, 64))
    ),
    conv("blocks-clamp", Act((1, 5, 5, 8), 0, 1), Weights((64, 2, 2, 8), pattern="blocks"),
         out=(0, 6), clamp=Clamp(0, 6), **pads(1, 1, 1, 1)),
    conv("padding-of-each-side", Act((1, 5, 6, 3)), Weights((4, 3, 3, 3)), **pads(0, 1, 2, 3)),
    conv("padding-top-only", Act((1, 4, 4, 3)), Weights((4, 3, 3, 3)), **pads(2, 0, 0, 0)),
    conv("padding-right-only", Act((1, 4, 4, 3)), Weights((4, 3, 3, 3)), **pads(0, 0, 0, 2)),
    conv("windows-in-the-padding", Act((1, 2, 2, 3), 0, 1), Weights((4, 1, 1, 3)),
         **pads(2, 3, 1, 2)),
    # Small and odd.
    conv("one-pixel", Act((1, 1, 1, 9)), Weights((5, 1, 1, 9))),
    conv("one-pixel-3x3", Act((1, 1, 1, 9)), Weights((5, 3, 3, 9)), **SAME3),
    conv("one-channel-in", Act((1, 5, 5, 1)), Weights((6, 3, 3, 1)), **SAME3),
    conv("one-channel-out", Act((1, 5, 5, 6)), Weights((1, 3, 3, 6)), **SAME3),
    conv("one-of-everything", Act((1, 1, 1, 1)), Weights((1, 1, 1, 1))),
    conv("13-to-17-channels", Act((1, 5, 3, 13)), Weights((17, 3, 3, 13)), **SAME3),
    conv("1x1-33-channels", Act((1, 3, 3, 33)), Weights((9, 1, 1, 33))),
    conv("no-bias", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4)), bias=None, **SAME3),
    # One dimension.
    conv("1d", Act((1, 12, 4)), Weights((5, 1, 3, 4))),
    conv("1d-same-stride-2", Act((1, 13, 3)), Weights((4, 1, 5, 3)),
         stride_w=2, pad_left=2, pad_right=2),
    conv("1d-dilated", Act((1, 15, 2)), Weights((3, 1, 4, 2)), dilation_w=3, pad_left=4),
    conv("1d-depthwise", Act((1, 9, 6)), Weights((6, 1, 3, 1)), groups=6, pad_left=1, pad_right=1),
    conv("per-channel-of-a-vector", Act((1, 7)), Weights((7, 1, 1, 1)), groups=7),
    # Groups.
    conv("groups-2", Act((1, 5, 4, 6)), Weights((8, 3, 3, 3)), groups=2, **SAME3),
    conv("groups-3-one-out", Act((1, 5, 4, 6)), Weights((3, 3, 3, 2)), groups=3, **SAME3),
    conv("groups-4-1x1", Act((1, 3, 4, 8)), Weights((8, 1, 1, 2)), groups=4),
    conv("depthwise-one-row", Act((1, 3, 9, 8)), Weights((8, 3, 3, 1)), groups=8,
         pad_left=1, pad_right=1),
    conv("depthwise", Act((1, 6, 7, 5)), Weights((5, 3, 3, 1)), groups=5, **SAME3),
    conv("depthwise-stride-2", Act((1, 7, 6, 8)), Weights((8, 3, 3, 1)),
         groups=8, stride_h=2, stride_w=2, **pads(0, 0, 1, 1)),
    conv("depthwise-5x5-dilated", Act((1, 9, 9, 3)), Weights((3, 3, 3, 1)),
         groups=3, dilation_h=2, dilation_w=2, **pads(2, 2, 2, 2)),
    conv("depthwise-multiplier-2", Act((1, 5, 5, 3)), Weights((6, 3, 3, 1)), groups=3, **SAME3),
    conv("depthwise-multiplier-3-of-one", Act((1, 5, 5, 1)), Weights((3, 3, 3, 1)), **SAME3),
    conv("depthwise-multiplier-4", Act((1, 4, 5, 2)), Weights((8, 2, 2, 1)), groups=2),
    conv("depthwise-no-bias", Act((1, 5, 5, 4)), Weights((4, 3, 3, 1)), bias=None, groups=4),
    conv("depthwise-1x1", Act((1, 4, 4, 6)), Weights((6, 1, 1, 1)), groups=6),
    conv("depthwise-kernel-10x4", Act((1, 11, 5, 2)), Weights((2, 10, 4, 1)),
         groups=2, stride_h=2, stride_w=2, **pads(4, 1, 5, 1)),
    # Strips, planes and blocks of the cores with the DSP extension: odd sizes, tails, limits.
    *(
        conv(f"depthwise-{h}x{w}x{c}", Act((1, h, w, c)), Weights((c, 3, 3, 1)), groups=c, **SAME3)
        for h, w, c in ((25, 5, 64), (48, 48, 4), (7, 1, 4), (2, 2, 12), (3, 3, 260), (1, 9, 4),
                        (40, 40, 7), (6, 3, 4), (6, 7, 4), (5, 96, 4))
    ),
    *(
        conv(f"depthwise-stride-2-{h}x{w}x{c}", Act((1, h, w, c)), Weights((c, 3, 3, 1)), groups=c,
             stride_h=2, stride_w=2, **pads(0, 0, 1, 1))
        for h, w, c in ((48, 48, 4), (11, 9, 8), (3, 3, 8), (6, 6, 260), (6, 7, 4), (48, 96, 4))
    ),
    conv("depthwise-valid", Act((1, 6, 7, 8)), Weights((8, 3, 3, 1)), groups=8),
    conv("depthwise-stride-2-same", Act((1, 11, 9, 8)), Weights((8, 3, 3, 1)), groups=8,
         stride_h=2, stride_w=2, **SAME3),
    conv("depthwise-clamp", Act((1, 9, 6, 8)), Weights((8, 3, 3, 1)), groups=8,
         clamp=Clamp(-0.4, 0.7), out=(-1, 1), **SAME3),
    conv("depthwise-pads-2", Act((1, 5, 6, 8)), Weights((8, 3, 3, 1)), groups=8,
         **pads(2, 2, 2, 2)),
    conv("depthwise-pads-of-some-sides", Act((1, 5, 6, 8)), Weights((8, 3, 3, 1)), groups=8,
         **pads(0, 2, 1, 0)),
    *(
        conv(f"1x1-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 1, 1, c)))
        for h, w, c, n in ((5, 5, 64, 12), (3, 3, 40, 8), (2, 2, 36, 2), (1, 3, 5, 3),
                           (1, 7, 66, 5), (1, 4, 1, 2))
    ),
    # Pairs of rows and of pixels on Armv7-M: windows of other sizes, strips, few pixels.
    conv("depthwise-5x5", Act((1, 9, 10, 3)), Weights((3, 5, 5, 1)), groups=3,
         **pads(2, 2, 2, 2)),
    conv("depthwise-7x7-stride-2", Act((1, 13, 12, 2)), Weights((2, 7, 7, 1)), groups=2,
         stride_h=2, stride_w=2, **pads(3, 3, 3, 3)),
    conv("depthwise-1x5-stride-1x3", Act((1, 3, 17, 4)), Weights((4, 1, 5, 1)), groups=4,
         stride_w=3),
    conv("depthwise-multiplier-2-strips", Act((1, 11, 40, 2)), Weights((4, 3, 3, 1)), groups=2,
         **SAME3),
    conv("depthwise-extreme-products", Act((1, 5, 6, 4), 0, 1),
         Weights((4, 3, 3, 1), pattern="extreme", uneven=1.0), groups=4, **SAME3),
    conv("2-pixels-padded", Act((1, 1, 2, 3)), Weights((14, 3, 3, 3)), **SAME3),
    conv("5-pixels-padded", Act((1, 5, 1, 3)), Weights((14, 3, 3, 3)), **SAME3),
    # Eight pixels in five words on Armv7-M.
    conv("16-channels-same", Act((1, 4, 5, 3)), Weights((16, 3, 3, 3)), **SAME3),
    conv("17-channels-stride-2-clamp", Act((1, 7, 9, 2)), Weights((17, 3, 3, 2)),
         stride_h=2, stride_w=2, clamp=Clamp(-0.4, 0.7), out=(-1, 1), **pads(1, 1, 0, 0)),
    conv("1x1-27-to-16-extreme-products", Act((1, 3, 4, 27), 0, 1),
         Weights((16, 1, 1, 27), pattern="extreme", uneven=1.0)),
    # Shared code and blocks of the cores with the DSP extension: loops, tails, borders, odd sizes.
    *(
        conv(f"1x1-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 1, 1, c)))
        for h, w, c, n in ((5, 5, 8, 7), (3, 4, 8, 16), (2, 5, 36, 6), (3, 5, 23, 4),
                           (1, 9, 4, 2), (6, 6, 106, 5))
    ),
    *(
        conv(f"winograd-{h}x{w}x{c}", Act((1, h, w, c)), Weights((4, 3, 3, c)), **SAME3)
        for h, w, c in ((4, 9, 32), (3, 8, 48), (5, 17, 16), (4, 12, 24))
    ),
    conv("winograd-valid-clamp", Act((1, 6, 13, 16)), Weights((6, 3, 3, 16)),
         clamp=Clamp(-0.4, 0.7), out=(-1, 1)),
    conv("3x3-same-clamp-8-channels", Act((1, 7, 7, 8)), Weights((5, 3, 3, 8)),
         clamp=Clamp(-0.4, 0.7), out=(-1, 1), **SAME3),
    conv("3x3-pads-4", Act((1, 3, 5, 4)), Weights((3, 3, 3, 4)), **pads(4, 4, 4, 4)),
    conv("2x4-stride-3x2-one-channel", Act((1, 9, 14, 1)), Weights((6, 2, 4, 1)),
         stride_h=3, stride_w=2, **pads(1, 2, 1, 2)),
    *(
        conv(f"depthwise-{h}x{w}x{c}", Act((1, h, w, c)), Weights((c, 3, 3, 1)), groups=c, **SAME3)
        for h, w, c in ((19, 6, 4), (9, 66, 5), (11, 4, 10), (4, 5, 6))
    ),
    conv("depthwise-stride-2-27x29x6", Act((1, 27, 29, 6)), Weights((6, 3, 3, 1)), groups=6,
         stride_h=2, stride_w=2, **SAME3),
    conv("depthwise-stride-2-tiles", Act((1, 13, 62, 4), 0, 6), Weights((4, 3, 3, 1)), groups=4,
         stride_h=2, stride_w=2, **pads(0, 0, 1, 1)),
    # Vectors and blocks of the cores with Helium: loops, tails, borders.
    *(
        conv(f"1x1-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 1, 1, c)))
        for h, w, c, n in ((1, 1, 200, 6), (1, 3, 190, 4), (2, 2, 196, 5), (1, 5, 176, 8),
                           (3, 3, 16, 16), (1, 3, 145, 4), (1, 2, 17, 3))
    ),
    *(
        conv(f"3x3-same-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 3, 3, c)), **SAME3)
        for h, w, c, n in ((5, 4, 16, 4), (3, 7, 24, 5), (1, 1, 20, 3), (4, 3, 32, 8))
    ),
    conv("1d-same-16-channels", Act((1, 40, 16)), Weights((6, 1, 5, 16)), pad_left=2, pad_right=2),
    conv("1d-same-7-channels", Act((1, 45, 7)), Weights((6, 1, 5, 7)), pad_left=2, pad_right=2),
    conv("1d-same-stride-2-24-channels", Act((1, 64, 24)), Weights((5, 1, 5, 24)),
         stride_w=2, pad_left=2, pad_right=2),
    conv("1x3-padded-rows", Act((1, 4, 9, 6)), Weights((5, 1, 3, 6)), **pads(1, 1, 0, 1)),
    conv("1d-32-channels", Act((1, 21, 32)), Weights((5, 1, 3, 32))),
    conv("7x1-of-column-16", Act((1, 23, 1, 16)), Weights((5, 7, 1, 16)), **pads(3, 0, 3, 0)),
    conv("3x5-whole-width", Act((1, 9, 5, 16)), Weights((6, 3, 5, 16))),
    conv("1x1-stride-2-wide", Act((1, 5, 37, 12)), Weights((8, 1, 1, 12)), stride_h=2, stride_w=2),
    conv("1x1-strides-3x2-16-channels", Act((1, 7, 12, 16)), Weights((8, 1, 1, 16)),
         stride_h=3, stride_w=2),
    conv("3x3-stride-2-16-channels", Act((1, 9, 37, 16)), Weights((20, 3, 3, 16)),
         stride_h=2, stride_w=2, **SAME3),
    conv("3x3-same-odd-rows", Act((1, 5, 29, 16)), Weights((9, 3, 3, 16)), **SAME3),
    conv("3x3-valid-pairs-of-columns", Act((1, 5, 8, 64)), Weights((4, 3, 3, 64))),
    conv("5x5-of-16-over-all-borders", Act((1, 2, 3, 16)), Weights((5, 5, 5, 16)),
         **pads(3, 3, 3, 3)),
    *(
        conv(f"1x1-few-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 1, 1, c)))
        for h, w, c, n in ((9, 11, 8, 16), (5, 7, 16, 7), (1, 33, 8, 6), (4, 9, 5, 8),
                           (1, 35, 13, 4), (1, 2, 16, 200), (1, 1, 8, 8))
    ),
    conv("depthwise-wide-8", Act((1, 6, 51, 8)), Weights((8, 3, 3, 1)), groups=8, **SAME3),
    conv("depthwise-stride-2-wide-20", Act((1, 7, 53, 20)), Weights((20, 3, 3, 1)), groups=20,
         stride_h=2, stride_w=2, **SAME3),
    conv("depthwise-130-channels", Act((1, 5, 11, 130)), Weights((130, 3, 3, 1)), groups=130,
         **SAME3),
    # Tiles of 4x4 outputs (Winograd with Helium): one tile, odd tiles, borders, largest sums.
    *(
        conv(f"3x3-same-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 3, 3, c)), **SAME3)
        for h, w, c, n in ((4, 4, 32, 4), (4, 12, 32, 8), (8, 16, 40, 12), (12, 8, 32, 132),
                           (4, 8, 64, 8))
    ),
    conv("3x3-valid-6x10x32", Act((1, 6, 10, 32)), Weights((8, 3, 3, 32))),
    conv("3x3-pads-of-each-side-4x4-tiles", Act((1, 5, 5, 32)), Weights((4, 3, 3, 32)),
         **pads(0, 1, 1, 0)),
    conv("largest-products-of-tiles", Act((1, 6, 6, 64), 0, 1),
         Weights((4, 3, 3, 64), pattern="largest", uneven=1.0), bias=20.0),
    conv("extreme-products-of-tiles", Act((1, 4, 8, 64), 0, 1),
         Weights((4, 3, 3, 64), pattern="extreme", uneven=1.0), **SAME3),
    conv("3x3-of-1-to-odd", Act((1, 13, 13, 1)), Weights((6, 3, 3, 1))),
    conv("3x3-clamp-looped", Act((1, 5, 5, 24)), Weights((6, 3, 3, 24)), out=(-1, 1),
         clamp=Clamp(-0.4, 0.7), **SAME3),
    conv("1x9-wider-than-input", Act((1, 2, 4, 5)), Weights((4, 1, 9, 5)), **pads(0, 4, 0, 4)),
    conv("10x4-stride-2", Act((1, 49, 10, 1)), Weights((8, 10, 4, 1)),
         stride_h=2, stride_w=2, **pads(4, 1, 5, 1)),
    conv("3x3-of-3-same-upper", Act((1, 24, 24, 3)), Weights((8, 3, 3, 3)),
         stride_h=2, stride_w=2, **pads(0, 0, 1, 1)),
    conv("3x3-wide", Act((1, 8, 16, 16), 0, 2), Weights((16, 3, 3, 16)), out=(0, 4), **SAME3),
    # Tiles of 2x2 outputs (Winograd), where speed is asked for.
    *(
        conv(f"3x3-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 3, 3, c)), out=(-2, 2),
             **SAME3)
        for h, w, c, n in ((8, 8, 8, 2), (7, 9, 12, 4), (5, 13, 64, 6), (2, 8, 32, 4),
                           (5, 8, 64, 136), (5, 9, 16, 8))
    ),
    # Tiles of 1, 2 and 4 x 4 outputs: one block, rows and columns computed twice, largest sums.
    *(
        conv(f"3x3-tiles-by-4-{h}x{w}x{c}-to-{n}", Act((1, h, w, c)), Weights((n, 3, 3, c)),
             out=(-2, 2), **SAME3)
        for h, w, c, n in ((4, 8, 4, 4), (7, 11, 32, 32), (9, 18, 12, 8), (3, 19, 16, 12))
    ),
    conv("largest-products-of-tiles-by-4", Act((1, 6, 10, 64), 0, 1),
         Weights((4, 3, 3, 64), pattern="largest", uneven=1.0), bias=20.0),
    conv("3x3-tiles-by-4-lower-right", Act((1, 8, 8, 32), -1, 3), Weights((8, 3, 3, 32)),
         out=(-2, 2), **pads(0, 0, 2, 2)),
    conv("3x3-valid-10-columns", Act((1, 4, 10, 8), -1, 0), Weights((2, 3, 3, 8)), out=(-2, 0.5)),
    conv("3x3-pads-of-each-side", Act((1, 6, 11, 20)), Weights((70, 3, 3, 20)), out=(-2, 2),
         **pads(2, 0, 1, 2)),
    conv("3x3-clamp-8-columns", Act((1, 4, 8, 8)), Weights((4, 3, 3, 8)), clamp=Clamp(-0.3, 0.5),
         out=(-1, 1), **SAME3),
    # Zero points.
    conv("zero-points-lowest", Act((1, 5, 5, 4), 0, 6), Weights((5, 3, 3, 4)),
         out=(0, 4), clamp=Clamp(0), **SAME3),
    conv("zero-points-highest", Act((1, 5, 5, 4), -6, 0), Weights((5, 3, 3, 4)),
         out=(-4, 0), **SAME3),
    conv("zero-points-0", Act((1, 5, 5, 4), -127, 128), Weights((5, 3, 3, 4)), **SAME3),
    conv("zero-points-odd", Act((1, 5, 5, 4), -1, 2.7), Weights((5, 3, 3, 4)),
         out=(-2, 7), **SAME3),
    conv("depthwise-zero-point-lowest", Act((1, 5, 5, 4), 0, 6), Weights((4, 3, 3, 1)),
         groups=4, **SAME3),
    conv("depthwise-zero-point-highest", Act((1, 5, 5, 4), -6, 0), Weights((4, 3, 3, 1)),
         groups=4, **SAME3),
    # Fused activations.
    conv("relu", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4)), clamp=Clamp(0), out=(0, 2)),
    conv("relu-inside-the-range", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4)), clamp=Clamp(0),
         out=(-1, 2)),
    conv("relu6", Act((1, 5, 5, 4), 0, 6), Weights((5, 3, 3, 4)), clamp=Clamp(0, 6), out=(0, 8)),
    conv("clamp-both-sides", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4)), clamp=Clamp(-0.4, 0.7),
         out=(-1, 1)),
    conv("clamp-below-zero", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4)), clamp=Clamp(-0.9, -0.1),
         out=(-1, 1)),
    conv("clamp-to-one-value", Act((1, 4, 4, 3)), Weights((3, 1, 1, 3)), clamp=Clamp(0.3, 0.3),
         out=(-1, 1), few_codes=True),
    # TFLite's roundings are cheaper behind a ReLU at the lowest code: fast kernels of all cores.
    conv("depthwise-relu-20-channels", Act((1, 7, 11, 20)), Weights((20, 3, 3, 1)), groups=20,
         clamp=Clamp(0), out=(0, 3), **SAME3),
    conv("depthwise-relu-stride-2", Act((1, 9, 13, 18)), Weights((18, 3, 3, 1)), groups=18,
         stride_h=2, stride_w=2, clamp=Clamp(0), out=(0, 3), **SAME3),
    conv("3x3-relu-32-channels", Act((1, 8, 8, 32)), Weights((8, 3, 3, 32)), clamp=Clamp(0),
         out=(0, 4), **SAME3),
    conv("1x1-relu-16-to-8", Act((1, 5, 9, 16)), Weights((8, 1, 1, 16)), clamp=Clamp(0),
         out=(0, 3)),
    conv("depthwise-relu6", Act((1, 5, 5, 4), 0, 6), Weights((4, 3, 3, 1)), groups=4,
         clamp=Clamp(0, 6), out=(0, 6), **SAME3),
    # Tables of taps: windows of any size, blocks of 4 and of 16 channels with some left over.
    conv("depthwise-5x5-20-channels", Act((1, 7, 6, 20)), Weights((20, 5, 5, 1)), groups=20,
         **pads(2, 2, 2, 2)),
    conv("depthwise-5x5-stride-2-35-channels", Act((1, 9, 10, 35)), Weights((35, 5, 5, 1)),
         groups=35, stride_h=2, stride_w=2, **pads(1, 2, 2, 2)),
    conv("depthwise-7x7-relu-18-channels", Act((1, 8, 7, 18)), Weights((18, 7, 7, 1)), groups=18,
         clamp=Clamp(0), out=(0, 3), **pads(3, 3, 3, 3)),
    conv("depthwise-4x4-16-channels", Act((1, 6, 7, 16)), Weights((16, 4, 4, 1)), groups=16),
    conv("depthwise-2x4-one-column", Act((1, 6, 4, 8)), Weights((8, 2, 4, 1)), groups=8,
         stride_h=2, stride_w=2, pad_left=1),
    conv("depthwise-3x3-dilated-17-channels", Act((1, 9, 8, 17)), Weights((17, 3, 3, 1)),
         groups=17, dilation_h=2, dilation_w=3, **pads(2, 3, 2, 3)),
    conv("depthwise-5x5-extreme-products", Act((1, 6, 5, 19), 0, 1),
         Weights((19, 5, 5, 1), pattern="extreme", uneven=1.0), groups=19, **pads(2, 2, 2, 2)),
    # Magnitudes.
    conv("shift", Act((1, 5, 5, 4), 0, 6), Weights((5, 3, 3, 4), 3.0), out=(0, 2)),
    conv("shift-in-some-channels", Act((1, 5, 5, 4)), Weights((9, 3, 3, 4), 2.0, uneven=1e4),
         out=(-0.6, 0.6)),
    conv("shift-large", Act((1, 4, 4, 3), -100, 100), Weights((4, 1, 1, 3), 1.0), out=(-0.5, 0.5)),
    conv("depthwise-shift", Act((1, 5, 5, 4)), Weights((4, 3, 3, 1), 5.0), groups=4, out=(-1, 1)),
    conv("tiny-weights", Act((1, 5, 5, 4)), Weights((5, 3, 3, 4), 1e-4), bias=1e-4, **SAME3),
    conv("tiny-next-to-large", Act((1, 5, 5, 4)), Weights((8, 3, 3, 4), uneven=3e4), **SAME3),
    conv("tiny-output", Act((1, 5, 5, 4), -1e-6, 1e-6), Weights((5, 3, 3, 4), 1e-3), bias=1e-9),
    conv("huge-output", Act((1, 5, 5, 4), -3e4, 3e4), Weights((5, 3, 3, 4), 20.0), bias=1e5),
    conv("bias-only-small-products", Act((1, 5, 5, 4)), Weights((16, 3, 3, 4), 3e-4), bias=3.0),
    conv("dead-channels", Act((1, 5, 5, 4)), Weights((6, 3, 3, 4), pattern="dead"), **SAME3),
    conv("all-channels-dead", Act((1, 4, 4, 3)), Weights((1, 3, 3, 3), pattern="dead"),
         few_codes=True),
    conv("extreme-products", Act((1, 4, 4, 32), 0, 1),
         Weights((4, 3, 3, 32), pattern="extreme", uneven=1.0)),
    conv("largest-products", Act((1, 5, 5, 64), 0, 1),
         Weights((3, 3, 3, 64), pattern="largest", uneven=1.0), bias=20.0),
    conv("largest-products-of-an-odd-zero-point", Act((1, 3, 3, 64), -0.3, 1),
         Weights((3, 3, 3, 64), pattern="largest", uneven=1.0)),
    conv("saturating", Act((1, 6, 6, 4)), Weights((5, 3, 3, 4), 2.0), out=(-0.5, 0.5)),
)  # fmt: skip

TFLITE = frozenset(
    """
    1x1 3x3-same stride-2 dilation-2 padding-of-each-side no-bias 1d groups-2 depthwise
    depthwise-multiplier-2 zero-points-lowest zero-points-highest zero-points-odd relu6
    clamp-both-sides shift shift-in-some-channels shift-large tiny-weights tiny-next-to-large
    dead-channels extreme-products largest-products saturating
    relu depthwise-relu6 depthwise-zero-point-lowest depthwise-multiplier-2-strips
    depthwise-stride-2 depthwise-stride-2-27x29x6 depthwise-stride-2-tiles depthwise-19x6x4
    depthwise-9x66x5 depthwise-one-row depthwise-clamp depthwise-5x5 depthwise-130-channels
    depthwise-5x5-20-channels depthwise-7x7-relu-18-channels depthwise-4x4-16-channels
    1x1-3x4x8-to-16 1x1-5x5x8-to-7 1x1-2x5x36-to-6 1x1-3x5x23-to-4 1x1-1x3x190-to-4
    1x1-few-1x33x8-to-6 16-channels-same 17-channels-stride-2-clamp 2-pixels-padded one-pixel
    winograd-5x17x16 3x3-7x9x12-to-4 3x3-same-4x12x32-to-8 3x3-wide 10x4-stride-2
    depthwise-relu-20-channels depthwise-relu-stride-2 3x3-relu-32-channels 1x1-relu-16-to-8
    whole-input blocks-4x5x8-to-64 13-to-17-channels 1x1-27-to-16-extreme-products
    """.split()  # noqa: SIM905 - a list of one word per line helps nobody
)
"""Cases that are computed by TFLite's arithmetic, too."""

CASES = (
    *OWN_CASES,
    *(
        replace(case, name=f"tflite-{case.name}", numerics="tflite")
        for case in OWN_CASES
        if case.name in TFLITE
    ),
)
