"""Windows that kernels of several cores ask for: why a convolution has another one."""

from edgecomp.kernels.base import Layer

MAX_STRIDE = 2
MAX_PAD = 2
"""Padding of a window of 3x3 that still has a code of the input in it."""


def no_plain_window(layer: Layer) -> str | None:
    """Say why a layer is no convolution of whole windows; None if it is one."""
    window = layer.params
    if window.groups != 1:
        return "groups"
    if window.dilation_h != 1 or window.dilation_w != 1:
        return "dilation"
    return None


def no_depthwise_3x3(layer: Layer) -> str | None:
    """Say why a layer is no depthwise 3x3 of stride 1 or 2 without multiplier; None if it is."""
    channels, kernel_h, kernel_w, group_in = layer.inputs[1].shape
    window = layer.params
    if group_in != 1 or window.groups != channels:
        return "not one input channel per output channel"
    if (kernel_h, kernel_w, window.dilation_h, window.dilation_w) != (3, 3, 1, 1):
        return "not 3x3"
    if window.stride_h != window.stride_w or window.stride_w > MAX_STRIDE:
        return "stride other than 1 and 2"
    if max(window.pad_top, window.pad_left, window.pad_bottom, window.pad_right) > MAX_PAD:
        return "padding wider than the window reaches"
    return None
