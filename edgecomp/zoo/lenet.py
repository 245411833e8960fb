"""The two LeNets that compression is measured on, for pictures of digits.

Source: Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998); LeNet-5
in the form of the Caffe examples, which compression papers use (431,080 weights and biases).
"""

from typing import Any

from edgecomp.zoo.design import Design


def lenet_300_100(torch: Any, design: Design) -> Any:
    """Two hidden dense layers; input (1, channels, height, width), output (1, classes) logits."""
    nn = torch.nn
    channels, height, columns = design.shape
    first, second = round(300 * design.width), round(100 * design.width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * columns, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, design.classes),
    )


def lenet_5(torch: Any, design: Design) -> Any:
    """Two 5x5 convolutions and two dense layers; input and output as `lenet_300_100`."""
    nn = torch.nn
    channels, height, columns = design.shape
    first, second, hidden = (round(n * design.width) for n in (20, 50, 500))
    flat = second * (((height - 4) // 2 - 4) // 2) * (((columns - 4) // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, first, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, hidden),
        nn.ReLU(),
        nn.Linear(hidden, design.classes),
    )
