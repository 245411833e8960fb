"""Normalizations that a file takes apart become one layer: int8 codes of variances are too coarse.

PyTorch writes LayerNorm as seven layers for opsets below 17, and RMSNorm for all.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgecomp.ir import Graph, Node, Tensor
from edgecomp.ops.expression import Expr, X, evaluate, substitute
from edgecomp.ops.layer_norm import LONGEST, LayerNormParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.affine import as_affine
from edgecomp.passes.edit import clamp_of, sole_reader, unused_name, with_changes
from edgecomp.passes.identities import drop_dead

_PROBES = np.array([1e-6, 1e-3, 0.5, 1.0, 3.0, 1e3])
"""Where functions are compared: two that agree here are one."""


@dataclass(frozen=True)
class _Rows:
    """What is normalized along the last axis, and how; all names are tensors.

    Attributes:
        source: the rows.
        centered: whether their mean is subtracted.
        gain: factor of all elements.
        epsilon: added to the variance.
    """

    source: str
    centered: bool
    gain: float
    epsilon: float


def fuse_norm(graph: Graph) -> Graph:
    """Fuse `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + e) * gain + offset`, with or without mean.

    Nothing is fused across a tensor with qparams: its rounding is part of the network.
    """
    found = ((node, _rows(graph, node)) for node in graph.nodes)
    changed = graph
    for node, rows in found:
        if rows is not None:
            changed = _fused(changed, node, rows)
    return drop_dead(changed)


def _rows(graph: Graph, node: Node) -> _Rows | None:
    """Read a node as the division of rows by their own deviation."""
    clamp = clamp_of(node.params)
    if node.op not in {"div", "mul"} or clamp is None or not clamp.is_none:
        return None
    names = node.inputs if node.op == "div" else (*node.inputs, *reversed(node.inputs))
    for top, spread in zip(names[::2], names[1::2], strict=True):
        mean, expr = _function(graph, spread)
        squares = _row_mean(graph, mean)
        base = _squared(graph, squares) if squares is not None else None
        if base is None or graph.tensor(top).is_const or graph.tensor(top).shape[-1] > LONGEST:
            continue
        centre, bottom = _centred(graph, top), _centred(graph, base)
        if top != base and (centre is None or centre != bottom):
            continue
        found = _deviation(expr, inverse=node.op == "mul")
        if found is not None:
            source = top if centre is None else centre
            return _Rows(source, centre is not None, *found)
    return None


def _maker(graph: Graph, name: str, op: str) -> Node | None:
    """The node of a kind that makes a tensor which has no scale of its own."""
    node = graph.producers().get(name)
    own = graph.tensor(name).qparams is not None
    return node if node is not None and node.op == op and not own else None


def _function(graph: Graph, name: str) -> tuple[str, Expr]:
    """What a tensor is a function of, through any number of element-wise layers."""
    expr = X
    while (node := _maker(graph, name, "unary")) is not None:
        assert isinstance(node.params, UnaryParams)
        expr = substitute(expr, node.params.expr)
        (name,) = node.inputs
    return name, expr


def _row_mean(graph: Graph, name: str) -> str | None:
    """What a tensor is the mean of, along the last axis."""
    node = _maker(graph, name, "reduce_mean")
    if node is None:
        return None
    last = len(graph.tensor(node.inputs[0]).shape) - 1
    return node.inputs[0] if node.params == ReduceMeanParams((last,)) else None


def _squared(graph: Graph, name: str) -> str | None:
    """What a tensor is the square of."""
    product = _maker(graph, name, "mul")
    if product is not None:
        first, second = product.inputs
        clamp = clamp_of(product.params)
        return first if first == second and clamp is not None and clamp.is_none else None
    base, expr = _function(graph, name)
    return base if base != name and _agree(evaluate(expr, -_PROBES), _PROBES**2) else None


def _centred(graph: Graph, name: str) -> str | None:
    """The rows from which a tensor differs by their mean."""
    node = _maker(graph, name, "sub")
    if node is None or not (clamp := clamp_of(node.params)) or not clamp.is_none:
        return None
    source, mean = node.inputs
    return source if _row_mean(graph, mean) == source else None


def _deviation(expr: Expr, *, inverse: bool) -> tuple[float, float] | None:
    """Gain and epsilon where `expr` of the variance is a deviation, or one over it."""

    def squares(x: np.ndarray) -> np.ndarray:
        value = evaluate(expr, x)
        with np.errstate(all="ignore"):
            return np.asarray(1 / value**2 if inverse else value**2)

    slope = float(squares(np.array([1.0]))[0] - squares(np.array([0.0]))[0])
    epsilon = float(squares(np.array([0.0]))[0])
    if not (np.isfinite(slope) and slope > 0 and np.isfinite(epsilon) and epsilon >= 0):
        return None
    is_root = _agree(squares(_PROBES), slope * _PROBES + epsilon)
    is_positive = bool((evaluate(expr, _PROBES) > 0).all())
    return (slope**-0.5, epsilon / slope) if is_root and is_positive else None


def _agree(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.allclose(first, second, rtol=1e-6, atol=0.0))


def _fused(graph: Graph, node: Node, rows: _Rows) -> Graph:
    """Put the normalization in place of its last division, and gain and offset that follow."""
    channels = graph.tensor(rows.source).shape[-1]
    gain, offset = np.full(channels, rows.gain), np.zeros(channels)
    consumers, last, changes = graph.consumers(), node, dict[str, Node | None]()
    while graph.tensor(last.output).qparams is None:
        reader = sole_reader(graph, consumers, last.output)
        line = as_affine(graph, reader) if reader is not None else None
        if reader is None or line is None or line.source != last.output:
            break
        q = graph.tensor(reader.output).qparams
        # A quantized file bounds what it computes to its codes, which does nothing more.
        if not line.clamp.is_none and (q is None or line.clamp.codes(q) != q.limits):
            break
        gain, offset = gain * line.factor, offset * line.factor + line.addend
        changes[last.output], last = None, reader
    constants = [
        Tensor(
            unused_name(graph, f"{last.name}.{what}"),
            value.shape,
            data=value.astype(np.float32),
            layout="C",
        )
        for what, value in (("gain", gain), ("offset", offset))
    ]
    params = LayerNormParams(rows.epsilon, rows.centered)
    inputs = (rows.source, *(constant.name for constant in constants))
    changes[last.output] = replace(last, op="layer_norm", inputs=inputs, params=params)
    return with_changes(graph, changes, constants)
