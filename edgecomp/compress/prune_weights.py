"""Prune single weights by magnitude, all at once or along a cubic schedule, while training.

Layers are made comparable by the LAMP score: the square of a weight over the sum of squares of
all weights of its layer that are at least as large.  Sources: M. Zhu, S. Gupta, "To prune, or not
to prune" (2017); J. Lee et al., "Layer-adaptive sparsity for the magnitude-based pruning" (2021).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecomp.compress.sensitivity import balanced_shares, harm_of, probing_samples
from edgecomp.compress.storing import allow_also
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import (
    as_module,
    import_torch,
    trained,
    weight_tensors,
    with_constants,
)
from edgecomp.compress.train.sources import keeping_zeros, masked
from edgecomp.config import Prune
from edgecomp.ir import Array, Graph

RAMP = 0.6
"""Share of the training in which the sparsity grows; what is left recovers."""
MASKS = 100
"""How often, in the whole training, masks are chosen anew."""


def prune_weights(graph: Graph, step: Prune, workshop: Workshop) -> Outcome:
    """Set `step.share` of the chosen weights to 0 for ever, and fine-tune the others."""
    names = chosen_weights(graph, step)
    tuned = {
        name: masked(graph.tensors[name].value, graph.tensors[name].value != 0) for name in names
    }
    module = as_module(graph, {**keeping_zeros(graph), **tuned})
    hook = _Masks(tuned, step, _shares(graph, names, step, workshop))
    result = workshop.train(graph, module, step, hook=hook)
    pruned = trained(graph, module)
    zeros = sum(int((pruned.tensors[name].value == 0).sum()) for name in names)
    size = sum(pruned.tensors[name].size for name in names)
    note = f"{zeros:,} of {size:,} weights are 0 ({100 * zeros / size:.1f} %)"
    sparse = allow_also(pruned, names, "sparse")
    return Outcome(sparse, result.score, result.diverged, note)


class _Masks:
    """Chooses masks as training goes on."""

    def __init__(
        self, sources: Mapping[str, Any], step: Prune, shares: Mapping[str, float]
    ) -> None:
        self._sources = sources
        self._step = step
        self._at = -1
        self._alive = {name: source.mask.numpy() > 0 for name, source in sources.items()}
        self._gradual = step.schedule == "gradual" and step.epochs > 0
        self._shares = shares
        self.settled = False
        if not self._gradual:
            self._choose(step.share)
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
            self._choose(self._step.share * (1 - (1 - progress / RAMP) ** 3))
        elif not self.settled:
            self._choose(self._step.share)
            self.settled = True

    def state(self) -> dict[str, Any]:
        """When masks were chosen last, and whether for good: the module has the masks."""
        return {"at": self._at, "settled": self.settled}

    def restore(self, state: dict[str, Any]) -> None:
        """Choose masks again when an uninterrupted training would."""
        self._at, self.settled = state["at"], state["settled"]

    def _masks(self, values: Mapping[str, Array], amount: float) -> dict[str, Array]:
        """True where a weight stays, by tensor."""
        if self._shares:
            part = amount / self._step.share
            chosen = {name: part * self._shares[name] for name in values}
            return {name: _layer_mask(v, chosen[name], self._step) for name, v in values.items()}
        one_budget = self._step.budget == "global"
        if self._step.kept_of:
            return {name: _layer_mask(v, amount, self._step) for name, v in values.items()}
        if self._step.what != "blocks":
            return magnitude_masks(values, amount, one_budget=one_budget)
        length = _block_length(self._step)
        norms = {name: block_norms(value, length) for name, value in values.items()}
        kept = magnitude_masks(norms, amount, one_budget=one_budget)
        return {name: block_mask(kept[name], v.shape, length) for name, v in values.items()}

    def _choose(self, amount: float) -> None:
        torch = import_torch()
        values = {n: s.weight.detach().numpy() for n, s in self._sources.items()}
        masks = self._masks(values, amount)
        for name, source in self._sources.items():
            kept = masks[name] & self._alive[name]
            source.mask.copy_(torch.tensor(kept, dtype=torch.float32))


def _shares(
    graph: Graph, names: tuple[str, ...], step: Prune, workshop: Workshop
) -> dict[str, float]:
    """What goes of each tensor, by sensitivity; empty for other budgets."""
    if step.budget != "sensitivity":
        return {}
    examples = probing_samples(workshop.split.train)

    def harm(index: int, share: float) -> float:
        value = graph.tensors[names[index]].value
        pruned = np.where(_layer_mask(value, share, step), value, 0).astype(np.float32)
        return harm_of(with_constants(graph, {names[index]: pruned}), examples)

    sizes = [graph.tensors[name].size for name in names]
    found = dict(zip(names, balanced_shares(sizes, step.share, harm), strict=True))
    layers = weight_tensors(graph)
    workshop.say(
        "shares: " + ", ".join(f"{layers[name]} {share:.2f}" for name, share in found.items())
    )
    return found


def _layer_mask(value: Array, share: float, step: Prune) -> Array:
    """True where a weight of one tensor stays."""
    if step.kept_of:
        kept, of = step.kept_of
        # On the way there, ever fewer of each group stay.
        return n_of_m_mask(value, max(kept, math.ceil(of * (1 - share) - 1e-9)), of)
    if step.what == "blocks":
        length = _block_length(step)
        return block_mask(_largest(block_norms(value, length), share), value.shape, length)
    return _largest(np.abs(value), share)


def _block_length(step: Prune) -> int:
    assert step.pattern is not None, "of blocks there is a pattern"
    return int(step.pattern.partition("x")[2])


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


def block_norms(value: Array, length: int) -> Array:
    """Norm of each block of `length` weights along the last axis; the last block may be shorter.

    >>> block_norms(np.array([[3.0, 4.0, 2.0]]), 2).tolist()
    [[5.0, 2.0]]
    """
    rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % length)))
    return np.asarray(np.sqrt(np.square(rows.reshape(len(rows), -1, length)).sum(axis=2)))


def block_mask(kept: Array, shape: tuple[int, ...], length: int) -> Array:
    """Spread what is said of blocks to their weights: the way back from `block_norms`."""
    return np.repeat(kept, length, axis=1)[:, : shape[-1]].reshape(shape)


def n_of_m_mask(value: Array, kept: int, of: int) -> Array:
    """True for the `kept` largest of every `of` weights along the last axis."""
    rows = np.abs(value.reshape(-1, value.shape[-1]).astype(np.float64))
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % of)), constant_values=-1.0)
    groups = rows.reshape(-1, of)
    places = np.argsort(-groups, axis=1, kind="stable")[:, :kept]
    mask = np.zeros(groups.shape, bool)
    np.put_along_axis(mask, places, True, axis=1)
    return mask.reshape(len(rows), -1)[:, : value.shape[-1]].reshape(value.shape)


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
