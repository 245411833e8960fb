"""Operators of ONNX that a few others make up: norms, running sums, one-hot rows.

Source of the semantics: ONNX Hardmax, OneHot, CumSum, LRN, LpNormalization,
MeanVarianceNormalization, Trilu.
"""

import math
from dataclasses import replace

import numpy as np

from edgecomp.ops.argmax import MOST, ArgMaxParams, emit_argmax
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.choosing import emit_chosen
from edgecomp.ops.dense import emit_dense
from edgecomp.ops.div import DivParams
from edgecomp.ops.embedding import emit_embedding
from edgecomp.ops.expression import X, call
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.movement import constant_ints
from edgecomp.ops.mul import MulParams
from edgecomp.ops.pooling import norm_root, norm_terms
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.slicing import axis_of
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.where import WhereParams

HARDMAX_OF_ONE_AXIS = 13
"""Operator set since which Hardmax looks along one axis; before, at all from it on."""
NO_VARIANCE = 1e-18
"""Added to variances where the file adds 1e-9 to their roots: a constant row stays 0."""
SMALLEST_NORM = 1e-12
"""What is divided by in place of 0."""


def _hardmax(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Hardmax: the row of the unit matrix that the index of the largest chooses."""
    shape = build.shape(node.inputs[0])
    is_old = node.opset < HARDMAX_OF_ONE_AXIS
    axis = axis_of(node, build, int(node.attrs.get("axis", 1 if is_old else -1)), len(shape))
    x, seen = node.inputs[0], shape
    if is_old:
        seen, axis = (math.prod(shape[:axis]), math.prod(shape[axis:])), 1
        x = build.reshape(x, seen, node)
    part = replace(node, name=f"{node.name}.index", inputs=(x,), outputs=())
    index = emit_argmax(part, build, axis, ArgMaxParams(True), keepdims=False)
    table = build.constant(np.eye(seen[axis], dtype=np.float32), f"{node.name}.rows")
    rows = emit_embedding(replace(node, inputs=(table, index)), build, 0)
    return build.reshape(_moved(rows, build, axis, node), shape, node)


def _moved(rows: str, build: Builder, axis: int, node: ImportedNode) -> str:
    """Move the last axis to the place `axis`."""
    rank = len(build.shape(rows))
    return build.transpose(rows, [*range(axis), rank - 1, *range(axis, rank - 1)], node)


def _one_hot(node: ImportedNode, build: Builder) -> str:
    """Import ONNX OneHot: rows of a constant table, or choices between two computed numbers."""
    index, _, both = node.inputs[:3]
    indices, depths, values = (build.value(name) for name in node.inputs[:3])
    if depths is None:
        raise build.unsupported(node, "its depth must be a constant")
    depth = int(depths.reshape(-1)[0])
    if not 0 < depth <= MOST:
        raise build.unsupported(
            node, f"a depth of {depth}; 1 to {MOST} are possible", "look it up before the network"
        )
    rank = len(build.shape(index)) + 1
    axis = axis_of(node, build, int(node.attrs.get("axis", -1)), rank)
    if indices is not None:
        places = np.where(indices < 0, indices + depth, indices).astype(np.int64)
        marks = places[..., None] == np.arange(depth)
        return emit_chosen(node, build, both, np.moveaxis(marks, -1, axis).astype(np.int64))
    # What is no index has a row of its own, as far as codes tell it apart.
    off, on = (0.0, 1.0) if values is None else (float(number) for number in values.reshape(-1))
    table = np.full((min(depth + 1, MOST), depth), off, np.float32)
    np.fill_diagonal(table, on)
    name = build.constant(table, f"{node.name}.rows")
    part = node if values is not None else replace(node, name=f"{node.name}.which", outputs=())
    rows = emit_embedding(replace(part, inputs=(name, index)), build, 0)
    hot = _moved(rows, build, axis, part)
    if values is not None:
        return hot
    first = np.zeros((1,) * rank, np.int64)
    numbers = [emit_chosen(part, build, both, first + place, f".{place}") for place in (1, 0)]
    return build.emit("where", [hot, *numbers], WhereParams(), node)


def _cumulated(node: ImportedNode, build: Builder) -> str:
    """Import ONNX CumSum: a product with a triangle of ones."""
    x = node.inputs[0]
    shape = build.shape(x)
    (given,) = constant_ints(node, build, "axis", 1) or [0]
    axis = axis_of(node, build, given, len(shape))
    ones = np.ones((shape[axis], shape[axis]), np.float32)
    triangle = np.tril(ones, -1 if node.attrs.get("exclusive", 0) else 0)
    if node.attrs.get("reverse", 0):
        triangle = triangle.T
    return _mixed(node, build, x, axis, triangle)


def _mixed(node: ImportedNode, build: Builder, x: str, axis: int, weights: np.ndarray) -> str:
    """Multiply the vectors along an axis by a matrix, given as OI."""
    shape = build.shape(x)
    order = [*(a for a in range(len(shape)) if a != axis), axis]
    rows = build.transpose(x, order, node)
    flat = (math.prod(shape) // shape[axis], shape[axis])
    y = emit_dense(node, build, build.reshape(rows, flat, node), weights, "", None)
    y = build.reshape(y, tuple(shape[a] for a in order), node)
    return _moved(y, build, axis, node)


def _local_response(node: ImportedNode, build: Builder) -> str:
    """Import ONNX LRN: a power of the sum of squares over neighbouring channels is the factor."""
    x = node.inputs[0]
    size, bias = int(node.attrs["size"]), float(node.attrs.get("bias", 1.0))
    alpha, beta = float(node.attrs.get("alpha", 1e-4)), float(node.attrs.get("beta", 0.75))
    if bias <= 0 or alpha < 0:
        raise build.unsupported(node, "a bias or alpha that is not positive", "use bias 1")
    place = np.arange(build.shape(x)[1])
    distance = place[None, :] - place[:, None]
    band = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    part = replace(node, outputs=())
    square = build.emit("unary", [x], UnaryParams(call("mul", X, X)), part, ".square")
    inner = replace(part, name=f"{node.name}.sum")
    total = _mixed(inner, build, square, 1, band.astype(np.float32))
    scaled = call("add", bias, call("mul", call("relu", X), alpha / size))
    factor = UnaryParams(call("pow", scaled, -beta))
    return build.emit(
        "mul", [x, build.emit("unary", [total], factor, part, ".factor")], MulParams(), node
    )


def _norm(node: ImportedNode, build: Builder, axes: tuple[int, ...], last: str) -> str:
    """The norm over some axes, which become 1."""
    power, p = norm_terms(node, build)
    part = replace(node, outputs=()) if last else node
    y = build.emit(
        "unary", [node.inputs[0]], UnaryParams(power), replace(part, outputs=()), ".power"
    )
    final = part if p == 1 else replace(part, outputs=())
    suffix = last if p == 1 else ".sum"
    y = build.emit("reduce_sum", [y], ReduceMeanParams(axes), final, suffix)
    return y if p == 1 else build.emit("unary", [y], UnaryParams(norm_root(p, X)), part, last)


def _normalized(node: ImportedNode, build: Builder) -> str:
    """Import ONNX LpNormalization: division by the norm along an axis; zeros stay."""
    x = node.inputs[0]
    axis = axis_of(node, build, int(node.attrs.get("axis", -1)), len(build.shape(x)))
    norm = _norm(node, build, (axis,), ".norm")
    positive = UnaryParams(call("max", X, SMALLEST_NORM))
    divisor = build.emit("unary", [norm], positive, replace(node, outputs=()), ".divisor")
    return build.emit("div", [x, divisor], DivParams(), node)


def _mean_variance(node: ImportedNode, build: Builder) -> str:
    """Import ONNX MeanVarianceNormalization: the axes that are normalized become a row."""
    x = node.inputs[0]
    shape = build.shape(x)
    given = node.attrs.get("axes", [0, 2, 3])
    axes = sorted({axis_of(node, build, int(axis), len(shape)) for axis in given})
    order = [*(axis for axis in range(len(shape)) if axis not in axes), *axes]
    size = math.prod(shape[axis] for axis in axes)
    moved = build.transpose(x, order, node)
    rows = build.reshape(moved, (math.prod(shape) // size, size), node)
    constants = [
        build.constant(np.full(size, number, np.float32), f"{node.name}.{what}", "C")
        for number, what in ((1.0, "gain"), (0.0, "offset"))
    ]
    y = build.emit("layer_norm", [rows, *constants], LayerNormParams(NO_VARIANCE), node)
    y = build.reshape(y, tuple(shape[axis] for axis in order), node)
    return build.transpose(y, [int(axis) for axis in np.argsort(order)], node)


def _triangle(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Trilu: zeros on one side of a diagonal."""
    x = node.inputs[0]
    rows, columns = build.shape(x)[-2:]
    diagonal = (constant_ints(node, build, "k", 1) or [0])[0]
    kept = np.arange(columns)[None, :] - np.arange(rows)[:, None]
    mask = kept >= diagonal if node.attrs.get("upper", 1) else kept <= diagonal
    leading = (1,) * (len(build.shape(x)) - 2)
    condition = build.constant(
        mask.astype(np.float32).reshape(*leading, rows, columns), f"{node.name}.mask"
    )
    zero = build.constant(np.zeros((*leading, 1, 1), np.float32), f"{node.name}.zero")
    return build.emit("where", [condition, x, zero], WhereParams(), node)


ONNX: dict[str, Importer] = {
    "Hardmax": _hardmax,
    "OneHot": _one_hot,
    "CumSum": _cumulated,
    "LRN": _local_response,
    "LpNormalization": _normalized,
    "MeanVarianceNormalization": _mean_variance,
    "Trilu": _triangle,
}
