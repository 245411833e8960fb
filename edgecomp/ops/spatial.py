"""Geometry shared by convolutions and pools: windows, padding, how ONNX spells them."""

from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array, OpParams
from edgecomp.ops.base import Builder, ImportedNode


@dataclass(frozen=True)
class Window(OpParams):
    """A sliding window over height and width; one-dimensional layers have height 1."""

    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0

    @property
    def has_padding(self) -> bool:
        """Whether any window reaches outside the input."""
        return any((self.pad_top, self.pad_bottom, self.pad_left, self.pad_right))

    @property
    def is_pointwise(self) -> bool:
        """Whether each output reads exactly the input at its own place."""
        return (
            (self.kernel_h, self.kernel_w, self.stride_h, self.stride_w) == (1, 1, 1, 1)
        ) and not self.has_padding

    def output_hw(self, height: int, width: int) -> tuple[int, int]:
        """Output height and width for an input of `height` x `width`."""
        span_h = self.dilation_h * (self.kernel_h - 1) + 1
        span_w = self.dilation_w * (self.kernel_w - 1) + 1
        return (
            (height + self.pad_top + self.pad_bottom - span_h) // self.stride_h + 1,
            (width + self.pad_left + self.pad_right - span_w) // self.stride_w + 1,
        )

    def pad(self, x: Array, value: float) -> Array:
        """Pad an NHWC array with `value`."""
        if not self.has_padding:
            return x
        widths = ((0, 0), (self.pad_top, self.pad_bottom), (self.pad_left, self.pad_right), (0, 0))
        return np.pad(x, widths, constant_values=value)

    def taps(self, padded: Array) -> Array:
        """Return the windows of a padded NHWC array as a view `(n, oh, ow, kh, kw, c)`."""
        span_h = self.dilation_h * (self.kernel_h - 1) + 1
        span_w = self.dilation_w * (self.kernel_w - 1) + 1
        view = np.lib.stride_tricks.sliding_window_view(padded, (span_h, span_w), axis=(1, 2))
        view = view[
            :, :: self.stride_h, :: self.stride_w, :, :: self.dilation_h, :: self.dilation_w
        ]
        return np.moveaxis(view, 3, 5)

    def counts(self, height: int, width: int) -> Array:
        """Number of taps inside the input for each output position, `(oh, ow)`."""
        taps = self.taps(self.pad(np.ones((1, height, width, 1)), 0.0))
        return np.asarray(taps.sum(axis=(3, 4))[0, ..., 0])


def import_window(
    node: ImportedNode, build: Builder, kernel: tuple[int, ...], spatial: tuple[int, ...]
) -> tuple[Window, bool]:
    """Read kernel, strides, dilations and padding of an ONNX Conv or pool.

    Args:
        node: the node, with `strides`, `dilations`, `pads`, `auto_pad`, `ceil_mode`.
        build: for errors.
        kernel: kernel size per spatial axis (one or two).
        spatial: input size per spatial axis.

    Returns:
        The window, and whether `ceil_mode` made it reach further than the padding that was asked.
    """
    rank = len(kernel)
    if rank not in {1, 2}:
        raise build.unsupported(node, f"{rank} spatial axes", "use 1-D or 2-D layers")
    strides = tuple(node.attrs.get("strides") or [1] * rank)
    dilations = tuple(node.attrs.get("dilations") or [1] * rank)
    pads = list(node.attrs.get("pads") or [0] * (2 * rank))
    auto_pad = node.attrs.get("auto_pad", "NOTSET") or "NOTSET"
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
        for axis in range(rank):
            out = -(-spatial[axis] // strides[axis])
            total = max(0, (out - 1) * strides[axis] + spans[axis] - spatial[axis])
            small, large = total // 2, total - total // 2
            begin, end = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
            pads[axis], pads[axis + rank] = begin, end
    elif auto_pad == "VALID":
        pads = [0] * (2 * rank)
    if min(pads) < 0:
        raise build.unsupported(node, "negative padding", "crop with Slice before", "pads")
    extended = False
    if node.attrs.get("ceil_mode", 0):
        for axis in range(rank):
            reach = spatial[axis] + pads[axis] + pads[axis + rank] - spans[axis]
            missing = -reach % strides[axis]
            out = (reach + missing) // strides[axis]
            # A last window that would begin in the end padding is dropped (as PyTorch does).
            if missing and out * strides[axis] < spatial[axis] + pads[axis]:
                pads[axis + rank] += missing
                extended = True
    for axis in range(rank):
        if spatial[axis] + pads[axis] + pads[axis + rank] < spans[axis]:
            raise build.unsupported(node, "the kernel is larger than its padded input")
    if rank == 1:
        kernel, strides, dilations = (1, *kernel), (1, *strides), (1, *dilations)
        pads = [0, pads[0], 0, pads[1]]
    window = Window(
        kernel_h=int(kernel[0]), kernel_w=int(kernel[1]),
        stride_h=int(strides[0]), stride_w=int(strides[1]),
        dilation_h=int(dilations[0]), dilation_w=int(dilations[1]),
        pad_top=int(pads[0]), pad_left=int(pads[1]),
        pad_bottom=int(pads[2]), pad_right=int(pads[3]),
    )  # fmt: skip
    return window, extended


def channels_last(node: ImportedNode, build: Builder, name: str) -> str:
    """Emit the transpose that brings an N C (D...) tensor to channels-last order."""
    rank = len(build.shape(name))
    if rank <= 2:
        return name
    return build.transpose(name, (0, *range(2, rank), 1), node)


def channels_first(node: ImportedNode, build: Builder, name: str) -> str:
    """Emit the transpose that brings a channels-last tensor back to N C (D...) order."""
    rank = len(build.shape(name))
    if rank <= 2:
        return name
    return build.transpose(name, (0, rank - 1, *range(1, rank - 1)), node)
