"""SqueezeNet 1.1 and its fire modules.

Source: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016).
"""

from typing import Any

from edgecomp.zoo.blocks import stem_stride
from edgecomp.zoo.design import Design

FIRES = ((16, 64), (16, 64), None, (32, 128), (32, 128), None,
         (48, 192), (48, 192), (64, 256), (64, 256))  # fmt: skip
"""Squeezed channels and channels of each expansion; None for a pool."""


def squeezenet(torch: Any, design: Design) -> Any:
    """Eight fire modules; below 64 pixels the first layer has stride 1 and there is no first pool.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    nn = torch.nn
    stride = stem_stride(design.shape)  # type: ignore[arg-type]
    channels = design.channels(64)
    layers = [nn.Conv2d(design.shape[0], channels, 3, stride, 1), nn.ReLU()]
    if stride > 1:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for sizes in FIRES:
        if sizes is None:
            layers.append(nn.MaxPool2d(3, 2, 1))
            continue
        squeezed, expanded = (design.channels(n) for n in sizes)
        layers.append(_fire(torch, channels, squeezed, expanded))
        channels = 2 * expanded
    last = [nn.Conv2d(channels, design.classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *last)


def _fire(torch: Any, channels: int, squeezed: int, expanded: int) -> Any:
    """Squeeze by 1x1, then join what 1x1 and 3x3 convolutions make of it."""
    nn = torch.nn

    class Fire(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.squeeze = nn.Sequential(nn.Conv2d(channels, squeezed, 1), nn.ReLU())
            self.one = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU())
            self.three = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, 1, 1), nn.ReLU())

        def forward(self, x: Any) -> Any:
            x = self.squeeze(x)
            return torch.cat([self.one(x), self.three(x)], 1)

    return Fire()
