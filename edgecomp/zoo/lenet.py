"""The two LeNets that compression is measured on, for pictures of digits.

Source: Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998); LeNet-5
in the form of the Caffe examples, which compression papers use (431,080 weights and biases).
"""

from typing import Any


def lenet_300_100(torch: Any, shape: tuple[int, ...], classes: int, width: float) -> Any:
    """Two hidden dense layers; input (1, channels, height, width), output (1, classes) logits."""
    nn = torch.nn
    channels, height, columns = shape
    first, second = round(300 * width), round(100 * width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * columns, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, classes),
    )


def lenet_5(torch: Any, shape: tuple[int, ...], classes: int, width: float) -> Any:
    """Two 5x5 convolutions and two dense layers; input and output as `lenet_300_100`."""
    nn = torch.nn
    channels, height, columns = shape
    first, second, hidden = round(20 * width), round(50 * width), round(500 * width)
    flat = second * (((height - 4) // 2 - 4) // 2) * (((columns - 4) // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, first, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
