"""How ONNX Resize arrives: its coordinates computed once, for every mode in use."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.filters import LINEAR, cubic, emit_filters
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import PadParams
from edgecomp.ops.resize import MAX_AXES, ResizeParams

NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


CROP = "tf_crop_and_resize"


def coordinates(mode: str, size: int, out: int, scale: float) -> Array | None:
    """The input's coordinate of each output along one axis, float64; None: unknown mode.

    Args:
        mode: ONNX `coordinate_transformation_mode`.
        size: length of the input.
        out: length of the output.
        scale: as the file says it; `out / size` up to rounding.
    """
    x = np.arange(out, dtype=np.float64)
    match mode:
        case "half_pixel":
            return np.asarray((x + 0.5) / scale - 0.5)
        case "half_pixel_symmetric":
            adjustment = out / (scale * size)
            return np.asarray(size / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5)
        case "pytorch_half_pixel":
            return np.asarray((x + 0.5) / scale - 0.5) if out > 1 else np.zeros(1)
        case "align_corners":
            # The output's length as the scale says it, before it was rounded down.
            return x * ((size - 1) / (scale * size - 1)) if out > 1 else np.zeros(1)
        case "asymmetric":
            return np.asarray(x / scale)
    return None


def emit_resize(
    build: Builder,
    node: ImportedNode,
    axes: dict[int, Array],
    nearest: str | None,
) -> str:
    """Emit a resize of the first input to real coordinates by axis.

    Args:
        build: the graph in the making.
        node: the layer.
        axes: coordinates by axis; they may lie outside and are then the border's.
        nearest: how they are rounded; None interpolates.
    """
    x = node.inputs[0]
    shape = build.shape(x)
    inside = {
        axis: np.clip(at if nearest is None else NEAREST[nearest](at), 0, shape[axis] - 1)
        for axis, at in axes.items()
    }
    whole = {axis: at for axis, at in inside.items() if np.array_equal(at, np.floor(at))}
    rest = {axis: at for axis, at in inside.items() if axis not in whole}
    y = emit_gather(
        build,
        node,
        x,
        {axis: at.astype(np.int64).tolist() for axis, at in whole.items()},
        ".nearest" if rest else "",
    )
    if not rest:
        return y
    if len(rest) > MAX_AXES:
        raise build.unsupported(
            node, f"interpolation along {len(rest)} axes", "resize two axes at a time"
        )
    positions = tuple(
        tuple(float(p) for p in rest[axis]) if axis in rest else None for axis in range(len(shape))
    )
    return build.emit("resize", [y], ResizeParams(positions), node)


def _scales_and_sizes(
    node: ImportedNode, build: Builder, shape: Sequence[int]
) -> tuple[list[int], list[float], list[int]]:
    """Axes, and for each its scale and the output's length."""
    given = node.attrs.get("axes")
    axes = [int(a) % len(shape) for a in given] if given else list(range(len(shape)))
    values: list[Array] = []
    for index, what in ((2, "scales"), (3, "sizes")):
        value = build.value(node.inputs[index]) if node.has_input(index) else np.array([])
        if value is None:
            raise build.unsupported(node, f"the {what} must be constant")
        values.append(value.reshape(-1))
    scales, sizes = values
    if sizes.size == len(axes):
        ratios = [float(sizes[i]) / shape[axis] for i, axis in enumerate(axes)]
        policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
        if policy == "stretch":
            return axes, ratios, [int(n) for n in sizes]
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        return axes, [ratio] * len(axes), [int(ratio * shape[a] + 0.5) for a in axes]
    if scales.size == len(axes):
        return (
            axes,
            [float(s) for s in scales],
            [int(np.floor(shape[a] * float(s))) for a, s in zip(axes, scales, strict=True)],
        )
    raise build.unsupported(node, "scales or sizes are needed for every axis")


