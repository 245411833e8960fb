"""Factors of weights for every rank worth trying."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array

STEPS = 24
"""Ranks that are tried per axis, at most."""
SWEEPS = 2
"""Rounds of alternating least squares for Tucker-2."""


@dataclass(frozen=True)
class Factors:
    """Weights of the layers that together compute nearly what one layer did.

    Attributes:
        kind: `svd`, `tucker` or `separable`.
        weights: of each layer, OI or OHWI.
        error: share of the weights' squares that is lost.
        text: for people.
    """

    kind: str
    weights: tuple[Array, ...]
    error: float
    text: str


def dense_factors(weights: Array) -> Iterator[Factors]:
    """Two dense or 1x1 layers, `(O, ..., I)` as `(O, ..., r)` after `(r, ..., I)`."""
    rows = weights.reshape(len(weights), -1)
    u, s, v = np.linalg.svd(rows, full_matrices=False)
    total = float(np.square(s).sum()) or 1.0
    middle = (1,) * (weights.ndim - 2)
    for rank in _ranks(len(s)):
        root = np.sqrt(s[:rank])
        first = (root[:, None] * v[:rank]).reshape(rank, *middle, -1)
        second = (u[:, :rank] * root).reshape(-1, *middle, rank)
        error = float(np.square(s[rank:]).sum()) / total
        yield Factors("svd", (first, second), error, f"rank {rank}")


def separable_factors(weights: Array) -> Iterator[Factors]:
    """A Kx1 and a 1xK convolution for weights OHWI."""
    out, height, width, channels = weights.shape
    grid = weights.transpose(0, 2, 1, 3).reshape(out * width, height * channels)
    u, s, v = np.linalg.svd(grid, full_matrices=False)
    total = float(np.square(s).sum()) or 1.0
    for rank in _ranks(len(s)):
        root = np.sqrt(s[:rank])
        first = (root[:, None] * v[:rank]).reshape(rank, height, 1, channels)
        second = (u[:, :rank] * root).reshape(out, width, rank)[:, None]
        error = float(np.square(s[rank:]).sum()) / total
        yield Factors("separable", (first, second), error, f"separable, rank {rank}")


def tucker_factors(weights: Array) -> Iterator[Factors]:
    """A 1x1, a KxK and a 1x1 convolution for weights OHWI.

    Both ranks shrink together along the diagonal of their axes and a little beside it.
    """
    out, _, _, channels = weights.shape
    total = float(np.square(weights).sum()) or 1.0
    seen = set()
    for share in np.linspace(0.06, 0.94, STEPS):
        for skew in (0.75, 1.0, 1.3):
            ranks = (
                int(np.clip(round(out * share * skew), 1, out)),
                int(np.clip(round(channels * share / skew), 1, channels)),
            )
            if ranks in seen:
                continue
            seen.add(ranks)
            left, core, right = _tucker(weights, *ranks)
            error = max(0.0, 1 - float(np.square(core).sum()) / total)
            layers = (right.T[:, None, None, :], core, left[:, None, None, :])
            yield Factors("tucker", layers, error, f"Tucker ranks {ranks[1]} and {ranks[0]}")


def _tucker(weights: Array, rank_out: int, rank_in: int) -> tuple[Array, Array, Array]:
    """Orthogonal factors of the output and input channels, and the core `(ro, H, W, ri)`."""
    out, _, _, channels = weights.shape

    def leading(unfolded: Array, rank: int) -> Array:
        # Left singular vectors by the Gram matrix, whose side is only the number of channels.
        values, vectors = np.linalg.eigh(unfolded @ unfolded.T)
        return np.asarray(vectors[:, np.argsort(-values)[:rank]])

    right = leading(weights.transpose(3, 0, 1, 2).reshape(channels, -1), rank_in)
    left = np.eye(out)
    for _ in range(SWEEPS):
        left = leading((weights @ right).reshape(out, -1), rank_out)
        partly = np.tensordot(left.T, weights, axes=1)
        right = leading(partly.transpose(3, 0, 1, 2).reshape(channels, -1), rank_in)
    core = np.tensordot(left.T, weights, axes=1) @ right
    return left, core, right


def _ranks(most: int) -> list[int]:
    """Ranks to try, from 1 to one below `most`."""
    return sorted({max(1, round(n)) for n in np.linspace(1, max(1, most - 1), STEPS)})
