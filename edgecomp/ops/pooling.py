"""How pools arrive: windows along any axes, of any batch, by pools of one image.

A maximum of maxima is the maximum: a max pool goes along one axis after the other.  Averages must
be rounded once.  They take a batch as channels; of a volume, they take the planes that a window
reaches into beside each other, as columns.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from edgecomp.ir import NO_CLAMP, Clamp
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import ConcatParams, PadParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.pool_indices import check_windows, emit_indices
from edgecomp.ops.spatial import (
    SpatialAxis,
    channels_first,
    channels_last,
    import_axes,
    window_of,
)
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.volumes import check_axes


def emit_max_pool(node: ImportedNode, build: Builder, x: str, axes: Sequence[SpatialAxis]) -> str:
    """Emit a max pool of a channels-last input of any batch and any number of spatial axes."""
    shape = list(build.shape(x))
    if shape[0] == 1 and len(axes) <= 2:
        return build.emit("max_pool", [x], MaxPoolParams(**vars(window_of(axes))), node)
    place = 1
    while place <= len(axes):
        lead, window = math.prod(shape[:place]), axes[place - 1 : place]
        if window[0].is_point:
            place += 1
            continue
        image = (1, lead, shape[place], math.prod(shape[place + 1 :]))
        if place < len(axes) and (lead == 1 or window[0].tiles):
            window = axes[place - 1 : place + 1]
            image = (1, lead * shape[place], shape[place + 1], math.prod(shape[place + 2 :]))
        params = MaxPoolParams(**vars(window_of(window)))
        x = build.emit("max_pool", [build.reshape(x, image, node)], params, node)
        for axis in window:
            shape[place] = axis.length
            place += 1
    return build.reshape(x, tuple(shape), node)


def emit_average_pool(
    node: ImportedNode,
    build: Builder,
    x: str,
    axes: Sequence[SpatialAxis],
    *,
    count_include_pad: bool = False,
    clamp: Clamp = NO_CLAMP,
) -> str:
    """Emit an average pool of a channels-last input of any batch and up to three spatial axes.

    Args:
        node: the layer.
        build: the graph in the making.
        x: its input.
        axes: the spatial axes.
        count_include_pad: divide by the padding, too.
        clamp: fused activation.
    """
    check_axes(node, build, axes)
    include = count_include_pad and any(axis.before or axis.after for axis in axes)
    if include and (len(axes) > 2 or any(axis.extra for axis in axes)):
        # What a window reaches further than the padding does not count, the padding does.
        before, after = (0, *(a.before for a in axes), 0), (0, *(a.after for a in axes), 0)
        x = build.emit("pad", [x], PadParams(before, after), node, ".border")
        axes = [replace(a, size=a.size + a.before + a.after, before=0, after=0) for a in axes]
        include = False
    if len(axes) > 2:
        return _average_volume(node, build, x, axes, clamp)
    window = vars(window_of(axes))
    params = AveragePoolParams(**window, count_include_pad=include, clamp=clamp)
    count, *inner, channels = build.shape(x)
    if count == 1:
        return build.emit("average_pool", [x], params, node)
    sizes = tuple(axis.length for axis in axes)
    if len(axes) == 1 or axes[0].tiles:
        image = (1, count, *inner) if len(axes) == 1 else (1, count * inner[0], inner[1])
        y = build.emit("average_pool", [build.reshape(x, (*image, channels), node)], params, node)
        return build.reshape(y, (count, *sizes, channels), node)
    x = build.transpose(x, (1, 2, 0, 3), node)
    x = build.reshape(x, (1, *inner, count * channels), node)
    y = build.reshape(
        build.emit("average_pool", [x], params, node), (*sizes, count, channels), node
    )
    return build.transpose(y, (2, 0, 1, 3), node)


def _average_volume(
    node: ImportedNode, build: Builder, x: str, axes: Sequence[SpatialAxis], clamp: Clamp
) -> str:
    check_windows(node, build, axes)
    depth, rows, columns = axes
    # Taps of planes between those of columns are no longer equally far apart.
    is_mixed = depth.kernel > 1 and columns.kernel > 1 and columns.dilation > 1

    def of_planes(planes: int, places: list[int]) -> str:
        def of_columns(taps: int, chosen: list[int]) -> str:
            picked = emit_gather(build, node, x, {1: places, 3: chosen}, ".windows")
            window = SpatialAxis(len(chosen), taps, stride=taps)
            return _average_planes(node, build, picked, planes, (rows, window), clamp)

        if is_mixed:
            return _by_taps(node, build, columns, 3, of_columns)
        picked = emit_gather(build, node, x, {1: places}, ".planes")
        return _average_planes(node, build, picked, planes, (rows, columns), clamp)

    return _by_taps(node, build, depth, 1, of_planes)


def _by_taps(
    node: ImportedNode,
    build: Builder,
    axis: SpatialAxis,
    place: int,
    pool: Callable[[int, list[int]], str],
) -> str:
    """Pool neighbouring windows with as many taps inside the input together, and join them.

    Args:
        node: the layer.
        build: the graph in the making.
        axis: along which the windows lie.
        place: its number.
        pool: given the taps of each window and where they all are, returns the windows' averages.
    """
    parts = []
    for taps, windows in groupby(axis.taps, len):
        parts.append(pool(taps, [tap for window in windows for tap in window]))
    if len(parts) == 1:
        return parts[0]
    return build.emit("concat", parts, ConcatParams(place), node, ".joined")


def _average_planes(
    node: ImportedNode,
    build: Builder,
    x: str,
    planes: int,
    axes: tuple[SpatialAxis, SpatialAxis],
    clamp: Clamp,
) -> str:
    """Average every `planes` planes of an NDHWC input, which lie beside each other as columns."""
    rows, columns = axes
    count, depth, height, width, channels = build.shape(x)
    split = (count, depth // planes, planes, height, width, channels)
    x = build.transpose(build.reshape(x, split, node), (3, 4, 2, 0, 1, 5), node)
    x = build.reshape(x, (1, height, width * planes, count * depth // planes * channels), node)
    wide = SpatialAxis(
        width * planes, columns.kernel * planes, columns.stride * planes,
        columns.dilation if planes == 1 else 1, columns.before * planes,
        columns.after * planes, columns.extra * planes,
    )  # fmt: skip
    params = AveragePoolParams(**vars(window_of((rows, wide))), clamp=clamp)
    y = build.emit("average_pool", [x], params, node)
    shape = (rows.length, columns.length, count, depth // planes, channels)
    return build.transpose(build.reshape(y, shape, node), (2, 3, 0, 1, 4), node)


def _import_max(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX MaxPool: any number of spatial axes; indices of inputs of up to 256 elements."""
    x = node.inputs[0]
    axes = import_axes(node, build, node.attrs["kernel_shape"], build.shape(x)[2:])
    indexed = len(node.outputs) > 1 and node.outputs[1]
    indices = [emit_indices(node, build, axes)] if indexed else []
    y = emit_max_pool(node, build, channels_last(node, build, x), axes)
    return [channels_first(node, build, y), *indices]


