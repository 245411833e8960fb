"""Which layers compute in float32: those that the user names, and no others."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.ir import Graph, Node
from edgecomp.ops import OPS
from edgecomp.requant.float32 import FLOAT32_OPS

_ROUNDED_ONCE = frozenset(
    {"unary", "matmul", "maximum", "minimum", "max_pool", "average_pool", "compare", "where"}
    | {"reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "argmax", "top_indices"}
)
"""Operators whose codes are their real results rounded once, within 1e-6 of a code."""


def float_layers(graph: Graph, patterns: Sequence[str]) -> dict[str, str]:
    """Find the layers that are asked for.

    Args:
        graph: a float graph, ready to be quantized.
        patterns: layer names, or globs (`block3.*`).  What a glob finds besides and float32 would
            not change is left as it is; what a name finds must be there in float32.

    Returns:
        The pattern that asked for it, by layer name.

    Raises:
        UserError: no layer has such a name.
        UnsupportedError: there is no float32 code for the layer, or it would change nothing.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        exact = [node for node in graph.nodes if node.name == pattern]
        nodes = exact or [node for node in graph.nodes if fnmatchcase(node.name, pattern)]
        if not nodes:
            names = [node.name for node in graph.nodes]
            near = ", ".join(repr(name) for name in get_close_matches(pattern, names, 3, 0.5))
            raise UserError(
                f"--float {pattern}: no layer has this name\n  "
                + (f"near it: {near}; " if near else "")
                + "the report and `edgecomp show` list the layers"
            )
        usable = [node for node in nodes if node.op in FLOAT32_OPS]
        if not usable:
            raise _refusal(nodes[0])
        for node in usable:
            found.setdefault(node.name, pattern)
    return found


def left_in_integers(
    graph: Graph, patterns: Sequence[str], in_float: Collection[str]
) -> dict[str, str]:
    """Why layers that a glob finds, too, do not compute in float32.

    Args:
        graph: a float graph, ready to be quantized.
        patterns: as `float_layers` takes them.
        in_float: names of the layers that it has found.

    Returns:
        The reason by layer name.
    """
    return {
        node.name: _reason(node)
        for node in graph.nodes
        if node.name not in in_float and any(fnmatchcase(node.name, p) for p in patterns)
    }


def _refusal(node: Node) -> UnsupportedError:
    """The error for a layer that is not computed in float32."""
    return UnsupportedError(node.op, node.name, _reason(node), "leave it out of --float")


def _reason(node: Node) -> str:
    """Why a layer is not computed in float32."""
    if OPS[node.op].same_qparams:
        return "it only moves codes: float32 would change nothing"
    if node.op in _ROUNDED_ONCE:
        return "its codes are the real results, rounded once: float32 would give the same"
    return f"there is no float32 code for it, but for {', '.join(FLOAT32_OPS)}"
