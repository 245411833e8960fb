"""A small convolutional network for 8x8 handwritten digits, and its training."""

from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Array

SEED = 0
EPOCHS = 12
BATCH = 64
INPUT_SCALE = 1 / 16
"""Pixels are 0 to 16; the network wants 0 to 1."""


def digits_network() -> Any:
    """Build the network: input (1, 1, 8, 8), output (1, 10) logits.

    Raises:
        UserError: PyTorch is not installed.
    """
    nn = _torch().nn
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def train_digits(x: Array, y: Array, path: Path) -> None:
    """Train the network on `x` (n, 8, 8) pixels and `y` (n,) labels; save it as `.pt2`.

    Seeded: the same data give the same network on the same machine.
    """
    torch = _torch()
    torch.manual_seed(SEED)
    network = digits_network()
    images = torch.tensor(np.asarray(x, np.float32)[:, None] * INPUT_SCALE)
    labels = torch.tensor(np.asarray(y, np.int64))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            loss_of(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    network.eval()
    torch.export.save(torch.export.export(network, (images[:1],)), path)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "training needs PyTorch, which is not installed: pip install 'edgecomp[torch]'"
        ) from error
    return torch
