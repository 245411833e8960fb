"""What a technique gets and what it answers."""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecomp.compress.train.augment import Augmentation
from edgecomp.compress.train.examples import Split
from edgecomp.compress.train.graph_module import as_module, weight_tensors
from edgecomp.compress.train.loop import FitOptions, FitResult, Loss, fit
from edgecomp.compress.train.scoring import Score, evaluate
from edgecomp.compress.train.teacher import teacher_loss
from edgecomp.config import Step, TrainingSection, TrainingStep
from edgecomp.errors import UserError
from edgecomp.ir import Graph

if TYPE_CHECKING:
    from torch import nn

ORIGINAL = "original"
"""The teacher that a recipe calls so is the model before the first step."""


@dataclass(frozen=True)
class Workshop:
    """What every technique works with.

    Attributes:
        samples: training and validation samples; None where no step needs any.
        training: the recipe's options of training.
        checkpoint: where an interrupted training is kept.
        say: told of progress.
        original: the model before the first step.
        read: reads another model.
        judge: scores a graph on the test samples, for the account only; None where there are none.
    """

    samples: Split | None
    training: TrainingSection
    checkpoint: Path | None = None
    say: Callable[[str], None] = lambda text: None
    original: Graph | None = None
    read: Callable[[str], Graph] | None = None
    judge: Callable[[Graph], Score | None] = lambda graph: None

    def loss(self, graph: Graph, step: TrainingStep) -> Loss | None:
        """The loss of a step with a teacher; None for that of the data alone."""
        if step.teacher is None:
            return None
        teacher = self.original
        if step.teacher != ORIGINAL and self.read is not None:
            teacher = self.read(step.teacher)
        if teacher is None:
            raise UserError(f"{step.verb}: there is no teacher {step.teacher!r}")
        return teacher_loss(graph, teacher, step, are_labels=self.split.train.are_labels)

    def train(
        self, graph: Graph, module: "nn.Module", step: TrainingStep, **more: Any
    ) -> FitResult:
        """Train a module of `graph` as `step` says; `more` goes to `fit`."""
        return fit(
            graph,
            module,
            self.split,
            self.fit_options(step),
            loss=self.loss(graph, step),
            checkpoint=self.checkpoint,
            say=self.say,
            **more,
        )

    @property
    def split(self) -> Split:
        """The samples of a step that trains."""
        assert self.samples is not None, "the recipe was let through without data.train"
        return self.samples

    def score(self, graph: Graph) -> Score | None:
        """Score a graph on the validation samples, where there are some."""
        if self.samples is None:
            return None
        return evaluate(graph, as_module(graph), self.samples.validation)

    def fit_options(self, step: TrainingStep) -> FitOptions:
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
        score: of this graph on the validation samples, where there are some.
        diverged: where training diverged, or empty.
        note: what was done, for people.
        details: more about it, for the account.
    """

    graph: Graph
    score: Score | None
    diverged: str = ""
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def chosen_weights(
    graph: Graph, step: Step, among: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The weights of the layers that the step's globs choose.

    Args:
        graph: the network.
        step: the step.
        among: weights that it is about, and their layers; all of the network's unless given.

    Raises:
        UserError: a glob chooses no layer with weights.
    """
    layers = weight_tensors(graph) if among is None else among
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
