"""A one-dimensional CNN for time series: motion sensors, electrocardiograms."""

from typing import Any

from edgecomp.zoo.design import Design

BLOCKS = ((24, 5), (32, 5), (48, 3))
"""Channels and kernel."""


def cnn_1d(torch: Any, design: Design) -> Any:
    """Blocks of convolution, BatchNorm, ReLU and a pool of two, three of them at depth 1.

    Input (1, channels, samples), output (1, classes) logits.
    """
    nn = torch.nn
    layers: list[Any] = []
    before, length = design.shape
    for index in range(design.repeats(len(BLOCKS))):
        count, kernel = BLOCKS[min(index, len(BLOCKS) - 1)]
        channels = design.channels(count)
        layers += [nn.Conv1d(before, channels, kernel, padding=kernel // 2, bias=False)]
        layers += [nn.BatchNorm1d(channels), nn.ReLU()]
        if length >= 2:
            layers.append(nn.MaxPool1d(2))
            length //= 2
        before = channels
    return nn.Sequential(
        *layers, nn.AvgPool1d(length), nn.Flatten(), nn.Linear(before, design.classes)
    )
