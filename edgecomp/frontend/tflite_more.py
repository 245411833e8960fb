"""How TFLite's slices, reductions, resizes and products of activations become layers.

Source: TensorFlow Lite `schema/schema.fbs`, `kernels/internal/reference`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ops.argmax import ArgMaxParams, emit_argmax
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.conv_transpose import TransposedAxis, emit_conv_transpose
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import ConcatParams
from edgecomp.ops.padding import repeated_border
from edgecomp.ops.products import import_matmul
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.resizing import coordinates, emit_resize
from edgecomp.ops.slicing import axis_of, embedded, expanded, gathered, pieces
from edgecomp.ops.top import TopParams, emit_top

TfliteImporter = Callable[[ImportedNode, GraphBuilder], str | list[str]]


def constant_input(node: ImportedNode, build: GraphBuilder, index: int, what: str) -> np.ndarray:
    """Elements of the constant input `index`."""
    value = build.value(node.inputs[index]) if node.has_input(index) else None
    if value is None:
        raise build.unsupported(node, f"{what} must be a constant")
    return value


def _numbers(node: ImportedNode, build: GraphBuilder, index: int, what: str) -> list[int]:
    return [int(n) for n in constant_input(node, build, index, what).reshape(-1)]


def _slice(node: ImportedNode, build: GraphBuilder) -> str:
    """SLICE: where to begin, and sizes; -1 is the rest."""
    shape = build.shape(node.inputs[0])
    begin = _numbers(node, build, 1, "where it begins")
    size = _numbers(node, build, 2, "the size")
    chosen = {
        axis: range(start, n if count == -1 else start + count)
        for axis, (n, start, count) in enumerate(zip(shape, begin, size, strict=True))
    }
    if any(r.start < 0 or r.stop > n for r, n in zip(chosen.values(), shape, strict=True)):
        raise build.unsupported(node, f"{begin} + {size} reaches outside of {shape}")
    return emit_gather(build, node, node.inputs[0], chosen)


def _strided_slice(node: ImportedNode, build: GraphBuilder) -> str:
    """STRIDED_SLICE with its masks."""
    if node.attrs.get("EllipsisMask", 0) or node.attrs.get("NewAxisMask", 0):
        raise build.unsupported(node, "masks of ellipses and new axes")
    shape = build.shape(node.inputs[0])
    begin, end, steps = (
        _numbers(node, build, index, what)
        for index, what in ((1, "where it begins"), (2, "where it ends"), (3, "the steps"))
    )
    first, last, single = (
        int(node.attrs.get(f"{name}Mask", 0)) for name in ("Begin", "End", "ShrinkAxis")
    )
    chosen, kept = {}, []
    for axis, n in enumerate(shape):
        bit = 1 << axis
        if axis >= len(begin):
            kept.append(n)
        elif single & bit:
            chosen[axis] = range(begin[axis] % n, begin[axis] % n + 1)
        else:
            bounds = slice(
                None if first & bit else begin[axis], None if last & bit else end[axis], steps[axis]
            )
            chosen[axis] = range(*bounds.indices(n))
            kept.append(len(chosen[axis]))
    y = emit_gather(build, node, node.inputs[0], chosen)
    return build.reshape(y, tuple(kept), node)


def _split(node: ImportedNode, build: GraphBuilder) -> list[str]:
    """SPLIT into equal parts: the axis comes first."""
    (axis,) = _numbers(node, build, 0, "the axis")
    moved = replace(node, inputs=node.inputs[1:2])
    return _cut(moved, build, axis, None)


def _split_v(node: ImportedNode, build: GraphBuilder) -> list[str]:
    """SPLIT_V into parts of given lengths, one of them -1."""
    (axis,) = _numbers(node, build, 2, "the axis")
    return _cut(node, build, axis, _numbers(node, build, 1, "the sizes"))


def _cut(node: ImportedNode, build: GraphBuilder, axis: int, sizes: list[int] | None) -> list[str]:
    shape = build.shape(node.inputs[0])
    place = axis_of(node, build, axis, len(shape))
    if sizes is None:
        sizes = [shape[place] // len(node.outputs)] * len(node.outputs)
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[place] - sum(n for n in sizes if n != -1)
    return pieces(node, build, place, sizes)


def _unpack(node: ImportedNode, build: GraphBuilder) -> list[str]:
    """UNPACK: one output for each index of an axis, which disappears."""
    shape = build.shape(node.inputs[0])
    place = axis_of(node, build, int(node.attrs.get("Axis", 0)), len(shape))
    return pieces(node, build, place, [1] * shape[place], keep=False)


def _pack(node: ImportedNode, build: GraphBuilder) -> str:
    """PACK: the inputs along a new axis."""
    shape = build.shape(node.inputs[0])
    place = axis_of(node, build, int(node.attrs.get("Axis", 0)), len(shape) + 1)
    wide = (*shape[:place], 1, *shape[place:])
    parts = [build.reshape(name, wide, node) for name in node.inputs]
    return build.emit("concat", parts, ConcatParams(place), node)


def _tile(node: ImportedNode, build: GraphBuilder) -> str:
    shape = build.shape(node.inputs[0])
    repeats = _numbers(node, build, 1, "the repeats")
    tiles = {axis: list(range(shape[axis])) * count for axis, count in enumerate(repeats)}
    return emit_gather(build, node, node.inputs[0], tiles)


def _broadcast(node: ImportedNode, build: GraphBuilder) -> str:
    """BROADCAST_TO: axes of 1 are repeated."""
    return expanded(node, build, _numbers(node, build, 1, "the shape"))


def _gather(node: ImportedNode, build: GraphBuilder) -> str:
    if int(node.attrs.get("BatchDims", 0)):
        raise build.unsupported(node, "indices for each batch")
    axis, indices = int(node.attrs.get("Axis", 0)), build.value(node.inputs[1])
    if indices is None:
        return embedded(node, build, axis)
    return gathered(node, build, axis, indices)


def _embedding_lookup(node: ImportedNode, build: GraphBuilder) -> str:
    """EMBEDDING_LOOKUP: the indices come first."""
    return embedded(replace(node, inputs=node.inputs[1::-1]), build, 0)


def _mirror_pad(node: ImportedNode, build: GraphBuilder) -> str:
    """MIRROR_PAD: without the border's element, or with it."""
    widths = constant_input(node, build, 1, "the widths").reshape(-1, 2)
    before, after = ([int(n) for n in column] for column in widths.T)
    mode = "symmetric" if int(node.attrs.get("Mode", 0)) == 1 else "reflect"
    return repeated_border(node, build, before, after, mode)


