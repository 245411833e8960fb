"""What a technique gets and what it answers."""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecomp.compress.train.augment import Augmentation
from edgecomp.compress.train.examples import Split
from edgecomp.compress.train.graph_module import weight_tensors
from edgecomp.compress.train.loop import FitOptions
from edgecomp.compress.train.scoring import Score
from edgecomp.config import Step, TrainingSection
from edgecomp.errors import UserError
from edgecomp.ir import Graph


@dataclass(frozen=True)
class Workshop:
    """What every technique works with.

    Attributes:
        split: training and validation samples.
        training: the recipe's options of training.
        checkpoint: where an interrupted training is kept.
        say: told of progress.
    """

    split: Split
    training: TrainingSection
    checkpoint: Path | None = None
    say: Callable[[str], None] = lambda text: None

    def fit_options(self, step: Step) -> FitOptions:
        """How `step` trains."""
        return FitOptions(
            epochs=step.epochs,
            learning_rate=step.learning_rate,
            batch=self.training.batch,
            patience=self.training.patience,
            seed=self.training.seed,
            weight_decay=self.training.weight_decay,
            augmentation=Augmentation(**self.training.augment.model_dump()),
        )


@dataclass(frozen=True)
class Outcome:
    """What a step came to.

    Attributes:
        graph: the new graph, with the best weights that training found.
        score: of this graph on the validation samples.
        diverged: where training diverged, or empty.
        note: what was done, for people.
    """

    graph: Graph
    score: Score
    diverged: str = ""
    note: str = ""


def chosen_weights(graph: Graph, step: Step) -> tuple[str, ...]:
    """The weights of the layers that the step's globs choose.

    Raises:
        UserError: a glob chooses no layer with weights.
    """
    layers = weight_tensors(graph)
    for pattern in step.layers:
        if not fnmatch.filter(layers.values(), pattern):
            raise UserError(
                f"{step.verb}: no layer with weights is named {pattern!r}; there are "
                + ", ".join(layers.values())
            )
    return tuple(
        name
        for name, layer in layers.items()
        if any(fnmatch.fnmatchcase(layer, pattern) for pattern in step.layers)
    )
