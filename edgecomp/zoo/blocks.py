"""Pieces that several networks are made of.

Sizes are `(channels, height, width)`; each piece returns its module and the size that it leaves.
Padding is TensorFlow's "same": the output has `ceil(size / stride)` rows, and an odd row of padding
lies below.
"""

import math
from collections.abc import Sequence
from typing import Any

Size = tuple[int, int, int]
Pair = tuple[int, int]


def conv_bn(
    torch: Any,
    size: Size,
    channels: int,
    kernel: int | Pair = 3,
    stride: int | Pair = 1,
    *,
    dilation: int | Pair = 1,
    groups: int = 1,
    activation: Any = "relu",
) -> tuple[Any, Size]:
    """A convolution with "same" padding, BatchNorm, and an activation.

    Args:
        torch: the module.
        size: of the input.
        channels: of the output.
        kernel: height and width.
        stride: height and width.
        dilation: height and width.
        groups: as in torch.
        activation: `relu`, `relu6`, `hardswish`, `silu`, or None.
    """
    nn = torch.nn
    kernels, strides, dilations = _pair(kernel), _pair(stride), _pair(dilation)
    pads = [
        _same(n, d * (k - 1) + 1, s)
        for n, k, s, d in zip(size[1:], kernels, strides, dilations, strict=True)
    ]
    layers: list[Any] = []
    padding = (pads[0] // 2, pads[1] // 2)
    if pads[0] % 2 or pads[1] % 2:
        (top, left), padding = padding, (0, 0)
        layers.append(nn.ZeroPad2d((left, pads[1] - left, top, pads[0] - top)))
    layers.append(
        nn.Conv2d(size[0], channels, kernels, strides, padding, dilations, groups, bias=False)
    )
    layers.append(nn.BatchNorm2d(channels))
    if activation is not None:
        layers.append(activation_layer(torch, activation))
    height, width = (math.ceil(n / s) for n, s in zip(size[1:], strides, strict=True))
    return nn.Sequential(*layers), (channels, height, width)


def depthwise_bn(
    torch: Any, size: Size, kernel: int | Pair = 3, stride: int | Pair = 1, **more: Any
) -> tuple[Any, Size]:
    """A depthwise `conv_bn`."""
    return conv_bn(torch, size, size[0], kernel, stride, groups=size[0], **more)


def activation_layer(torch: Any, name: str) -> Any:
    """The module of an activation by its name."""
    kinds = {
        "relu": torch.nn.ReLU,
        "relu6": torch.nn.ReLU6,
        "hardswish": torch.nn.Hardswish,
        "silu": torch.nn.SiLU,
    }
    return kinds[name]()


def classifier(torch: Any, size: Size, classes: int) -> list[Any]:
    """The mean over all pixels and a dense layer."""
    nn = torch.nn
    return [nn.AvgPool2d(size[1:]), nn.Flatten(), nn.Linear(size[0], classes)]


def chain(
    torch: Any, size: Size, makers: Sequence[Any], layers: list[Any] | None = None
) -> tuple[list[Any], Size]:
    """Put pieces one after another; each of `makers` takes a size and returns `(module, size)`."""
    made = list(layers or [])
    for maker in makers:
        module, size = maker(size)
        made.append(module)
    return made, size


def stem_stride(size: Size) -> int:
    """Stride of the first layer of networks for large pictures: 1 below 64 pixels, else 2."""
    return 1 if min(size[1:]) < 64 else 2


def residual(torch: Any, body: Any, shortcut: Any = None, *, relu: bool = False) -> Any:
    """A module that computes `shortcut(x) + body(x)`; the shortcut is `x` unless given."""

    class Residual(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.shortcut = torch.nn.Identity() if shortcut is None else shortcut
            self.last = torch.nn.ReLU() if relu else torch.nn.Identity()

        def forward(self, x: Any) -> Any:
            return self.last(self.shortcut(x) + self.body(x))

    return Residual()


def squeeze_excite(torch: Any, channels: int, hidden: int) -> Any:
    """Scales each channel by a gate that is computed from the means of all channels.

    Source: J. Hu et al., "Squeeze-and-excitation networks" (2018), with the hard sigmoid of
    MobileNetV3.
    """
    nn = torch.nn

    class SqueezeExcite(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Sequential(
                nn.Conv2d(channels, hidden, 1),
                nn.ReLU(),
                nn.Conv2d(hidden, channels, 1),
                nn.Hardsigmoid(),
            )

        def forward(self, x: Any) -> Any:
            return x * self.gate(x.mean(dim=(2, 3), keepdim=True))

    return SqueezeExcite()


def _pair(value: int | Pair) -> Pair:
    return value if isinstance(value, tuple) else (value, value)


def _same(size: int, kernel: int, stride: int) -> int:
    """Rows of padding on both sides together."""
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