def _import_average(node: ImportedNode, build: Builder) -> str:
    """Import ONNX AveragePool: one to three spatial axes."""
    x = node.inputs[0]
    axes = import_axes(node, build, node.attrs["kernel_shape"], build.shape(x)[2:])
    include = bool(node.attrs.get("count_include_pad", 0))
    last = channels_last(node, build, x)
    y = emit_average_pool(node, build, last, axes, count_include_pad=include)
    return channels_first(node, build, y)


def _import_norm(node: ImportedNode, build: Builder) -> str:
    """Import ONNX LpPool: a table, an average pool and the root of its sums."""
    x = node.inputs[0]
    axes = import_axes(node, build, node.attrs["kernel_shape"], build.shape(x)[2:])
    # Zeros add nothing: all that a window reaches is divided by, and multiplied again.
    axes = [replace(axis, after=axis.after + axis.extra, extra=0) for axis in axes]
    return _emit_norm(node, build, channels_last(node, build, x), axes)


def _import_global_norm(node: ImportedNode, build: Builder) -> str:
    """Import ONNX GlobalLpPool: the norm of each channel."""
    x = channels_last(node, build, node.inputs[0])
    count, *sizes, channels = build.shape(x)
    row = build.reshape(x, (count, math.prod(sizes), channels), node)
    y = _emit_norm(node, build, row, [SpatialAxis(math.prod(sizes), math.prod(sizes))])
    return build.reshape(y, (count, channels, *(1 for _ in sizes)), node)


def _emit_norm(node: ImportedNode, build: Builder, x: str, axes: Sequence[SpatialAxis]) -> str:
    """Emit `(Σ |x|^p)^(1/p)` over the windows of a channels-last input, channels first."""
    terms, p = norm_terms(node, build)
    mean = emit_average_pool(
        node,
        build,
        build.emit("unary", [x], UnaryParams(terms), node, ".terms"),
        axes,
        count_include_pad=True,
    )
    total = call("mul", X, float(math.prod(axis.kernel for axis in axes)))
    root = UnaryParams(norm_root(p, total))
    return channels_first(node, build, build.emit("unary", [mean], root, node, ".root"))


def norm_terms(node: ImportedNode, build: Builder) -> tuple[Expr, float]:
    """What is summed for the norm `p` of an operator, and p.

    Raises:
        UnsupportedError: p is less than 1.
    """
    p = float(node.attrs.get("p", 2))
    if p < 1:
        raise build.unsupported(node, f"the norm {p:g}", "use p = 1 or 2", "p")
    if p == 1:
        return call("abs", X), p
    return call("mul", X, X) if p == 2 else call("pow", call("abs", X), p), p


def norm_root(p: float, total: Expr) -> Expr:
    """The norm whose terms have this sum, which rounding may have made negative."""
    if p == 1:
        return total
    return call("sqrt", call("relu", total)) if p == 2 else call("pow", call("relu", total), 1 / p)


def _import_global(node: ImportedNode, build: Builder) -> str:
    """Import ONNX GlobalMaxPool and GlobalAveragePool: a window as large as the input."""
    x = channels_last(node, build, node.inputs[0])
    count, *sizes, channels = build.shape(x)
    if len(sizes) > 2 or count > 1:
        x = build.reshape(x, (count, math.prod(sizes), channels), node)
    axes = [SpatialAxis(size, size) for size in build.shape(x)[1:-1]]
    emit = emit_max_pool if node.op_type == "GlobalMaxPool" else emit_average_pool
    y = build.reshape(emit(node, build, x, axes), (count, *(1 for _ in sizes), channels), node)
    return channels_first(node, build, y)


ONNX: dict[str, Importer] = {
    "MaxPool": _import_max,
    "AveragePool": _import_average,
    "LpPool": _import_norm,
    "GlobalLpPool": _import_global_norm,
    "GlobalMaxPool": _import_global,
    "GlobalAveragePool": _import_global,
}
