"""Cases of max pooling."""

from typing import Any

from edgecomp.ops.pool import MaxPoolParams
from tests.support.cases import Act, OpCase


def pool(name: str, x: Act, kernel: tuple[int, int], **params: Any) -> OpCase:
    """Build a case."""
    window = MaxPoolParams(kernel_h=kernel[0], kernel_w=kernel[1], **params)
    return OpCase(name, "max_pool", window, (x,))


CASES = (
    pool("2x2", Act((1, 6, 8, 3)), (2, 2), stride_h=2, stride_w=2),
    pool("2x2-odd-input", Act((1, 7, 5, 3)), (2, 2), stride_h=2, stride_w=2),
    pool("2x2-ceil-mode", Act((1, 7, 5, 3)), (2, 2), stride_h=2, stride_w=2,
         pad_bottom=1, pad_right=1),
    pool("3x3-overlapping", Act((1, 7, 7, 2)), (3, 3), stride_h=2, stride_w=2,
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("3x3-stride-1-same", Act((1, 5, 6, 2)), (3, 3),
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("padding-of-one-side", Act((1, 5, 6, 2)), (3, 2), pad_top=2, pad_right=1),
    pool("1x4", Act((1, 3, 9, 4)), (1, 4), stride_w=3),
    pool("4x1", Act((1, 9, 3, 4)), (4, 1), stride_h=3, pad_bottom=2),
    pool("dilated", Act((1, 9, 8, 3)), (3, 2), dilation_h=2, dilation_w=3),
    pool("dilated-padded", Act((1, 6, 6, 3)), (2, 2), dilation_h=3, dilation_w=2,
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("global", Act((1, 6, 5, 7)), (6, 5)),
    pool("1x1", Act((1, 4, 4, 3)), (1, 1)),
    pool("1x1-stride-2", Act((1, 5, 5, 3)), (1, 1), stride_h=2, stride_w=2),
    pool("1d", Act((1, 12, 3)), (1, 3), stride_w=2),
    pool("1d-padded", Act((1, 11, 3)), (1, 3), stride_w=2, pad_left=1, pad_right=1),
    pool("1d-global", Act((1, 9, 5)), (1, 9)),
    pool("one-pixel", Act((1, 1, 1, 16)), (3, 3),
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    # The padding must never win, not even over the lowest code.
    pool("negative-values-padded", Act((1, 4, 4, 3), -5, -0.0), (3, 3),
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("positive-values-padded", Act((1, 4, 4, 3), 0, 5), (3, 3),
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    # Four channels are a word: words alone, words and a rest, a word of the last ones twice.
    pool("2x2-words", Act((1, 6, 8, 8)), (2, 2), stride_h=2, stride_w=2),
    pool("2x2-odd-channels", Act((1, 7, 5, 7)), (2, 2), stride_h=2, stride_w=2),
    pool("3x3-padded-odd-channels", Act((1, 7, 9, 5)), (3, 3), stride_h=2, stride_w=2,
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("4x5-padded-odd-channels", Act((1, 7, 9, 13)), (4, 5), stride_h=2, stride_w=3,
         pad_top=1, pad_left=2, pad_bottom=2, pad_right=1),
    pool("dilated-padded-words", Act((1, 8, 9, 4)), (3, 2), dilation_h=2, dilation_w=3, stride_w=2,
         pad_top=2, pad_left=1, pad_bottom=1, pad_right=1),
    pool("negative-values-padded-words", Act((1, 4, 5, 6), -5, -0.0), (3, 3),
         pad_top=1, pad_left=1, pad_bottom=1, pad_right=1),
    pool("one-channel", Act((1, 9, 7, 1)), (2, 2), stride_h=2, stride_w=2),
    pool("one-pixel-odd-channels", Act((1, 1, 1, 15)), (2, 2), pad_bottom=1, pad_right=1),
)  # fmt: skip
