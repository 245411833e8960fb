"""Passes over the float graph: pure functions from graph to graph, verified after each."""

from collections.abc import Callable, Sequence

from edgecomp.ir import Graph
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS, check_constraints
from edgecomp.passes.constants import fold_constants, refuse_constant
from edgecomp.passes.fold_affine import fold_affine
from edgecomp.passes.fuse_clamp import fuse_clamp
from edgecomp.passes.fuse_last import fuse_last
from edgecomp.passes.fuse_norm import fuse_norm
from edgecomp.passes.fuse_pad import fuse_pad
from edgecomp.passes.fuse_unary import fuse_unary
from edgecomp.passes.identities import drop_dead, drop_identities
from edgecomp.passes.layout import layout

Pass = Callable[[Graph], Graph]

DEFAULT_PASSES: tuple[Pass, ...] = (
    refuse_constant,  # before anything else: there would be nothing left
    drop_dead,  # what no output needs would only be in the way
    fold_constants,  # before layout, so that fewer constants have to be permuted
    drop_identities,  # a file may have layers that do nothing between two that could fuse
    fuse_norm,  # before layout, which must know which axis has to be the last one
    layout,  # the patterns below look for channels last, without transposes between layers
    fuse_norm,  # once more: layout has brought the channels of images to the last axis
    fuse_pad,  # before fold_affine, which must know of all padding
    fold_affine,  # before fuse_clamp: BatchNorm lies between a convolution and its activation
    fuse_clamp,  # before fuse_unary, which would take a clamp for the beginning of a chain
    fuse_last,  # behind layout, which brings the choice of a row to the sequence itself
    fuse_unary,  # what could not fuse with a linear layer becomes one table
    drop_identities,  # windows and chains that have become trivial
    drop_dead,  # constants and nodes that fusing has left behind
)
"""Passes in order, each with the reason for its place."""

__all__ = ["DEFAULT_PASSES", "Pass", "run_passes"]


def run_passes(graph: Graph, passes: Sequence[Pass] = DEFAULT_PASSES) -> Graph:
    """Apply `passes` in order, verify the graph after each, and check the limits at the end.

    Raises:
        UnsupportedError: a layer breaks a limit of its operator.
        InternalError: a pass made an inconsistent graph.
    """
    verify(graph, OPS)
    for apply in passes:
        graph = apply(graph)
        verify(graph, OPS)
    for node in graph.nodes:
        check_constraints(OPS[node.op], node.params, graph.node_inputs(node), node.name)
    return graph
