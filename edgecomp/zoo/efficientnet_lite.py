"""A network like EfficientNet-Lite0: MBConv blocks with ReLU6, squeeze and excitation on request.

Source: M. Tan, Q. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks"
(2019); the Lite variant leaves out squeeze and excitation and takes ReLU6 for swish.
"""

from typing import Any

from edgecomp.zoo.blocks import classifier, conv_bn, stem_stride
from edgecomp.zoo.design import Design
from edgecomp.zoo.mobilenet_v2 import inverted_residual

STAGES = ((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2),
          (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1))  # fmt: skip
"""Expansion, kernel, channels, blocks, stride of the first block."""


def efficientnet_lite(torch: Any, design: Design) -> Any:
    """Sixteen MBConv blocks; the first layer has stride 1 below 64 pixels.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    shape: Any = design.shape
    stem = conv_bn(torch, shape, design.channels(32), 3, stem_stride(shape), activation="relu6")
    layers, size = [stem[0]], stem[1]
    for expansion, kernel, channels, repeats, stride in STAGES:
        for block in range(design.repeats(repeats)):
            module, size = inverted_residual(
                torch,
                size,
                size[0] * expansion,
                design.channels(channels),
                kernel=kernel,
                stride=1 if block else stride,
                squeeze=max(2, size[0] // 4) if design.se else 0,
            )
            layers.append(module)
    last, size = conv_bn(torch, size, design.channels(1280), 1, activation="relu6")
    return torch.nn.Sequential(*layers, last, *classifier(torch, size, design.classes))
