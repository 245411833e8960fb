"""How good the answers of a network are: accuracy, top-5, AUC, mean squared error, or your own.

A metric sees real values: float outputs, or dequantized codes.  Ties go to the lowest index.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp.data.one_hot import class_numbers
from edgecomp.data.sources import load_function
from edgecomp.errors import UserError
from edgecomp.ir import Array


@dataclass(frozen=True)
class Answers:
    """What a metric judges; all arrays have the samples on their first axis.

    Attributes:
        outputs: real values by output.
        targets: labels or arrays by output; empty where the data set has none.
        inputs: real values by input, as the network saw them.
    """

    outputs: Mapping[str, Array]
    targets: Mapping[str, Array]
    inputs: Mapping[str, Array]

    def output(self) -> Array:
        """The first output, `(samples, values)`."""
        array = next(iter(self.outputs.values()))
        return array.reshape(len(array), -1)

    def target(self) -> Array | None:
        """The targets of the first output, if there are any."""
        return self.targets.get(next(iter(self.outputs)))

    def labels(self) -> Array:
        """The targets as class numbers `(samples,)`; one-hot rows are some, too.

        Raises:
            UserError: there are none, or they are not class numbers of this network.
        """
        target = self.target()
        if target is None:
            raise UserError("the data set has no targets: accuracy needs an array 'y' beside 'x'")
        found = class_numbers(target)
        if found is not None:
            return found
        flat = target.reshape(len(target), -1)
        if flat.shape[1] != 1 or target.dtype.kind not in "iub":
            raise UserError(
                f"the targets have shape {target.shape[1:]} and dtype {target.dtype}; this metric "
                "needs one class number per sample; choose another one with --metric"
            )
        return flat[:, 0]

    def classes(self) -> Array:
        """The targets as numbers of outputs `(samples,)`.

        Raises:
            UserError: there are none, or one of them is not the number of an output.
        """
        labels, count = self.labels(), self.output().shape[1]
        if labels.min() < 0 or labels.max() >= count:
            raise UserError(
                f"the labels go from {labels.min()} to {labels.max()}, but the network has "
                f"{count} classes, 0 to {count - 1}"
            )
        return labels


Metric = Callable[[Answers], float]


def accuracy(answers: Answers) -> float:
    """Share of samples whose largest output is the labelled class."""
    return float(np.mean(answers.output().argmax(axis=1) == answers.classes()))


def top5(answers: Answers) -> float:
    """Share of samples whose labelled class is among the five largest outputs."""
    best = np.argsort(-answers.output(), axis=1, kind="stable")[:, :5]
    return float(np.mean((best == answers.classes()[:, None]).any(axis=1)))


def mse(answers: Answers) -> float:
    """Mean squared error against the targets, or against the input where there are none."""
    target = answers.target()
    if target is None:
        target = next(iter(answers.inputs.values()))
    output = answers.output()
    flat = target.reshape(len(target), -1)
    if flat.shape != output.shape:
        raise UserError(
            f"the targets have {flat.shape[1]} numbers per sample, the output has {output.shape[1]}"
        )
    return float(np.mean((output.astype(np.float64) - flat.astype(np.float64)) ** 2))


def auc(answers: Answers) -> float:
    """Area under the ROC curve for labels 0 and 1.

    The score is the only output, the second minus the first of two, or, where the output is a
    reconstruction of the input, its mean squared error.  Equal scores count one half.
    """
    labels = answers.labels().astype(bool)
    if labels.all() or not labels.any():
        raise UserError("the AUC needs samples of both classes, labelled 0 and 1")
    output = answers.output().astype(np.float64)
    given = next(iter(answers.inputs.values()))
    if output.shape[1] == 1:
        score = output[:, 0]
    elif output.shape[1] == 2:
        score = output[:, 1] - output[:, 0]
    elif output.shape == given.reshape(len(given), -1).shape:
        score = ((output - given.reshape(output.shape)) ** 2).mean(axis=1)
    else:
        raise UserError("the AUC needs one output, two, or a reconstruction of the input")
    positive, negative = np.sort(score[labels]), score[~labels]
    below = np.searchsorted(positive, negative, side="left")
    up_to = np.searchsorted(positive, negative, side="right")
    wins = len(positive) - up_to + 0.5 * (up_to - below)
    return float(wins.sum() / (len(positive) * len(negative)))


METRICS: dict[str, Metric] = {"accuracy": accuracy, "top5": top5, "auc": auc, "mse": mse}
"""Metrics by name."""


def find_metric(name: str) -> Metric:
    """Return a metric by name, or `FILE.py:function(outputs, targets) -> float`.

    Raises:
        UserError: there is none.
    """
    if name in METRICS:
        return METRICS[name]
    if ".py:" not in name:
        raise UserError(
            f"unknown metric {name!r}; choose from {', '.join(METRICS)}, or give FILE.py:function"
        )
    function = load_function(name)

    def own(answers: Answers) -> float:
        try:
            return float(function(answers.outputs, answers.targets))
        except Exception as error:
            raise UserError(
                f"the metric {name} failed: {type(error).__name__}: {error}\n"
                "  it is called with outputs and targets by name and must return a number"
            ) from error

    return own
