"""A small task that a small network learns in a second."""

import functools

import numpy as np

from edgecomp.compress.train.examples import make_examples, split
from edgecomp.frontend import read_model
from edgecomp.passes import run_passes

CLASSES = 4
SIDE = 16


def pictures(count, seed=0):
    """Bright quarters of noisy pictures: (count, 1, 16, 16, 1) and the number of the quarter."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    x = rng.normal(0, 0.5, (count, 1, SIDE, SIDE, 1)).astype(np.float32)
    for index, label in enumerate(y):
        top, left = 8 * (label // 2), 8 * (label % 2)
        x[index, 0, top : top + 8, left : left + 8] += 0.7
    return x, y


@functools.cache
def network(name="lenet-300-100", width=0.1):
    """An untrained network of the zoo for these pictures."""
    source = f"zoo:{name}?input=1,{SIDE},{SIDE}&classes={CLASSES}&width={width}"
    return run_passes(read_model(source))


def examples_for(graph, count=400, seed=0):
    """Pictures as examples of `graph`."""
    x, y = pictures(count, seed)
    x = x.reshape(count, *graph.tensors[graph.inputs[0]].shape)
    return make_examples(graph, {graph.inputs[0]: x}, {graph.outputs[0]: y}, "pictures")


def split_for(graph, count=400):
    """The same, split."""
    return split(examples_for(graph, count), 0.2, 0)
