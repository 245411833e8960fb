"""Channels that are dead whatever the samples are that calibrate.

Which channels of a quantized network always have the same code depends on its scales, and these on
the samples.  What the weights alone say does not: a channel whose weights are (as good as) zero
has the same value for every input, and so has all that is computed from such channels only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp.ir import Array, Graph, Node
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.passes.code_intervals import BOUNDED_OPS

MARGIN = 2.0**32
"""How far below one code a number must lie to be none with any samples: what weight decay leaves
behind lies far lower (1e-30), and no samples bring two scales that much closer."""


@dataclass(frozen=True)
class CertainChannels:
    """What the weights say of a network.

    Attributes:
        constant: for each activation, the channels that never change (bool per channel).
        zero: those of them that are zero, too.
        negligible: by the name of a linear layer, which of its weights are as good as zero.
    """

    constant: Mapping[str, Array]
    zero: Mapping[str, Array]
    negligible: Mapping[str, Array]


def certain_channels(real: Graph, quantized: Graph) -> CertainChannels:
    """Find the channels that no sample can bring to life.

    Args:
        real: the float graph.
        quantized: the same in integers, node by node; its scales only set the measure for what is
            as good as zero.
    """
    values: dict[str, Array] = {
        name: np.full((1, *tensor.shape), np.nan)
        for name, tensor in real.tensors.items()
        if not tensor.is_const
    }
    negligible = {}
    for node, made in zip(real.nodes, quantized.nodes, strict=True):
        if made.is_float32 or node.op not in BOUNDED_OPS:
            continue
        if node.op in LINEAR:
            negligible[node.name] = _negligible(real, node, quantized, made)
            values[node.output] = _linear(real, node, values, negligible[node.name])
        else:
            values[node.output] = _computed(real, node, values)
    constant: dict[str, Array] = {}
    zero: dict[str, Array] = {}
    for name, value in values.items():
        rows = value.reshape(-1, value.shape[-1]) if value.ndim > 1 else value[:, None]
        qparams = quantized.tensors[name].qparams
        assert qparams is not None
        zero[name] = np.asarray((np.abs(rows) * MARGIN < qparams.scalar).all(axis=0))
        constant[name] = np.asarray(zero[name] | (rows == rows[0]).all(axis=0))
    return CertainChannels(constant, zero, negligible)


def _negligible(real: Graph, node: Node, quantized: Graph, made: Node) -> Array:
    """Weights that are far below half a code of theirs, in the weights' shape."""
    weights = real.tensors[node.inputs[1]].value.astype(np.float64)
    qparams = quantized.tensors[made.inputs[1]].qparams
    assert qparams is not None
    scales = np.broadcast_to(np.asarray(qparams.scale, np.float64), len(weights))
    return np.asarray(np.abs(weights) * MARGIN < scales.reshape(-1, *[1] * (weights.ndim - 1)))


def _linear(real: Graph, node: Node, values: Mapping[str, Array], negligible: Array) -> Array:
    """Values of a convolution or dense layer; NaN where a weight that counts reads NaN."""
    inputs = real.node_inputs(node)
    x = values[node.inputs[0]]
    reads = OPS[node.op].float_ref(
        node.params, inputs[:2], [np.isnan(x).astype(np.float64), (~negligible).astype(np.float64)]
    )
    constants = [np.where(negligible, 0.0, inputs[1].value), *(t.value for t in inputs[2:])]
    result = OPS[node.op].float_ref(node.params, inputs, [np.nan_to_num(x), *constants])
    return np.where(np.asarray(reads) > 0, np.nan, result)


def _computed(real: Graph, node: Node, values: Mapping[str, Array]) -> Array:
    """Values of any other layer that code intervals can be followed through."""
    inputs = real.node_inputs(node)
    arrays = [t.value if t.is_const else values[t.name] for t in inputs]
    with np.errstate(all="ignore"):
        result = np.asarray(OPS[node.op].float_ref(node.params, inputs, arrays))
    return np.where(np.isnan(arrays[0]), np.nan, result) if node.op == "unary" else result
