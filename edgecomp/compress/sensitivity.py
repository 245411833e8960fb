"""Budgets by sensitivity: each part gives so much that all of them harm the loss equally.

Source: S. Han et al., "Learning both weights and connections" (2015), whose layers are probed one
by one; here the shares come from one common limit of harm.
"""

from collections.abc import Callable, Sequence

import numpy as np

from edgecomp.compress.train.examples import Examples
from edgecomp.compress.train.graph_module import as_module
from edgecomp.compress.train.scoring import evaluate
from edgecomp.ir import Array, Graph

SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95)
"""What of each part is taken away to see what that harms."""
SAMPLES = 512
ROUNDS = 60


def probing_samples(examples: Examples) -> Examples:
    """The training samples that sensitivity is measured on."""
    return examples.take(np.arange(min(SAMPLES, len(examples))))


def harm_of(graph: Graph, examples: Examples) -> float:
    """The loss of a graph."""
    return evaluate(graph, as_module(graph), examples).loss


def balanced_shares(
    sizes: Sequence[int], amount: float, harm: Callable[[int, float], float]
) -> list[float]:
    """Find the share of each part that goes.

    Args:
        sizes: what each part has.
        amount: share of all parts together that goes.
        harm: the loss without a share of one part, called with its index and the share.

    Returns:
        The shares; `sum(share * size) / sum(size)` is `amount`, as nearly as can be.
    """
    curves = []
    whole = harm(0, 0.0)
    for index in range(len(sizes)):
        losses = [whole, *(harm(index, share) for share in SHARES)]
        curves.append(np.maximum.accumulate(losses) - whole)
    points = np.array([0.0, *SHARES])
    low, high = 0.0, max(float(curve[-1]) for curve in curves) + 1e-9
    total = sum(sizes)
    for _ in range(ROUNDS):
        limit = (low + high) / 2
        shares = [_reach(points, curve, limit) for curve in curves]
        gone = sum(share * size for share, size in zip(shares, sizes, strict=True)) / total
        low, high = (limit, high) if gone < amount else (low, limit)
    return [_reach(points, curve, high) for curve in curves]


def _reach(points: Array, curve: Array, limit: float) -> float:
    """The largest share whose harm is within the limit."""
    rising = curve + np.arange(len(curve)) * 1e-12
    return float(np.interp(limit, rising, points))
