"""Prune single weights by magnitude, all at once or along a cubic schedule, while training.

Layers are made comparable by the LAMP score: the square of a weight over the sum of squares of
all weights of its layer that are at least as large.  Sources: M. Zhu, S. Gupta, "To prune, or not
to prune" (2017); J. Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning" (2021).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import as_module, import_torch, trained
from edgecomp.compress.train.loop import fit
from edgecomp.compress.train.sources import keeping_zeros, masked
from edgecomp.config import Prune
from edgecomp.ir import Array, Graph

RAMP = 0.6
"""Share of the training in which the sparsity grows; what is left recovers."""
MASKS = 100
"""How often, in the whole training, masks are chosen anew."""


def prune_weights(graph: Graph, step: Prune, workshop: Workshop) -> Outcome:
    """Set `step.amount` of the chosen weights to 0 for ever, and fine-tune the others."""
    names = chosen_weights(graph, step)
    tuned = {
        name: masked(graph.tensors[name].value, graph.tensors[name].value != 0) for name in names
    }
    module = as_module(graph, {**keeping_zeros(graph), **tuned})
    hook = _Masks(tuned, step)
    result = fit(
        graph,
        module,
        workshop.split,
        workshop.fit_options(step),
        hook=hook,
        checkpoint=workshop.checkpoint,
        say=workshop.say,
    )
    pruned = trained(graph, module)
    zeros = sum(int((pruned.tensors[name].value == 0).sum()) for name in names)
    size = sum(pruned.tensors[name].size for name in names)
    note = f"{zeros:,} of {size:,} weights are 0 ({100 * zeros / size:.1f} %)"
    return Outcome(pruned, result.score, result.diverged, note)


class _Masks:
    """Chooses masks as training goes on."""

    def __init__(self, sources: Mapping[str, Any], step: Prune) -> None:
        self._sources = sources
        self._step = step
        self._at = -1
        self._alive = {name: source.mask.numpy() > 0 for name, source in sources.items()}
        self._gradual = step.schedule == "gradual" and step.epochs > 0
        self.settled = False
        if not self._gradual:
            self._choose(step.amount)
            self.settled = True

    def step(self, progress: float) -> None:
        """Let the sparsity follow the schedule."""
        at = int(progress * MASKS)
        if not self._gradual or at == self._at:
            return
        self._at = at
        if progress < RAMP:
            # The masks of the epochs before the last may not be kept: see `Hook.settled`.
            self.settled = False
            self._choose(self._step.amount * (1 - (1 - progress / RAMP) ** 3))
        elif not self.settled:
            if not self._is_done():
                self._choose(self._step.amount)
            self.settled = True

    def _is_done(self) -> bool:
        """Whether a training that goes on had chosen its last masks before."""
        masks = [source.mask for source in self._sources.values()]
        zeros = sum(int((mask == 0).sum()) for mask in masks)
        target: int = round(self._step.amount * sum(mask.numel() for mask in masks))
        return zeros >= target

    def _choose(self, amount: float) -> None:
        torch = import_torch()
        values = {n: s.weight.detach().numpy() for n, s in self._sources.items()}
        masks = magnitude_masks(values, amount, one_budget=self._step.budget == "global")
        for name, source in self._sources.items():
            kept = masks[name] & self._alive[name]
            source.mask.copy_(torch.tensor(kept, dtype=torch.float32))


def magnitude_masks(
    values: Mapping[str, Array], amount: float, *, one_budget: bool
) -> dict[str, Array]:
    """Choose the weights that stay.

    Args:
        values: weights by tensor.
        amount: share that goes, rounded to whole weights; of equal ones the last go.
        one_budget: whether the share is of all weights together, ranked by their LAMP score, or of
            each tensor, ranked by magnitude.

    Returns:
        True where a weight stays, by tensor; every tensor keeps at least one.
    """
    if not one_budget:
        return {name: _largest(np.abs(value), amount) for name, value in values.items()}
    scores = {name: lamp_scores(value) for name, value in values.items()}
    joined = _largest(np.concatenate([score.ravel() for score in scores.values()]), amount)
    ends = np.cumsum([score.size for score in scores.values()])[:-1]
    parts = zip(scores.items(), np.split(joined, ends), strict=True)
    return {name: mask.reshape(score.shape) for (name, score), mask in parts}


def lamp_scores(value: Array) -> Array:
    """The LAMP score of each weight, from 0 to 1; the largest of a layer has 1.

    >>> lamp_scores(np.array([3.0, -1.0, 2.0])).round(3).tolist()
    [1.0, 0.071, 0.308]
    """
    squares = np.square(value.astype(np.float64)).ravel()
    order = np.argsort(squares, kind="stable")
    at_least = np.cumsum(squares[order][::-1])[::-1]
    scores = np.zeros_like(squares)
    np.divide(squares[order], at_least, out=at_least, where=at_least > 0)
    scores[order] = at_least
    return scores.reshape(value.shape)


def _largest(scores: Array, amount: float) -> Array:
    """True for all but the smallest `amount` of the scores; at least one stays."""
    gone = min(round(amount * scores.size), scores.size - 1)
    mask = np.ones(scores.size, bool)
    mask[np.argsort(-scores.ravel(), kind="stable")[scores.size - gone :]] = False
    return mask.reshape(scores.shape)
