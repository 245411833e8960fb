"""Samples with their targets, as training needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Samples of every graph input, and one target each.

    Attributes:
        inputs: real values by graph input, `(samples, *shape)` float32.
        targets: class numbers `(samples,)` int64, or values `(samples, *output shape)` float32.
        are_labels: whether the targets are class numbers.
    """

    inputs: Mapping[str, Array]
    targets: Array
    are_labels: bool

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.targets)

    def take(self, indices: Indices) -> "Examples":
        """Return some of the samples."""
        inputs = {name: array[indices] for name, array in self.inputs.items()}
        return Examples(inputs, self.targets[indices], self.are_labels)


@dataclass(frozen=True)
class Split:
    """Training and validation samples; the test set is in neither."""

    train: Examples
    validation: Examples


def make_examples(
    graph: Graph, inputs: Mapping[str, Array], targets: Mapping[str, Array], source: str
) -> Examples:
    """Pair inputs with the targets of the first output.

    Without targets, a network whose output has the size of its input is trained to rebuild it.

    Args:
        graph: the float graph.
        inputs: real values by graph input.
        targets: by graph output: class numbers or values.
        source: what the user called the data set, for messages.

    Raises:
        UserError: there are no targets, or they do not fit the output.
    """
    output = graph.tensors[graph.outputs[0]]
    target = targets.get(output.name)
    if target is None:
        x = next(iter(inputs.values()))
        if len(inputs) > 1 or x[0].size != output.size:
            raise UserError(f"{source} has no targets: training needs an array 'y' beside 'x'")
        return Examples(inputs, x.reshape(len(x), *output.shape).astype(np.float32), False)
    if target[0].size == 1 and target.dtype.kind in "iub" and output.size > 1:
        labels = target.reshape(-1).astype(np.int64)
        if labels.min() < 0 or labels.max() >= output.shape[-1]:
            raise UserError(
                f"{source} has class numbers from {labels.min()} to {labels.max()}, but "
                f"{graph.name} has {output.shape[-1]} outputs"
            )
        return Examples(inputs, labels, True)
    if target[0].size != output.size:
        raise UserError(
            f"{source}: a target has {target[0].size} values, but the output {output.shape}"
        )
    return Examples(inputs, target.reshape(len(target), *output.shape).astype(np.float32), False)


def split(examples: Examples, share: float, seed: int) -> Split:
    """Set a share of the samples aside for validation, chosen by `seed`.

    Raises:
        UserError: there are too few samples for both parts.
    """
    count = round(share * len(examples))
    if not 0 < count < len(examples):
        raise UserError(f"{len(examples)} samples are too few to train on and to validate with")
    order = np.random.default_rng(seed).permutation(len(examples))
    return Split(
        examples.take(np.sort(order[count:])),
        examples.take(np.sort(order[:count])),
    )
