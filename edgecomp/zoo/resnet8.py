"""ResNet-8 for small pictures, as MLPerf Tiny has it.

Source: K. He et al., "Deep residual learning for image recognition" (2016); C. Banbury et al.,
"MLPerf Tiny benchmark" (2021).
"""

from typing import Any

from edgecomp.zoo.blocks import Size, classifier, conv_bn, residual
from edgecomp.zoo.design import Design


def resnet8(torch: Any, design: Design) -> Any:
    """Three stages of residual blocks (one each at depth 1) with 16, 32 and 64 channels.

    Input (1, channels, height, width), output (1, classes) logits.
    """
    stem, size = conv_bn(torch, design.shape, design.channels(16))  # type: ignore[arg-type]
    layers = [stem]
    for stage, width in enumerate((16, 32, 64)):
        for block in range(design.repeats(1)):
            stride = 2 if stage and not block else 1
            module, size = _block(torch, size, design.channels(width), stride)
            layers.append(module)
    return torch.nn.Sequential(*layers, *classifier(torch, size, design.classes))


def _block(torch: Any, size: Size, channels: int, stride: int) -> tuple[Any, Size]:
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the size changes."""
    first, middle = conv_bn(torch, size, channels, 3, stride)
    second, end = conv_bn(torch, middle, channels, activation=None)
    shortcut = None
    if stride > 1 or size[0] != channels:
        shortcut = torch.nn.Conv2d(size[0], channels, 1, stride)
    return residual(torch, torch.nn.Sequential(first, second), shortcut, relu=True), end
