"""How ONNX's choices of elements arrive: slices, splits, tiles, indices.

Source of the semantics: ONNX Slice, Split, Tile, Expand, Gather, DepthToSpace, SpaceToDepth.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.embedding import emit_embedding
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import constant_ints


def axis_of(node: ImportedNode, build: Builder, axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        UnsupportedError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise build.unsupported(node, f"axis {axis} of an input with {rank} axes")
    return axis % rank


def _slice(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Slice: any steps, negative ones too; bounds must be constants."""
    shape = build.shape(node.inputs[0])
    starts = constant_ints(node, build, "starts", 1) or []
    ends = constant_ints(node, build, "ends", 2) or []
    axes = constant_ints(node, build, "axes", 3) or list(range(len(starts)))
    steps = constant_ints(node, build, "steps", 4) or [1] * len(starts)
    chosen = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis_of(node, build, axis, len(shape))
        if step == 0:
            raise build.unsupported(node, "a step of 0", attribute="steps")
        chosen[place] = range(*slice(start, end, step).indices(shape[place]))
    return emit_gather(build, node, node.inputs[0], chosen)


def pieces(
    node: ImportedNode, build: Builder, axis: int, sizes: Sequence[int], *, keep: bool = True
) -> list[str]:
    """Cut the first input along `axis` into pieces of `sizes`, one per output of `node`.

    Args:
        node: the layer.
        build: the graph in the making.
        axis: where to cut.
        sizes: lengths of the pieces.
        keep: whether pieces keep the axis; without it pieces of 1 lose it.

    Returns:
        The pieces; one of no elements is a constant.
    """
    x = node.inputs[0]
    shape = build.shape(x)
    if sum(sizes) != shape[axis] or min(sizes, default=0) < 0:
        raise build.unsupported(node, f"{shape[axis]} elements cannot be cut into {list(sizes)}")
    made, start = [], 0
    for index, size in enumerate(sizes):
        part = replace(node, outputs=node.outputs[index : index + 1])
        if index:
            part = replace(part, name=f"{node.name}.{index}")
        if not part.outputs or not part.outputs[0]:
            made.append("")
        elif not size:
            none = np.zeros((*shape[:axis], 0, *shape[axis + 1 :]), np.float32)
            made.append(build.constant(none, f"{part.name}.empty"))
        else:
            y = emit_gather(build, part, x, {axis: range(start, start + size)})
            gone = (*shape[:axis], *shape[axis + 1 :])
            made.append(y if keep else build.reshape(y, gone, part))
        start += size
    return made


def _split(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX Split: constant lengths, or equal ones."""
    shape = build.shape(node.inputs[0])
    axis = axis_of(node, build, int(node.attrs.get("axis", 0)), len(shape))
    sizes = constant_ints(node, build, "split", 1)
    if sizes is None:
        count = int(node.attrs.get("num_outputs", len(node.outputs)))
        each = -(-shape[axis] // count)
        sizes = [each] * (count - 1) + [shape[axis] - each * (count - 1)]
    if len(sizes) != len(node.outputs):
        raise build.unsupported(node, f"{len(sizes)} pieces for {len(node.outputs)} outputs")
    return pieces(node, build, axis, sizes)


def _tile(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Tile: constant repeats."""
    repeats = constant_ints(node, build, "repeats", 1) or []
    shape = build.shape(node.inputs[0])
    return emit_gather(
        build,
        node,
        node.inputs[0],
        {axis: list(range(shape[axis])) * count for axis, count in enumerate(repeats)},
    )


def _expand(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Expand: a constant shape."""
    return expanded(node, build, constant_ints(node, build, "shape", 1) or [])


def expanded(node: ImportedNode, build: Builder, target: Sequence[int]) -> str:
    """Repeat the axes of 1 so that the first input gets the shape that broadcasting gives."""
    x = node.inputs[0]
    shape = build.shape(x)
    try:
        wanted = np.broadcast_shapes(shape, tuple(target))
    except ValueError as error:
        raise build.unsupported(node, f"{shape} cannot become {tuple(target)}") from error
    full = (1,) * (len(wanted) - len(shape)) + shape
    if full == wanted:
        return build.reshape(x, full, node)
    return emit_gather(
        build,
        node,
        build.reshape(x, full, node),
        {axis: [0] * wanted[axis] for axis, n in enumerate(full) if n != wanted[axis]},
    )


def _gather(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Gather: constant indices of any shape, or a constant table and any indices."""
    axis = int(node.attrs.get("axis", 0))
    indices = build.value(node.inputs[1])
    if indices is None:
        return embedded(node, build, axis)
    return gathered(node, build, axis, indices)


def embedded(node: ImportedNode, build: Builder, axis: int) -> str:
    """Take rows of a constant by indices that are computed or given."""
    table = build.value(node.inputs[0])
    if table is None:
        raise build.unsupported(
            node,
            "the indices or what they choose from must be constant",
            "choose outside the network",
        )
    return emit_embedding(node, build, axis_of(node, build, axis, table.ndim))


def gathered(node: ImportedNode, build: Builder, axis: int, indices: np.ndarray) -> str:
    """Take `indices` along one axis, which is replaced by the axes of `indices`."""
    x = node.inputs[0]
    shape = build.shape(x)
    place = axis_of(node, build, axis, len(shape))
    n = shape[place]
    flat = [int(i) for i in indices.reshape(-1)]
    if any(not -n <= i < n for i in flat):
        raise build.unsupported(node, f"indices outside of an axis of {n}")
    y = emit_gather(build, node, x, {place: [i % n for i in flat]})
    return build.reshape(y, (*shape[:place], *indices.shape, *shape[place + 1 :]), node)


def _depth_to_space(node: ImportedNode, build: Builder) -> str:
    """Import ONNX DepthToSpace, in both orders of channels."""
    x, block = node.inputs[0], int(node.attrs["blocksize"])
    n, c, h, w = build.shape(x)
    if c % block**2:
        raise build.unsupported(node, f"{c} channels in blocks of {block}x{block}")
    depth = c // block**2
    if node.attrs.get("mode", "DCR") == "CRD":
        y = build.reshape(x, (n, depth, block, block, h, w), node)
        y = build.transpose(y, (0, 1, 4, 2, 5, 3), node)
    else:
        y = build.reshape(x, (n, block, block, depth, h, w), node)
        y = build.transpose(y, (0, 3, 4, 1, 5, 2), node)
    return build.reshape(y, (n, depth, h * block, w * block), node)


def _space_to_depth(node: ImportedNode, build: Builder) -> str:
    """Import ONNX SpaceToDepth, in both orders of channels."""
    x, block = node.inputs[0], int(node.attrs["blocksize"])
    n, c, h, w = build.shape(x)
    if h % block or w % block:
        raise build.unsupported(node, f"a map of {h}x{w} in blocks of {block}x{block}")
    y = build.reshape(x, (n, c, h // block, block, w // block, block), node)
    crd = node.attrs.get("mode", "DCR") == "CRD"
    y = build.transpose(y, (0, 1, 3, 5, 2, 4) if crd else (0, 3, 5, 1, 2, 4), node)
    return build.reshape(y, (n, math.prod((c, block, block)), h // block, w // block), node)


ONNX: dict[str, Importer] = {
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "Expand": _expand,
    "Gather": _gather,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
