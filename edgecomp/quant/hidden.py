"""Scores that a mask hides from a softmax: they do not count when a range is chosen.

A hidden score is saturated to the smallest code.  It is enough that the code lies so far below
all others that its share rounds to nothing.
"""

import math

import numpy as np

from edgecomp.ir import Array, Graph
from edgecomp.ops.softmax import HIDDEN_SCORE

FAR = 12.0
"""How far below the smallest visible score: `exp(-12)` is below half a code, of int16 as well."""
_PASSED_ON = frozenset({"add", "where", "reshape", "transpose"})


def score_tensors(graph: Graph) -> frozenset[str]:
    """Return the activations that reach nothing but softmaxes."""
    found = {name for name, tensor in graph.tensors.items() if not tensor.is_const}
    found -= {*graph.inputs, *graph.outputs}
    consumers = graph.consumers()
    for node in reversed(graph.nodes):
        readers = consumers[node.output]
        if not all(
            reader.op == "softmax" or (reader.op in _PASSED_ON and reader.output in found)
            for reader in readers
        ):
            found.discard(node.output)
    return frozenset(found)


def visible(scores: Array) -> Array:
    """Return scores with hidden ones moved to `FAR` below the smallest of the others.

    >>> visible(np.array([1.0, -10_000.0, 3.0])).tolist()
    [1.0, -11.0, 3.0]
    """
    hidden = scores < HIDDEN_SCORE / 2
    if not hidden.any():
        return scores
    lowest = float(scores.min(where=~hidden, initial=math.inf))
    return np.where(hidden, (lowest if lowest < math.inf else 0.0) - FAR, scores)
