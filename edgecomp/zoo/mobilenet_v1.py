"""MobileNetV1; at width 0.25, for pictures of 96x96, it is MLPerf Tiny's visual wake words.

Source: A. Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision
applications" (2017).
"""

from typing import Any

from edgecomp.zoo.blocks import chain, classifier, conv_bn, depthwise_bn, stem_stride
from edgecomp.zoo.design import Design

STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
"""Channels, blocks, stride of the first block."""


def mobilenet_v1(torch: Any, design: Design) -> Any:
    """Thirteen depthwise separable blocks; the first layer has stride 1 below 64 pixels.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    shape: Any = design.shape
    makers: list[Any] = [lambda s: conv_bn(torch, s, design.channels(32), 3, stem_stride(shape))]
    for channels, repeats, stride in STAGES:
        for block in range(design.repeats(repeats)):
            step = 1 if block else stride
            makers.append(lambda s, step=step: depthwise_bn(torch, s, 3, step))
            makers.append(lambda s, c=channels: conv_bn(torch, s, design.channels(c), 1))
    layers, size = chain(torch, shape, makers)
    return torch.nn.Sequential(*layers, *classifier(torch, size, design.classes))
