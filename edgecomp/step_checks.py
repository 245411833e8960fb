"""What is wrong with a recipe for a certain model and data, found before anything is trained."""

import difflib
import fnmatch
from collections.abc import Callable, Sequence

import numpy as np

from edgecomp.compress.technique import ORIGINAL
from edgecomp.compress.train.examples import Examples
from edgecomp.compress.train.graph_module import weight_tensors
from edgecomp.compress.train.teacher import check_teacher
from edgecomp.config import Quantize, Recipe, Step, TrainingStep
from edgecomp.data import Dataset
from edgecomp.errors import RecipeError, UserError
from edgecomp.ir import Graph

LARGEST, SMALLEST = 1e6, 1e-6
"""Samples whose largest value is beyond these train nothing: a scale is wrong."""
_PARTS = 3
"""At most so many layers come of one that is factorized: `NAME.0`, `NAME.1`, `NAME`."""


def check_recipe(recipe: Recipe, *, for_build: bool = False) -> None:
    """Refuse a recipe without steps, without samples that a step needs, or with a test set of them.

    Args:
        recipe: what to follow.
        for_build: whether a build follows it, whose `--data` trains nothing.

    Raises:
        RecipeError: something is missing.
    """
    if not recipe.steps:
        raise RecipeError("the recipe has no steps; add steps, or give one with -s prune=0.5")
    data = recipe.data
    hungry = next((step for step in recipe.steps if step.needs_data), None)
    if data.train is None and hungry is not None:
        more = (
            "; --data of a build calibrates and measures only" if for_build else " or with --data"
        )
        raise RecipeError(
            f"{hungry.text}: training needs samples: give them in the recipe "
            f"(data: {{train: FILE.npz}}){more}"
        )
    if data.test is not None and data.test == data.train:
        raise _the_same(data.test, data.train)


def count_shared(train: Examples, test: Examples, sources: tuple[str, str]) -> int:
    """How many test samples are among those that train.

    Args:
        train: all samples that training is given.
        test: the test samples.
        sources: what the user calls both, for messages.

    Raises:
        RecipeError: they are the same samples, in the same order.
    """
    known = [_rows(train), _rows(test)]
    if known[0] == known[1]:
        raise _the_same(sources[1], sources[0])
    seen = set(known[0])
    return sum(row in seen for row in known[1])


def _rows(examples: Examples) -> list[int]:
    """A hash of each sample's inputs."""
    arrays = examples.inputs.values()
    return [hash(b"".join(part.tobytes() for part in parts)) for parts in zip(*arrays, strict=True)]


def _the_same(test: str, train: str) -> RecipeError:
    names = test if test == train else f"{test} and {train}"
    return RecipeError(
        f"data.test and data.train are the same, {names}: the test set must have samples that "
        "training never sees"
    )


def check_steps(graph: Graph, steps: Sequence[Step], read: Callable[[str], Graph]) -> None:
    """Refuse steps that name layers or teachers that will not be there when their turn comes.

    Args:
        graph: the model before the first step.
        steps: in order.
        read: reads a teacher.

    Raises:
        RecipeError: a glob chooses no layer, in the model or in what an earlier step makes of it.
        UserError: a teacher cannot be read, or is one of another task.
    """
    names = list(weight_tensors(graph).values())
    for number, step in enumerate(steps, 1):
        where = f"step {number} ({step.text})"
        _check_globs(f"{where}: layers", step.layers, names)
        if isinstance(step, Quantize):
            _check_globs(f"{where}: keep8", step.keep8, names)
        if isinstance(step, TrainingStep) and step.teacher not in {None, ORIGINAL}:
            try:
                check_teacher(graph, read(str(step.teacher)))
            except UserError as error:
                raise UserError(f"{where}: from: {error}") from error
        if step.verb == "factorize":
            names += [f"{name}.{part}" for name in names for part in range(_PARTS)]


def check_reach(dataset: Dataset) -> None:
    """Refuse samples that preprocessing makes too large or too small to learn from.

    Raises:
        UserError: they are; the message has the range of the raw values.
    """
    for name, raw in dataset.raw.items():
        real = np.abs(dataset.preprocessing.apply(raw))
        # What is not finite or not a number is not within, either.
        within = bool(real.max(initial=0) <= LARGEST)
        if within and (real.max(initial=0) >= SMALLEST or not raw.any()):
            continue
        low, high = raw.min(), raw.max()
        raise UserError(
            f"{dataset.source}: the values of {name!r} go from {low:g} to {high:g}, and are up to "
            f"{real.max():g} after (x * scale - mean) / std with scale "
            f"{dataset.preprocessing.scale:g}: nothing learns from these\n"
            f"  scale: {1 / max(abs(float(low)), abs(float(high))):.6g} would bring them to 1"
        )


def _check_globs(where: str, patterns: Sequence[str], names: list[str]) -> None:
    """Refuse a glob that chooses none of the layers."""
    for pattern in patterns:
        if fnmatch.filter(names, pattern):
            continue
        near = difflib.get_close_matches(pattern.strip("*"), names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecipeError(
            f"{where}: no layer with weights is named {pattern!r}{hint}\n"
            f"  there are {', '.join(names)}"
        )
