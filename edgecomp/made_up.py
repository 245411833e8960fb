"""Samples for networks of which nobody has any, made up for `check-model`."""

from collections.abc import Callable

import numpy as np

from edgecomp.ir import Array, Graph

SAMPLES = 16
MOST_SAMPLED = 2**24
"""Elements of activations that samples may give rise to: large networks see fewer."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _between(low: float, high: float) -> Draw:
    return lambda rng, shape: rng.uniform(low, high, shape)


DRAWS: tuple[Draw, ...] = (
    lambda rng, shape: rng.standard_normal(shape, np.float32),
    _between(0.25, 0.75),  # roots, logarithms, quotients, arcus functions
    _between(1.25, 4.0),  # the inverse hyperbolic cosine
    _between(-0.75, -0.25),  # logarithms of what was negated
    lambda rng, shape: 1e-3 * rng.standard_normal(shape, np.float32),  # powers of large numbers
)
"""Ranges that a network may be made for, the likeliest first."""


def made_up_samples(graph: Graph) -> list[dict[str, Array]]:
    """Samples of several ranges, the same ones at every call.

    Returns:
        For each of `DRAWS` samples by input, `(samples, *shape)` float32.
    """
    elements = sum(t.size for t in graph.tensors.values() if not t.is_const)
    samples = min(max(MOST_SAMPLED // elements, 1), SAMPLES)
    return [
        {
            name: draw(rng, (samples, *graph.tensors[name].shape)).astype(np.float32)
            for name in graph.inputs
        }
        for draw, rng in ((draw, np.random.default_rng(0)) for draw in DRAWS)
    ]
