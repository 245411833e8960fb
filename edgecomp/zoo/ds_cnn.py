"""DS-CNN for keyword spotting, as MLPerf Tiny has it.

Source: Y. Zhang et al., "Hello Edge: Keyword spotting on microcontrollers" (2017); C. Banbury et
al., "MLPerf Tiny benchmark" (2021).
"""

from typing import Any

from edgecomp.zoo.blocks import chain, classifier, conv_bn, depthwise_bn
from edgecomp.zoo.design import Design


def ds_cnn(torch: Any, design: Design) -> Any:
    """A 10x4 convolution and four depthwise separable blocks.

    Input (1, channels, frames, coefficients), output (1, classes) logits.
    """
    channels = design.channels(64)
    makers: list[Any] = [lambda s: conv_bn(torch, s, channels, (10, 4), 2)]
    for _ in range(design.repeats(4)):
        makers.append(lambda s: depthwise_bn(torch, s))
        makers.append(lambda s: conv_bn(torch, s, channels, 1))
    layers, size = chain(torch, design.shape, makers)  # type: ignore[arg-type]
    return torch.nn.Sequential(*layers, *classifier(torch, size, design.classes))
