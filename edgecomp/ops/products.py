"""How ONNX's products of matrices arrive: dense layers, or products of two activations."""

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.add import AddParams
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.binary import align
from edgecomp.ops.dense import emit_dense
from edgecomp.ops.expression import X, call
from edgecomp.ops.matmul import MatMulParams
from edgecomp.ops.unary import UnaryParams


def _per_output(addend: Array | None, channels: int) -> Array | None:
    """A bias as one number per output, or None where it is anything else."""
    if addend is None or addend.size not in {1, channels}:
        return None
    if addend.shape[-1:] not in {(), (1,), (channels,)}:
        return None
    return np.asarray(np.broadcast_to(addend.reshape(-1), (channels,)))


def _gemm(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Gemm: alpha and beta are folded into constants B and C."""
    x, b = node.inputs[:2]
    weights = build.value(b)
    alpha, beta = float(node.attrs.get("alpha", 1.0)), float(node.attrs.get("beta", 1.0))
    if node.attrs.get("transA", 0):
        x = build.transpose(x, (1, 0), node)
    if weights is None or build.value(x) is not None:
        return _computed_gemm(node, build, x, alpha, beta)
    weights_oi = weights if node.attrs.get("transB", 0) else weights.T
    if alpha != 1.0:
        weights_oi = weights_oi * np.float32(alpha)
    bias = None
    addend = build.value(node.inputs[2]) if node.has_input(2) else None
    if addend is not None:
        bias = _per_output(addend, weights_oi.shape[0])
        bias = None if bias is None else bias * np.float32(beta)
    y = emit_dense(node, build, x, weights_oi, b if alpha == 1.0 else "", bias)
    return _with_addend(node, build, y, beta) if bias is None and node.has_input(2) else y


def _computed_gemm(node: ImportedNode, build: Builder, x: str, alpha: float, beta: float) -> str:
    """A Gemm of two activations."""
    b = node.inputs[1]
    if node.attrs.get("transB", 0):
        b = build.transpose(b, (1, 0), node)
    y = build.emit("matmul", [x, b], MatMulParams(), node)
    if alpha != 1.0:
        y = build.emit("unary", [y], UnaryParams(call("mul", X, alpha)), node, ".alpha")
    return _with_addend(node, build, y, beta) if node.has_input(2) else y


def _with_addend(node: ImportedNode, build: Builder, y: str, beta: float) -> str:
    """Add operand C of a Gemm that is not one number per output."""
    c = node.inputs[2]
    value = build.value(c)
    if value is not None:
        c = build.constant(value * np.float32(beta), f"{node.name}.addend")
    elif beta != 1.0:
        c = build.emit("unary", [c], UnaryParams(call("mul", X, beta)), node, ".beta")
    both = ImportedNode("Add", node.name, (y, c), node.outputs)
    return build.emit("add", align(both, build), AddParams(), node, ".addend")


def import_matmul(node: ImportedNode, build: Builder) -> str:
    """Import ONNX MatMul: by a constant matrix a dense layer, else batches of products."""
    a, b = node.inputs[:2]
    shapes = build.shape(a), build.shape(b)
    weights, left = build.value(b), build.value(a)
    if weights is not None and weights.ndim == 2 and left is None:
        return emit_dense(node, build, a, weights.T, b, None)
    if left is not None and left.ndim == 2 and len(shapes[1]) >= 2:
        # A constant on the left: its rows are the outputs of a dense layer over columns.
        rank = len(shapes[1])
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        columns = build.transpose(b, swapped, node)
        y = emit_dense(node, build, columns, left, a, None)
        return build.transpose(y, swapped, node)
    # A vector on the left is a row, one on the right a column.
    if len(shapes[0]) == 1:
        a = build.reshape(a, (1, *shapes[0]), node)
    if len(shapes[1]) == 1:
        b = build.reshape(b, (*shapes[1], 1), node)
    pair = ImportedNode(node.op_type, node.name, (a, b), node.outputs)
    y = build.emit("matmul", align(pair, build), MatMulParams(), node)
    shape = list(build.shape(y))
    if len(shapes[0]) == 1:
        del shape[-2]
    if len(shapes[1]) == 1:
        del shape[-1]
    return build.reshape(y, tuple(shape), node)


ONNX: dict[str, Importer] = {"Gemm": _gemm, "MatMul": import_matmul}
