"""BC-ResNet for keyword spotting: two-dimensional features with one-dimensional residuals.

Source: B. Kim et al., "Broadcasted residual learning for efficient keyword spotting" (2021).
BatchNorm stands where the paper normalizes sub-bands apart.
"""

from typing import Any

from edgecomp.zoo.blocks import Size, conv_bn, depthwise_bn
from edgecomp.zoo.design import Design

STAGES = ((8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8))
"""Channels, blocks, stride over frequencies of the first block, dilation over time."""


def bc_resnet(torch: Any, design: Design) -> Any:
    """Twelve broadcasted residual blocks.

    Input (1, channels, frequencies, frames), output (1, classes) logits.
    """
    nn, shape = torch.nn, design.shape
    stem, size = conv_bn(torch, shape, design.channels(16), 5, (2, 1))  # type: ignore[arg-type]
    layers = [stem]
    for channels, repeats, stride, dilation in STAGES:
        for block in range(design.repeats(repeats)):
            step = 1 if block else stride
            module, size = _block(torch, size, design.channels(channels), step, dilation)
            layers.append(module)
    # Along the frequencies the last filter covers what is left of them.
    height = min(5, size[1])
    filters = nn.Conv2d(size[0], size[0], (height, 5), 1, (0, 2), groups=size[0], bias=False)
    rows = size[1] - height + 1
    head, size = conv_bn(torch, (size[0], rows, size[2]), design.channels(32), 1)
    last = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(size[0], design.classes, 1), nn.Flatten()]
    return nn.Sequential(*layers, filters, head, *last)


def _block(torch: Any, size: Size, channels: int, stride: int, dilation: int) -> tuple[Any, Size]:
    """Filter along the frequencies, add what is found along the time for all frequencies at once.

    A block that changes the number of channels or of frequencies begins with a 1x1 convolution and
    has no shortcut around all of it.
    """
    nn = torch.nn
    keeps = channels == size[0] and stride == 1
    widen = None
    if not keeps:
        widen, size = conv_bn(torch, size, channels, 1)
    filters, end = depthwise_bn(torch, size, (3, 1), (stride, 1), activation=None)
    line = (channels, 1, end[2])
    over_time, _ = depthwise_bn(torch, line, (1, 3), dilation=(1, dilation), activation="silu")
    mix = nn.Conv2d(channels, channels, 1)

    class Broadcasted(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.widen = nn.Identity() if widen is None else widen
            self.filters, self.over_time, self.mix = filters, over_time, mix
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            y = self.filters(self.widen(x))
            lines = self.mix(self.over_time(y.mean(dim=2, keepdim=True)))
            return self.relu(x + y + lines if keeps else y + lines)

    return Broadcasted(), end
