"""How ONNX's normalizations arrive: rows to be normalized, constants per channel."""

import math
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.add import AddParams
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.expression import X, call
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.slicing import axis_of
from edgecomp.ops.unary import UnaryParams


def _constants(
    node: ImportedNode, build: Builder, count: int, size: int, shape: tuple[int, ...] = ()
) -> list[Array]:
    """Gain and offset, `size` numbers each; an offset that is not given is 0."""
    found = []
    for index in (1, 2):
        given = node.has_input(index) and index <= count
        value = build.value(node.inputs[index]) if given else np.zeros(1, np.float32)
        if value is None:
            raise build.unsupported(node, "gain and offset must be constants")
        if shape:
            value = np.broadcast_to(value, shape)
        found.append(np.broadcast_to(value.reshape(-1), (size,)).astype(np.float32))
    return found


def emit_normalized(
    node: ImportedNode, build: Builder, x: str, params: LayerNormParams, constants: list[Array]
) -> str:
    """Emit a normalization of the rows `x` with gain and offset per channel."""
    names = [
        build.constant(np.ascontiguousarray(value), f"{node.name}.{what}", "C")
        for value, what in zip(constants, ("gain", "offset"), strict=True)
    ]
    return build.emit("layer_norm", [x, *names], params, node)


def _layer(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX LayerNormalization and RMSNormalization: all axes from one on are a row."""
    x = node.inputs[0]
    shape = build.shape(x)
    axis = axis_of(node, build, int(node.attrs.get("axis", -1)), len(shape))
    centered = node.op_type == "LayerNormalization"
    size = math.prod(shape[axis:])
    params = LayerNormParams(float(node.attrs.get("epsilon", 1e-5)), centered)
    constants = _constants(node, build, 2 if centered else 1, size, shape[axis:])
    rows = build.reshape(x, (*shape[:axis], size), node)
    y = build.reshape(emit_normalized(node, build, rows, params, constants), shape, node)
    kept = (*shape[:axis], *(1 for _ in shape[axis:]))
    return [y, *(build.reshape(name, kept, node) for name in _statistics(node, build, rows))]


def _statistics(node: ImportedNode, build: Builder, rows: str) -> list[str]:
    """Mean and inverse deviation of each row, as far as the layer has them as outputs."""
    wanted = node.outputs[1:]
    if not any(wanted):
        return []
    part = replace(node, outputs=wanted[:1] if wanted[0] else ())
    moments = emit_moments(part, build, rows, 2 if len(wanted) > 1 and wanted[1] else 1)
    if len(moments) == 1:
        return moments
    mean, variance = moments
    epsilon = float(node.attrs.get("epsilon", 1e-5))
    inverse = call("reciprocal", call("sqrt", call("add", X, epsilon)))
    last = replace(node, outputs=wanted[1:])
    return [mean, build.emit("unary", [variance], UnaryParams(inverse), last, ".inverse")]


def emit_moments(node: ImportedNode, build: Builder, rows: str, count: int) -> list[str]:
    """Emit the mean of each row (the last axis, which stays as 1) and, of 2, its variance."""
    over = ReduceMeanParams((len(build.shape(rows)) - 1,))
    mean = build.emit("reduce_mean", [rows], over, node, ".mean")
    if count == 1:
        return [mean]
    centred = build.emit("sub", [rows, mean], AddParams(), node, ".centred")
    square = build.emit("unary", [centred], UnaryParams(call("mul", X, X)), node, ".square")
    return [mean, build.emit("reduce_mean", [square], over, node, ".variance")]


def _groups(node: ImportedNode, build: Builder) -> str:
    """Import ONNX InstanceNormalization and GroupNormalization: groups of channels are rows."""
    x = node.inputs[0]
    shape = build.shape(x)
    channels, area = shape[1], math.prod(shape[2:])
    groups = channels if node.op_type == "InstanceNormalization" else node.attrs["num_groups"]
    if channels % int(groups):
        raise build.unsupported(node, f"{channels} channels in {groups} groups")
    per_group = channels // int(groups)
    # Until operator set 21, groups had one gain each.
    own = build.value(node.inputs[1])
    count = channels if own is None or own.size == channels else int(groups)
    constants = [np.repeat(value, channels // count) for value in _constants(node, build, 2, count)]
    params = LayerNormParams(float(node.attrs.get("epsilon", 1e-5)), repeat=area)
    rows = build.reshape(x, (shape[0], int(groups), per_group * area), node)
    return build.reshape(emit_normalized(node, build, rows, params, constants), shape, node)


ONNX: dict[str, Importer] = {
    "LayerNormalization": _layer,
    "RMSNormalization": _layer,
    "InstanceNormalization": _groups,
    "GroupNormalization": _groups,
}
