"""MobileNetV3-Small.

Source: A. Howard et al., "Searching for MobileNetV3" (2019), table 2.
"""

from typing import Any

from edgecomp.zoo.blocks import conv_bn, stem_stride
from edgecomp.zoo.design import Design
from edgecomp.zoo.mobilenet_v2 import inverted_residual

BLOCKS = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hardswish", 2),
    (5, 240, 40, True, "hardswish", 1),
    (5, 240, 40, True, "hardswish", 1),
    (5, 120, 48, True, "hardswish", 1),
    (5, 144, 48, True, "hardswish", 1),
    (5, 288, 96, True, "hardswish", 2),
    (5, 576, 96, True, "hardswish", 1),
    (5, 576, 96, True, "hardswish", 1),
)
"""Kernel, inner channels, channels, squeeze and excitation, activation, stride."""


def mobilenet_v3_small(torch: Any, design: Design) -> Any:
    """Eleven inverted residual blocks; the first layer has stride 1 below 64 pixels.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    nn, shape = torch.nn, design.shape
    stride: Any = stem_stride(shape)  # type: ignore[arg-type]
    stem, size = conv_bn(torch, shape, design.channels(16), 3, stride, activation="hardswish")  # type: ignore[arg-type]
    layers = [stem]
    for kernel, inner, channels, squeeze, activation, step in BLOCKS:
        module, size = inverted_residual(
            torch,
            size,
            design.channels(inner),
            design.channels(channels),
            kernel=kernel,
            stride=step,
            activation=activation,
            squeeze=max(4, design.channels(inner / 4)) if squeeze else 0,
        )
        layers.append(module)
    last, size = conv_bn(torch, size, design.channels(576), 1, activation="hardswish")
    hidden = design.channels(1024)
    head = [nn.AvgPool2d(size[1:]), nn.Flatten(), nn.Linear(size[0], hidden), nn.Hardswish()]
    return nn.Sequential(*layers, last, *head, nn.Linear(hidden, design.classes))
