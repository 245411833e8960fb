"""MobileNetV2, and the inverted residual block that later networks share.

Source: M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks" (2018).
"""

from typing import Any

from edgecomp.zoo.blocks import (
    Size,
    chain,
    classifier,
    conv_bn,
    depthwise_bn,
    residual,
    squeeze_excite,
    stem_stride,
)
from edgecomp.zoo.design import Design

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
          (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
"""Expansion, channels, blocks, stride of the first block."""


def mobilenet_v2(torch: Any, design: Design) -> Any:
    """Seventeen inverted residual blocks; the first layer has stride 1 below 64 pixels.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    shape: Any = design.shape
    stem = conv_bn(torch, shape, design.channels(32), 3, stem_stride(shape), activation="relu6")
    layers, size = [stem[0]], stem[1]
    for expansion, channels, repeats, stride in STAGES:
        for block in range(design.repeats(repeats)):
            module, size = inverted_residual(
                torch,
                size,
                size[0] * expansion,
                design.channels(channels),
                stride=1 if block else stride,
            )
            layers.append(module)
    last, size = conv_bn(torch, size, design.channels(1280), 1, activation="relu6")
    return torch.nn.Sequential(*layers, last, *classifier(torch, size, design.classes))


def inverted_residual(
    torch: Any,
    size: Size,
    inner: int,
    channels: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    activation: str = "relu6",
    squeeze: int = 0,
) -> tuple[Any, Size]:
    """Widen to `inner` channels, filter them one by one, and project to `channels`.

    Args:
        torch: the module.
        size: of the input.
        inner: channels of the depthwise layer.
        channels: of the output.
        kernel: of the depthwise layer.
        stride: of the depthwise layer.
        activation: after the first two layers.
        squeeze: hidden channels of squeeze and excitation; 0 for none.
    """
    makers: list[Any] = []
    if inner != size[0]:
        makers.append(lambda s: conv_bn(torch, s, inner, 1, activation=activation))
    makers.append(lambda s: depthwise_bn(torch, s, kernel, stride, activation=activation))
    if squeeze:
        makers.append(lambda s: (squeeze_excite(torch, s[0], squeeze), s))
    makers.append(lambda s: conv_bn(torch, s, channels, 1, activation=None))
    layers, end = chain(torch, size, makers)
    body = torch.nn.Sequential(*layers)
    return (residual(torch, body) if end == size else body), end