def _upsample(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Upsample, the Resize of old operator sets."""
    scales = node.attrs.get("scales")
    inputs = (node.inputs[0], "", *node.inputs[1:2])
    if scales:
        name = build.constant(np.asarray(scales, np.float32), f"{node.name}.scales")
        inputs = (node.inputs[0], "", name)
    attrs = {
        "mode": node.attrs.get("mode", "nearest"),
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return _resize(replace(node, inputs=inputs, attrs=attrs, opset=11), build)


def _cropped(
    node: ImportedNode, build: Builder, index: int, count: int, lengths: tuple[int, int]
) -> Array:
    """The input's coordinates along the axis `index` of `count`, which a region cuts out."""
    size, out = lengths
    region = build.value(node.inputs[1]) if node.has_input(1) else None
    if region is None or region.size != 2 * count:
        raise build.unsupported(node, "the region must be constant", attribute="roi")
    start, end = (float(region.reshape(2, count)[part, index]) for part in (0, 1))
    at = np.linspace(start, end, out) if out > 1 else np.array([0.5 * (start + end)])
    if not ((at >= 0) & (at <= 1)).any():
        raise build.unsupported(node, "the region lies outside of the input", "choose another one")
    return np.asarray(at * (size - 1))


def _bordered(node: ImportedNode, build: Builder, y: str, axes: dict[int, tuple[int, int]]) -> str:
    """Emit the border of a region that reaches outside of the input, by axis its two widths."""
    if not any(any(widths) for widths in axes.values()):
        return y
    rank = len(build.shape(y))
    before, after = (tuple(axes.get(a, (0, 0))[side] for a in range(rank)) for side in (0, 1))
    value = float(node.attrs.get("extrapolation_value", 0.0))
    return build.emit("pad", [y], PadParams(before, after, value), node, ".border")


def _resize(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Resize: nearest, linear and cubic, in every coordinate mode."""
    if node.opset < 11:
        return _upsample(node, build)
    shape = build.shape(node.inputs[0])
    mode = node.attrs.get("mode", "nearest")
    if mode not in {"nearest", "linear", "cubic"}:
        raise build.unsupported(node, f"{mode} interpolation", "use mode linear", "mode")
    axes, scales, sizes = _scales_and_sizes(node, build, shape)
    if min(sizes) < 1:
        raise build.unsupported(node, "its result would be empty", "enlarge the scales")
    kind = node.attrs.get("coordinate_transformation_mode", "half_pixel")
    smooths = bool(node.attrs.get("antialias", 0)) and mode != "nearest"
    found: dict[int, Array] = {}
    filters: dict[int, tuple[Array, float]] = {}
    borders: dict[int, tuple[int, int]] = {}
    for index, (axis, scale, out) in enumerate(zip(axes, scales, sizes, strict=True)):
        if kind == CROP:
            at = _cropped(node, build, index, len(axes), (shape[axis], out))
            (there,) = np.nonzero((at >= 0) & (at <= shape[axis] - 1))
            borders[axis] = (int(there[0]), int(out - 1 - there[-1]))
            at = at[there]
        elif out == shape[axis] and scale == 1.0:
            continue
        else:
            at = _known(node, build, coordinates(kind, shape[axis], out, scale))
        if mode == "cubic" or (smooths and scale < 1):
            filters[axis] = (at, min(scale, 1.0) if smooths else 1.0)
        else:
            found[axis] = at
    nearest = node.attrs.get("nearest_mode", "round_prefer_floor") if mode == "nearest" else None
    y = emit_resize(build, node, found, nearest) if found else node.inputs[0]
    filter_ = cubic(float(node.attrs.get("cubic_coeff_a", -0.75))) if mode == "cubic" else LINEAR
    y = emit_filters(node, build, y, filter_, filters)
    return _bordered(node, build, y, borders)


def _known(node: ImportedNode, build: Builder, at: Array | None) -> Array:
    """Coordinates of a mode that exists."""
    if at is None:
        attribute = "coordinate_transformation_mode"
        raise build.unsupported(node, f"the coordinates {node.attrs[attribute]}", "", attribute)
    return at


ONNX: dict[str, Importer] = {"Resize": _resize, "Upsample": _upsample}
