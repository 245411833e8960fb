"""Which codes every element of a quantized network can have, whatever the input.

Interval arithmetic through the exact integer layers: accumulator, requantization, clamp.  Padding
is taken into account at every position, so the intervals at a border differ from those inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from edgecomp.ir import NO_CLAMP, Array, Graph, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.linear import LinearConstants
from edgecomp.ops.prelu import PReluConstants
from edgecomp.requant import prepare_node

Interval = tuple[Array, Array]
"""Smallest and largest code of each element: two int64 arrays `(1, *shape)`."""


def code_intervals(graph: Graph) -> dict[str, Interval]:
    """Bound the codes of every activation of a quantized graph.

    Returns:
        By tensor name, arrays `(1, *shape)` that hold for all inputs; exact for layers of one
        operand, conservative where a layer's operands depend on each other.
    """
    full = {
        name: (np.full((1, *tensor.shape), -128), np.full((1, *tensor.shape), 127))
        for name, tensor in graph.tensors.items()
        if not tensor.is_const
    }
    intervals: dict[str, Interval] = {name: full[name] for name in graph.inputs}
    for node in graph.nodes:
        rule = None if node.is_float32 else _RULES.get(node.op)
        if rule is None:
            intervals[node.output] = full[node.output]
            continue
        operands = []
        for name in node.inputs:
            tensor = graph.tensors[name]
            operands.append((tensor.value, tensor.value) if tensor.is_const else intervals[name])
        low, high = rule(_Layer(graph, node), operands)
        intervals[node.output] = low.astype(np.int64), high.astype(np.int64)
    return intervals


class _Layer:
    """One node with its constants prepared."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.node = node
        self.op = OPS[node.op]
        self.inputs: tuple[Tensor, ...] = graph.node_inputs(node)
        self.prepared: Any = prepare_node(node, self.inputs, graph.node_output(node))

    def codes(self, arrays: Sequence[Array]) -> Array:
        return np.asarray(self.op.int_ref(self.node.params, self.prepared, self.inputs, arrays))


def _linear(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a convolution or dense layer: each weight takes the end that its sign asks for."""
    x, weights, *rest = layer.inputs
    assert x.qparams is not None
    constants: LinearConstants = layer.prepared
    params = replace(layer.node.params, clamp=NO_CLAMP)  # type: ignore[call-arg]
    w = weights.value.astype(np.float64)
    # Counted from the zero point, padding is 0 and float64 sums of such integers are exact.
    low, high = (end.astype(np.float64) - x.qparams.zero_point for end in operands[0])

    def acc(for_positive: Array, for_negative: Array) -> Array:
        total = sum(
            layer.op.float_ref(params, layer.inputs[:2], [array, part])
            for array, part in ((for_positive, np.maximum(w, 0)), (for_negative, np.minimum(w, 0)))
        )
        bias = rest[0].value.astype(np.int64) if rest else 0
        return np.asarray(total).astype(np.int64) + bias - constants.bias

    return constants.finish(acc(low, high)), constants.finish(acc(high, low))


def _rising(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a layer that rises with each of its operands."""
    return layer.codes([low for low, _ in operands]), layer.codes([high for _, high in operands])


def _sub(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a difference: it falls with its second operand."""
    (a_low, a_high), (b_low, b_high) = operands
    return layer.codes([a_low, b_high]), layer.codes([a_high, b_low])


def _mul(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a product: the extremes are among those of the ends."""
    return _extremes([layer.codes(ends) for ends in product(*operands)])


def _unary(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a table: the least and the largest entry between the ends."""
    table: Array = layer.prepared
    low, high = (end.astype(np.int64) + 128 for end in operands[0])
    least, largest = np.full((256, 256), 127), np.full((256, 256), -128)
    for start in range(256):
        least[start, start:] = np.minimum.accumulate(table[start:])
        largest[start, start:] = np.maximum.accumulate(table[start:])
    return least[low, high], largest[low, high]


def _prelu(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a PReLU: straight on both sides of its bend, so extremes are at ends and bend."""
    constants: PReluConstants = layer.prepared
    low, high = operands[0]
    bend = constants.input_zero_point
    points = [low, high, np.clip(bend, low, high), np.clip(bend - 1, low, high)]
    return _extremes([layer.codes([point, operands[1][0]]) for point in points])


def _embedding(layer: _Layer, operands: Sequence[Interval]) -> Interval:
    """Bound a choice of rows: each column has its own extremes."""
    table = operands[1][0]
    shape = layer.op.infer(layer.node.params, layer.inputs)
    low, high = (np.broadcast_to(end(table, axis=0), (1, *shape)) for end in (np.min, np.max))
    return low, high


def _extremes(candidates: Sequence[Array]) -> Interval:
    return np.minimum.reduce(candidates), np.maximum.reduce(candidates)


_RULES: dict[str, Callable[[_Layer, Sequence[Interval]], Interval]] = {
    "conv2d": _linear,
    "dense": _linear,
    "add": _rising,
    "sub": _sub,
    "mul": _mul,
    "maximum": _rising,
    "minimum": _rising,
    "unary": _unary,
    "prelu": _prelu,
    "max_pool": _rising,
    "average_pool": _rising,
    "reduce_mean": _rising,
    "reduce_sum": _rising,
    "reduce_max": _rising,
    "reduce_min": _rising,
    "top_values": _rising,
    "pad": _rising,
    "concat": _rising,
    "gather": _rising,
    "embedding": _embedding,
    "resize": _rising,
    "reshape": _rising,
    "transpose": _rising,
}
"""How each operator bounds its output; an operator without a rule may produce any code."""

BOUNDED_OPS = frozenset(_RULES)
"""Operators with a rule."""