def _resize(node: ImportedNode, build: GraphBuilder) -> str:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""
    shape = build.shape(node.inputs[0])
    sizes = _numbers(node, build, 1, "the size")
    aligned = bool(node.attrs.get("AlignCorners", False))
    centered = bool(node.attrs.get("HalfPixelCenters", False))
    nearest = node.op_type == "RESIZE_NEAREST_NEIGHBOR"
    axes = {}
    for axis, out in zip((1, 2), sizes, strict=True):
        n = shape[axis]
        if nearest and not aligned:
            axes[axis] = (np.arange(out) + (0.5 if centered else 0.0)) * (n / out)
            continue
        mode = "align_corners" if aligned else ("half_pixel" if centered else "asymmetric")
        at = coordinates(mode, n, out, out / n)
        assert at is not None
        axes[axis] = at
    rounding = ("round_prefer_ceil" if aligned else "floor") if nearest else None
    return emit_resize(build, node, axes, rounding)


def _blocks(node: ImportedNode, build: GraphBuilder) -> str:
    """DEPTH_TO_SPACE and SPACE_TO_DEPTH."""
    block = int(node.attrs["BlockSize"])
    x = node.inputs[0]
    n, h, w, c = build.shape(x)
    if node.op_type == "DEPTH_TO_SPACE":
        split = (n, h, w, block, block, c // block**2)
        shape = (n, h * block, w * block, c // block**2)
    else:
        split = (n, h // block, block, w // block, block, c)
        shape = (n, h // block, w // block, c * block**2)
    if math.prod(split) != math.prod(build.shape(x)):
        raise build.unsupported(node, f"{build.shape(x)} in blocks of {block}x{block}")
    y = build.transpose(build.reshape(x, split, node), (0, 1, 3, 2, 4, 5), node)
    return build.reshape(y, shape, node)


def _reduction(op: str) -> TfliteImporter:
    """Importer of a sum or an extremum over axes."""

    def importer(node: ImportedNode, build: GraphBuilder) -> str:
        rank = len(build.shape(node.inputs[0]))
        axes = {axis_of(node, build, a, rank) for a in _numbers(node, build, 1, "the axes")}
        kind = ReduceMeanParams if op == "reduce_sum" else ReduceMaxParams
        params = kind(tuple(sorted(axes)), bool(node.attrs.get("KeepDims", False)))
        return build.emit(op, node.inputs[:1], params, node)

    return importer


def _argmax(node: ImportedNode, build: GraphBuilder) -> str:
    """ARG_MAX and ARG_MIN: indices below 256."""
    (axis,) = _numbers(node, build, 1, "the axis")
    place = axis_of(node, build, axis, len(build.shape(node.inputs[0])))
    params = ArgMaxParams(node.op_type == "ARG_MAX")
    return emit_argmax(node, build, place, params, keepdims=False)


def _top(node: ImportedNode, build: GraphBuilder) -> list[str]:
    """TOPK_V2: the largest elements of the last axis, and their indices below 256."""
    (count,) = _numbers(node, build, 1, "the number of elements")
    return emit_top(node, build, len(build.shape(node.inputs[0])) - 1, TopParams(count))


def _batch_matmul(node: ImportedNode, build: GraphBuilder) -> str:
    """BATCH_MATMUL, either operand transposed."""
    names = []
    for name, adjoint in zip(node.inputs[:2], ("AdjX", "AdjY"), strict=True):
        rank = len(build.shape(name))
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        names.append(build.transpose(name, swapped, node) if node.attrs.get(adjoint) else name)
    return import_matmul(replace(node, inputs=tuple(names)), build)


def _transpose_conv(node: ImportedNode, build: GraphBuilder) -> str:
    """TRANSPOSE_CONV: the output's shape, OHWI weights, the input, perhaps a bias."""
    weights = constant_input(node, build, 1, "the weights")
    x = node.inputs[2]
    bias = constant_input(node, build, 3, "the bias") if node.has_input(3) else None
    if int(node.attrs.get("FusedActivationFunction", 0)):
        raise build.unsupported(node, "a fused activation", "put it behind the layer")
    outputs: Sequence[int] = node.attrs["shape"]
    axes = []
    for axis, name in ((1, "H"), (2, "W")):
        size, stride = build.shape(x)[axis], int(node.attrs.get(f"Stride{name}", 1))
        total = max((size - 1) * stride + weights.shape[axis] - outputs[axis], 0)
        axes.append(TransposedAxis(size, stride, int(outputs[axis]), total // 2))
    like = (node.inputs[1], node.inputs[3] if bias is not None else "")
    return emit_conv_transpose(node, build, x, weights[None], bias, axes, like=like)


MORE_TFLITE: Mapping[str, TfliteImporter] = {
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "UNPACK": _unpack,
    "PACK": _pack,
    "TILE": _tile,
    "BROADCAST_TO": _broadcast,
    "GATHER": _gather,
    "EMBEDDING_LOOKUP": _embedding_lookup,
    "MIRROR_PAD": _mirror_pad,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "DEPTH_TO_SPACE": _blocks,
    "SPACE_TO_DEPTH": _blocks,
    "SUM": _reduction("reduce_sum"),
    "REDUCE_MAX": _reduction("reduce_max"),
    "REDUCE_MIN": _reduction("reduce_min"),
    "ARG_MAX": _argmax,
    "ARG_MIN": _argmax,
    "TOPK_V2": _top,
    "BATCH_MATMUL": _batch_matmul,
    "TRANSPOSE_CONV": _transpose_conv,
}
"""Operators by their name in the schema, joined to `TFLITE`."""
