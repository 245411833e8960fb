"""Lottery tickets: which weights train well alone, from where they began.

Prune the smallest weights of the trained network, return the others to what they were at step k of
the first training, train them, and again.  The control trains each ticket from other random
weights.  Sources: J. Frankle, M. Carbin, "The lottery ticket hypothesis" (2019); J. Frankle et al.,
"Linear mode connectivity and the lottery ticket hypothesis" (2020), for rewinding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecomp.compress.prune_weights import magnitude_masks
from edgecomp.compress.storing import allow_also
from edgecomp.compress.technique import Outcome, Workshop, chosen_weights
from edgecomp.compress.train.graph_module import as_module, constants_of, with_constants
from edgecomp.compress.train.loop import FitResult, NoHook
from edgecomp.compress.train.scoring import Score
from edgecomp.compress.train.sources import masked
from edgecomp.config import Lottery
from edgecomp.ir import Array, Graph

Values = dict[str, Array]


@dataclass(frozen=True)
class _Ticket:
    """A training of some of the weights: what they became."""

    values: Values
    result: FitResult


def lottery_step(graph: Graph, step: Lottery, workshop: Workshop) -> Outcome:
    """Find the ticket that keeps `1 - step.amount` of the chosen weights.

    The graph should be untrained: its weights are what the tickets return to.  The weights that are
    left may lie in flash as `sparse` ones.
    """
    names = chosen_weights(graph, step)
    rewind = _Rewind(graph, step.rewind)
    masks = {name: graph.tensors[name].value != 0 for name in names}
    dense = _train(graph, masks, step, workshop, "dense", rewind)
    start = rewind.values
    rows = [_row(graph, workshop, masks, dense, None)]
    ticket = dense
    for number in range(1, step.rounds + 1):
        amount = 1 - (1 - step.amount) ** (number / step.rounds)
        weights = {name: ticket.values[name] * masks[name] for name in names}
        masks = {
            name: mask & masks[name]
            for name, mask in magnitude_masks(weights, amount, one_budget=True).items()
        }
        workshop.say(f"round {number} of {step.rounds}: {1 - amount:.1%} of the weights")
        ticket = _train(with_constants(graph, start), masks, step, workshop, f"{number}")
        control = None
        if step.control:
            other = with_constants(
                graph, _drawn_again(graph, names, workshop.training.seed + number)
            )
            control = _train(other, masks, step, workshop, f"{number}-control")
        rows.append(_row(graph, workshop, masks, ticket, control))
        if ticket.result.diverged:
            break
    result = ticket.result
    kept = sum(int(mask.sum()) for mask in masks.values())
    size = sum(mask.size for mask in masks.values())
    note = f"a ticket of {kept:,} of {size:,} weights ({100 * kept / size:.1f} %)"
    final = allow_also(with_constants(graph, ticket.values), names, "sparse")
    return Outcome(final, result.score, result.diverged, note, {"rounds": rows})


class _Rewind(NoHook):
    """Remembers the constants as they were at one optimizer step."""

    def __init__(self, graph: Graph, at: int) -> None:
        self.graph = graph
        self.at = at
        self.values: Values = {}
        self.module: Any = None
        self._steps = 0

    def step(self, progress: float) -> None:
        """Count steps; keep the constants when their time has come."""
        if not self.values and self._steps >= self.at:
            self.values = constants_of(self.graph, self.module)
        self._steps += 1


def _train(
    graph: Graph,
    masks: Mapping[str, Array],
    step: Lottery,
    workshop: Workshop,
    label: str,
    rewind: _Rewind | None = None,
) -> _Ticket:
    """Train the weights that `masks` leave; what was trained before an interruption is read."""
    file = workshop.checkpoint and workshop.checkpoint.with_suffix(f".{label}.npz")
    if file and file.exists():
        with np.load(file) as kept:
            values = {name.removeprefix("v:"): kept[name] for name in kept if name[:2] == "v:"}
            if rewind is not None:
                rewind.values = {n.removeprefix("r:"): kept[n] for n in kept if n[:2] == "r:"}
            accuracy, loss = (float(n) for n in kept["score"])
        score = Score(None if np.isnan(accuracy) else accuracy, loss)
        return _Ticket(values, FitResult(score, 0))
    sources = {name: masked(graph.tensors[name].value, mask) for name, mask in masks.items()}
    module = as_module(graph, sources)
    if rewind is not None:
        rewind.module = module
    # An interrupted training begins again: the step to rewind to would be missed otherwise.
    result = replace(workshop, checkpoint=None).train(graph, module, step, hook=rewind)
    values = constants_of(graph, module)
    if file and not result.diverged:
        arrays = {f"v:{name}": array for name, array in values.items()}
        if rewind is not None:
            arrays |= {f"r:{name}": array for name, array in rewind.values.items()}
        score = result.score
        accuracy = np.nan if score.accuracy is None else score.accuracy
        temporary = file.with_suffix(".part.npz")
        np.savez(temporary, allow_pickle=False, **arrays, score=np.array([accuracy, score.loss]))
        temporary.replace(file)
    return _Ticket(values, result)


def _drawn_again(graph: Graph, names: tuple[str, ...], seed: int) -> Values:
    """Other weights of the same distribution: the layer's own first ones in another order."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(graph.tensors[name].value.ravel()).reshape(graph.tensors[name].shape)
        for name in names
    }


def _row(
    graph: Graph,
    workshop: Workshop,
    masks: Mapping[str, Array],
    ticket: _Ticket,
    control: _Ticket | None,
) -> dict[str, Any]:
    """One round of the account."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    row: dict[str, Any] = {"kept": kept / sum(mask.size for mask in masks.values())}
    for prefix, found in (("", ticket), ("control_", control)):
        if found is None:
            continue
        test = workshop.judge(with_constants(graph, found.values))
        row[f"{prefix}validation"] = found.result.score.accuracy
        row[f"{prefix}validation_loss"] = found.result.score.loss
        row[f"{prefix}test"] = test and test.accuracy
    workshop.say(", ".join(f"{key} {value:.4f}" for key, value in row.items() if value is not None))
    return row
