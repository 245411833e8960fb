"""Geometry shared by convolutions and pools: windows, padding, how ONNX spells them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class SpatialAxis:
    """One axis that windows slide along.

    Attributes:
        size: of the input.
        kernel: taps of a window.
        stride: between windows.
        dilation: between taps.
        before: padding.
        after: padding behind the input.
        extra: what the last window reaches further than the padding behind, by `ceil_mode`.
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    extra: int = 0

    @property
    def span(self) -> int:
        """Elements from a window's first tap to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def length(self) -> int:
        """Number of windows."""
        reach = self.size + self.before + self.after + self.extra - self.span
        return reach // self.stride + 1

    @property
    def taps(self) -> list[list[int]]:
        """For each window the places of its taps inside the input."""
        begins = range(-self.before, self.length * self.stride - self.before, self.stride)
        last = self.dilation * self.kernel
        return [
            [place for place in range(i, i + last, self.dilation) if 0 <= place < self.size]
            for i in begins
        ]

    @property
    def is_point(self) -> bool:
        """Whether each window is the element at its own place."""
        return self.kernel == self.stride == 1 and self.length == self.size and not self.before

    @property
    def tiles(self) -> bool:
        """Whether inputs one behind the other have the windows of each one."""
        padded = self.before or self.after or self.extra
        return not padded and self.span <= self.stride and self.size % self.stride == 0


_POINT = SpatialAxis(1, 1)


def window_of(axes: Sequence[SpatialAxis]) -> Window:
    """The window of one or two axes."""
    rows, columns = (_POINT, *axes)[-2:]
    return Window(
        kernel_h=rows.kernel, kernel_w=columns.kernel,
        stride_h=rows.stride, stride_w=columns.stride,
        dilation_h=rows.dilation, dilation_w=columns.dilation,
        pad_top=rows.before, pad_bottom=rows.after + rows.extra,
        pad_left=columns.before, pad_right=columns.after + columns.extra,
    )  # fmt: skip


def import_axes(
    node: ImportedNode, build: Builder, kernel: Sequence[int], spatial: Sequence[int]
) -> list[SpatialAxis]:
    """Read kernel, strides, dilations and padding of an ONNX Conv or pool.

    Args:
        node: the node, with `strides`, `dilations`, `pads`, `auto_pad`, `ceil_mode`.
        build: for errors.
        kernel: kernel size per spatial axis.
        spatial: input size per spatial axis.
    """
    rank = len(kernel)
    strides = tuple(node.attrs.get("strides") or [1] * rank)
    dilations = tuple(node.attrs.get("dilations") or [1] * rank)
    pads = list(node.attrs.get("pads") or [0] * (2 * rank))
    auto_pad = node.attrs.get("auto_pad", "NOTSET") or "NOTSET"
    if auto_pad != "NOTSET":
        pads = [0] * (2 * rank)
    if min(pads) < 0:
        raise build.unsupported(node, "negative padding", "crop with Slice before", "pads")
    axes = []
    numbers = zip(spatial, kernel, strides, dilations, pads[:rank], pads[rank:], strict=True)
    for size, taps, stride, dilation, before, after in numbers:
        axis = SpatialAxis(
            int(size), int(taps), int(stride), int(dilation), int(before), int(after)
        )
        if auto_pad in {"SAME_UPPER", "SAME_LOWER"}:
            axis = same_padding(axis, more_before=auto_pad == "SAME_LOWER")
        if node.attrs.get("ceil_mode", 0):
            axis = _with_last_window(axis)
        if axis.length < 1:
            raise build.unsupported(node, "the kernel is larger than its padded input")
        axes.append(axis)
    return axes


def same_padding(axis: SpatialAxis, *, more_before: bool = False) -> SpatialAxis:
    """Padding with which there is a window for every stride."""
    out = -(-axis.size // axis.stride)
    total = max(0, (out - 1) * axis.stride + axis.span - axis.size)
    small, large = total // 2, total - total // 2
    before, after = (large, small) if more_before else (small, large)
    return replace(axis, before=before, after=after)


def _with_last_window(axis: SpatialAxis) -> SpatialAxis:
    """A last window reaches further than the padding, unless it would begin in it (as PyTorch)."""
    reach = axis.size + axis.before + axis.after - axis.span
    missing = -reach % axis.stride
    begin = reach + missing
    return replace(axis, extra=missing) if begin < axis.size + axis.before else axis


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
