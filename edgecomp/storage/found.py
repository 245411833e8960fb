"""What weights arrive with: zeros and few values, left by whatever made the model small before."""

from dataclasses import dataclass, replace

import numpy as np

from edgecomp.ir import Array, Graph
from edgecomp.ir.weights import weights_of

PLAIN = ("dense8",)
SPECIAL = ("sparse", "codebook")
LEAST_ZEROS = 1 / 3
"""Share of zeros from which on leaving them out can save flash."""
MOST_VALUES = 16
"""Different weights of a channel up to which a table of them is far smaller than they are."""
LEAST_REUSE = 4
"""How often a channel must use each of its values at least, on average."""


@dataclass(frozen=True)
class Found:
    """What is special about the weights of a layer.

    Attributes:
        zeros: share of the weights that are 0.
        values: different weights in one channel, at most.
        reuse: weights of a channel by `values`.
    """

    zeros: float
    values: int
    reuse: float

    @property
    def text(self) -> str:
        """For people.

        >>> Found(0.614, 16, 9.0).text
        '61 % zeros, 16 values'
        """
        return f"{100 * self.zeros:.0f} % zeros, {self.values} values"

    @property
    def storages(self) -> tuple[str, ...]:
        """What may pay for such weights beside plain int8, keys of `STORAGES`."""
        pays = []
        if self.zeros >= LEAST_ZEROS:
            pays.append("sparse")
        if self.values <= MOST_VALUES and self.reuse >= LEAST_REUSE:
            pays.append("codebook")
        return tuple(pays)


def look_at(weights: Array) -> Found:
    """Count zeros and values of int8 weights, channels first."""
    rows = weights.reshape(len(weights), -1)
    values = max(len(np.unique(row)) for row in rows)
    return Found(float((rows == 0).mean()), values, rows.shape[1] / values)


def allow_found(graph: Graph) -> Graph:
    """Let weights that came sparse or with few values be stored so, where that pays.

    Args:
        graph: a quantized graph; weights for which a recipe has said how they may lie are left
            alone.

    Returns:
        The graph with marks; plain int8 stays allowed everywhere.
    """
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        weights = [tensors[name] for name in weights_of(graph, node)]
        if not weights or weights[0].storages != PLAIN:
            continue
        # The matrices of a recurrent layer lie in one way.
        pays = [s for s in SPECIAL if all(s in look_at(t.value).storages for t in weights)]
        tensors |= {t.name: replace(t, storages=(*PLAIN, *pays)) for t in weights}
    return graph.replace(tensors=tensors)
