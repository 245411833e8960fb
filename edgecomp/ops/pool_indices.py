"""Where a max pool found its maxima, as ONNX counts: through the whole input, padding left out.

The elements from a window's first tap to its last lie in a row, those between its taps replaced by
the first one, which never wins against itself: then the place of the largest is that of the
maximum, counted from the first tap.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from edgecomp.ops.argmax import MOST, ArgMaxParams
from edgecomp.ops.base import Builder, ImportedNode
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.spatial import SpatialAxis
from edgecomp.ops.unary import UnaryParams


def check_windows(node: ImportedNode, build: Builder, axes: Sequence[SpatialAxis]) -> None:
    """Refuse windows that lie in the padding.

    Raises:
        UnsupportedError: naming the layer.
    """
    if not all(taps for axis in axes for taps in axis.taps):
        raise build.unsupported(node, "every window must contain at least one element of the input")


def emit_indices(node: ImportedNode, build: Builder, axes: Sequence[SpatialAxis]) -> str:
    """Emit the indices of the maxima of a max pool's input, in the file's order of axes.

    Raises:
        UnsupportedError: the codes of an index cannot tell the input's elements apart, or a
            window is empty.
    """
    check_windows(node, build, axes)
    shape = build.shape(node.inputs[0])
    planes, sizes = math.prod(shape[:2]), shape[2:]
    size = math.prod(sizes)
    if planes * size > MOST:
        raise build.unsupported(
            node,
            f"indices of {planes * size} elements; codes tell {MOST} apart",
            "use the first output only, or pool parts of the input",
        )
    part = replace(node, name=f"{node.name}.indices", outputs=node.outputs[1:])
    numbers = np.arange(size).reshape(sizes)
    windows = [numbers[np.ix_(*taps)].ravel() for taps in product(*(axis.taps for axis in axes))]
    runs = np.repeat([taps[:1] for taps in windows], max(t[-1] - t[0] + 1 for t in windows), axis=1)
    for run, taps in zip(runs, windows, strict=True):
        run[taps - taps[0]] = taps
    flat = build.reshape(node.inputs[0], (planes, size), part)
    rows = emit_gather(build, part, flat, {1: runs.ravel().tolist()}, ".runs")
    rows = build.reshape(rows, (planes, *runs.shape), part)
    starts = [plane * size + int(taps[0]) for plane in range(planes) for taps in windows]
    y = build.emit("argmax", [rows], ArgMaxParams(starts=tuple(starts)), part)
    if node.attrs.get("storage_order", 0) and len(sizes) > 1:
        y = build.emit("unary", [y], UnaryParams(_column_major(sizes)), part, ".column_major")
    return build.reshape(y, (*shape[:2], *(axis.length for axis in axes)), part)


def _column_major(sizes: Sequence[int]) -> Expr:
    """The index of an element whose first spatial axis runs fastest, from that where the last does.

    The planes stay in their order.
    """
    block = math.prod(sizes)
    plane = call("floor", call("div", X, float(block)))
    index, stride = call("mul", plane, float(block)), 1
    rest = call("sub", X, index)
    for size in sizes:
        block //= size
        place = call("floor", call("div", rest, float(block)))
        rest = call("sub", rest, call("mul", place, float(block)))
        index = call("add", index, call("mul", place, float(stride)))
        stride *= size
    return call("round", index)
