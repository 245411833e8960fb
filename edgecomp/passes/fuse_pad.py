"""Padding moves into the window of the layer that reads it."""

from dataclasses import replace

from edgecomp.ir import Graph, Node
from edgecomp.ops import OPS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import PadParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.spatial import Window
from edgecomp.passes.identities import drop_dead

NEVER_THE_MAXIMUM = -1e30
"""A border at most this low cannot win a max pool, so it is as good as ignored."""


def fuse_pad(graph: Graph) -> Graph:
    """Fuse zero padding into convolutions and average pools, the lowest value into max pools.

    Height and width only.  A fused average pool counts its padding, as it did before.
    """
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        pad = producers.get(node.inputs[0])
        border = pad.params if pad is not None else None
        if pad is not None and isinstance(border, PadParams) and isinstance(node.params, Window):
            nodes.append(_fused(graph, pad, border, node, node.params))
        else:
            nodes.append(node)
        producers[node.output] = nodes[-1]
    return drop_dead(graph.with_nodes(nodes, graph.tensors))


def _fused(graph: Graph, pad: Node, border: PadParams, node: Node, window: Window) -> Node:
    """Return `node` with the border of `pad`, or as it is where that would change its meaning."""
    own_scale = graph.node_output(pad).qparams != graph.tensor(pad.inputs[0]).qparams
    # TFLite's average adds up codes, the border's among them.
    counts_codes = node.op == "average_pool" and node.numerics == "tflite"
    if own_scale or counts_codes or not _may_fuse(border, window):
        return node
    before, after = border.before[1:-1], border.after[1:-1]
    top, bottom = (before[0], after[0]) if len(before) == 2 else (0, 0)
    params = replace(
        window,
        pad_top=window.pad_top + top,
        pad_bottom=window.pad_bottom + bottom,
        pad_left=window.pad_left + before[-1],
        pad_right=window.pad_right + after[-1],
    )
    if isinstance(params, AveragePoolParams):
        params = replace(params, count_include_pad=True)
    fused = replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), params=params)
    inputs = graph.node_inputs(fused)
    holds = all(constraint(params, inputs) for constraint in OPS[node.op].constraints())
    return fused if holds else node


def _may_fuse(border: PadParams, window: Window) -> bool:
    """Whether the window's own padding means the same as the border."""
    rank = len(border.before)
    ends = (border.before[0], border.after[0], border.before[-1], border.after[-1])
    if rank not in {3, 4} or any(ends):
        return False
    match window:
        case Conv2dParams():
            return border.value == 0
        case AveragePoolParams():
            counted = window.count_include_pad or not window.has_padding
            return border.value == 0 and counted
        case MaxPoolParams():
            return border.value <= NEVER_THE_MAXIMUM
    return False
