"""The least scale that an activation may have.

An output that hardly varies on the calibration samples (a ReLU that never fires) would get a scale
so small that the accumulator leaves int32 when another sample wakes it up.  A scale of at least
2^-22 of the largest value that the layer can produce leaves nine bits of room, and costs nothing:
real layers use more than a thousandth of that range.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Graph, Node, QParams
from edgecomp.ir.weights import LINEAR
from edgecomp.ops.gates import UNIT_BITS
from edgecomp.ops.lstm import LstmParams
from edgecomp.quant.observe import LARGEST_REAL
from edgecomp.quant.sharing import Group, by_member

ROOM = 2.0**-22
_Magnitudes = list[float]


def raise_scales(
    graph: Graph, groups: tuple[Group, ...], qparams: Mapping[str, QParams]
) -> dict[str, QParams]:
    """Raise scales to their floors, in the order of the graph; presets stay as they are."""
    result = dict(qparams)
    members = by_member(groups)
    for _ in range(len(graph.nodes)):
        changed = False
        for node in graph.nodes:
            group = members[node.output]
            if group.preset is not None or node.output not in group.sources:
                continue
            floor = _floor(graph, node, result)
            old = result[node.output]
            if floor > old.scalar:
                raised = replace(old, scale=(floor,))
                result.update(dict.fromkeys(group.members, raised))
                changed = True
        if not changed:
            break
    return result


def _floor(graph: Graph, node: Node, qparams: Mapping[str, QParams]) -> float:
    """The least scale of a layer's output."""
    largest = _largest(graph, node, qparams)
    if not largest <= LARGEST_REAL:
        raise UserError(
            f"layer {node.name!r} can produce values up to {largest:.2g}; at most "
            f"{LARGEST_REAL:.0g} are possible\n  look for weights that are far too large"
        )
    return float(np.float32(ROOM * largest))


def _largest(graph: Graph, node: Node, qparams: Mapping[str, QParams]) -> float:
    """Bound of the layer's real outputs, before clamping, for any input codes."""
    sizes = []
    for tensor in graph.node_inputs(node):
        if tensor.is_const:
            sizes.append(float(np.abs(tensor.value).max(initial=0.0)))
        else:
            q = qparams[tensor.name]
            sizes.append(q.scalar * max(q.zero_point + 128, 127 - q.zero_point))
    if node.op in LINEAR:
        _, weights, *bias = graph.node_inputs(node)
        gains = np.abs(weights.value.astype(np.float64)).reshape(weights.shape[0], -1).sum(axis=1)
        return float((gains * sizes[0] + (np.abs(bias[0].value) if bias else 0.0)).max())
    if node.op == "reduce_sum":
        x, y = graph.node_inputs(node)[0], graph.node_output(node)
        return sizes[0] * x.size / y.size
    if node.op == "matmul":
        return sizes[0] * sizes[1] * graph.node_inputs(node)[0].shape[-1]
    if node.op == "log_softmax":
        return 2 * sizes[0] + math.log(graph.node_inputs(node)[0].shape[-1])
    if node.op == "layer_norm":
        # Room for the offsets' fraction bits.
        longest = math.sqrt(graph.node_inputs(node)[0].shape[-1])
        return 2.0**8 * (longest * sizes[1] + sizes[2])
    if isinstance(node.params, LstmParams):
        # Only a cell state that is an output has a scale to be raised.
        return 2.0 ** (UNIT_BITS - node.params.cell_bits)
    bound = _BOUNDS.get(node.op)
    return 0.0 if bound is None else float(bound(sizes))


_BOUNDS: dict[str, Callable[[_Magnitudes], float]] = {
    "add": sum,
    "sub": sum,
    "where": lambda sizes: max(sizes[1:]),
    "maximum": max,
    "minimum": max,
    "rnn": lambda sizes: 2.0**7,  # a ReLU's scale is at least two units of pre-activations
    "mul": lambda sizes: sizes[0] * sizes[1],
    "prelu": lambda sizes: sizes[0] * max(1.0, sizes[1]),
    "average_pool": max,
    "reduce_mean": max,
}
