"""A made-up task for a table of embeddings: docs/storages.md.

Each of 1,000 words has a hidden value; the class of 20 words is the sign of the sum of theirs.
"""

import numpy as np
import torch
from torch import nn

from edgecomp.ir import Array

WORDS, WIDTH, TOKENS = 1000, 32, 20
TRAINING_SAMPLES, TEST_SAMPLES = 8000, 2000


class Bag(nn.Module):
    """The mean of the words' rows, and a dense layer."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.words, self.out = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores `(n, 2)` of token ids `(n, 20)`."""
        y: torch.Tensor = self.out(self.words(x).mean(dim=1))
        return y


def bag() -> tuple[nn.Module, torch.Tensor]:
    """The network, untrained, and an example of its input."""
    torch.manual_seed(0)
    return Bag().eval(), torch.zeros(1, TOKENS, dtype=torch.long)


def train() -> tuple[Array, Array]:
    """8,000 samples."""
    return _samples(TRAINING_SAMPLES, 1)


def test() -> tuple[Array, Array]:
    """2,000 others."""
    return _samples(TEST_SAMPLES, 2)


def _samples(count: int, seed: int) -> tuple[Array, Array]:
    """Token ids `(count, 20)`, int32, and classes."""
    values = np.random.default_rng(0).normal(size=WORDS)
    ids = np.random.default_rng(seed).integers(0, WORDS, (count, TOKENS))
    return ids.astype(np.int32), (values[ids].sum(axis=1) > 0).astype(np.int64)
