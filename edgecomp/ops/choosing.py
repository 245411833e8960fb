"""Elements chosen one by one by constant indices, or put in place of others.

Each layer is a list that says where every element of the result comes from; rows that stay
together move together.  Source of the semantics: ONNX GatherElements, GatherND, ScatterElements,
ScatterND, Scatter, TensorScatter, ReverseSequence, Compress.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edgecomp.ir import Array, OpParams
from edgecomp.ops.add import AddParams
from edgecomp.ops.base import Builder, ImportedNode, Importer, SingleImporter
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.joining import joined
from edgecomp.ops.maximum import MaximumParams
from edgecomp.ops.movement import PadParams, constant_ints
from edgecomp.ops.mul import MulParams
from edgecomp.ops.slicing import axis_of

_COMBINED: dict[str, tuple[str, OpParams, float | None]] = {
    "add": ("add", AddParams(), 0.0),
    "mul": ("mul", MulParams(), 1.0),
    "max": ("maximum", MaximumParams(), None),
    "min": ("minimum", MaximumParams(), None),
}
"""Operator and parameters of a reduction, and the number that changes nothing, if there is one."""

MOST_ROUNDS = 16
"""Layers that a reduction becomes at most."""


def emit_chosen(
    node: ImportedNode, build: Builder, name: str, sources: Array, suffix: str = ""
) -> str:
    """Emit a tensor of the shape of `sources`, which are places in the flattened input."""
    if not sources.size:
        raise build.unsupported(node, "its result would be empty", "remove the layer")
    constant = build.value(name)
    if constant is not None:
        return build.constant(constant.reshape(-1)[sources], f"{node.name}.chosen")
    count = math.prod(build.shape(name))
    run = _run_length(sources.reshape(-1), count)
    rows = build.reshape(name, (count // run, run), node)
    first = sources.reshape(-1, run)[:, 0] // run
    chosen = emit_gather(build, node, rows, {0: first.tolist()}, suffix)
    return build.reshape(chosen, sources.shape, node)


def _run_length(sources: Array, count: int) -> int:
    """Largest number of elements that always move together, as an aligned row."""
    common = math.gcd(count, len(sources))
    for run in range(common, 1, -1):
        if common % run == 0:
            rows = sources.reshape(-1, run)
            if (rows[:, 0] % run == 0).all() and (np.diff(rows, axis=1) == 1).all():
                return run
    return 1


def _places(shape: tuple[int, ...]) -> Array:
    return np.arange(math.prod(shape)).reshape(shape)


def _indices(node: ImportedNode, build: Builder, index: int) -> Array:
    value = build.value(node.inputs[index])
    if value is None:
        raise build.unsupported(node, "its indices must be constant", "choose outside the network")
    return value.astype(np.int64)


def _checked(node: ImportedNode, build: Builder, indices: Array, n: int) -> Array:
    """Indices of an axis of `n`, counted from the front."""
    if (indices < -n).any() or (indices >= n).any():
        raise build.unsupported(node, f"indices outside of an axis of {n}")
    return indices % n


def _along(node: ImportedNode, build: Builder) -> Array:
    """Places in the first input that the indices along one axis stand for."""
    shape = build.shape(node.inputs[0])
    axis = axis_of(node, build, int(node.attrs.get("axis", 0)), len(shape))
    indices = _indices(node, build, 1)
    grid: list[Array] = list(np.indices(indices.shape))
    grid[axis] = _checked(node, build, indices, shape[axis])
    return np.asarray(_places(shape)[tuple(grid)])


def _tuples(node: ImportedNode, build: Builder, batch_dims: int) -> Array:
    """Places in the first input that tuples of indices stand for, whole rows at a time."""
    shape = build.shape(node.inputs[0])
    indices = _indices(node, build, 1)
    depth = indices.shape[-1]
    batch, chosen = shape[:batch_dims], shape[batch_dims : batch_dims + depth]
    columns = [_checked(node, build, indices[..., i], n) for i, n in enumerate(chosen)]
    if len(columns) != depth or indices.shape[:batch_dims] != batch:
        raise build.unsupported(node, f"indices of {indices.shape} for an input of {shape}")
    grid = np.indices(indices.shape[:-1])[:batch_dims]
    return np.asarray(_places(shape)[(*grid, *columns)])


def _gather_elements(node: ImportedNode, build: Builder) -> str:
    """Import ONNX GatherElements with constant indices."""
    return emit_chosen(node, build, node.inputs[0], _along(node, build))


def _gather_nd(node: ImportedNode, build: Builder) -> str:
    """Import ONNX GatherND with constant indices."""
    places = _tuples(node, build, int(node.attrs.get("batch_dims", 0)))
    return emit_chosen(node, build, node.inputs[0], places)


def _scatter(places: Callable[[ImportedNode, Builder], Array]) -> SingleImporter:
    """Importer of a layer that puts its third input in the places of the first."""

    def importer(node: ImportedNode, build: Builder) -> str:
        """Import ONNX ScatterElements or ScatterND with constant indices."""
        targets = places(node, build).reshape(-1)
        reduction = str(node.attrs.get("reduction", "none"))
        if reduction == "none":
            return put(node, build, node.inputs[0], node.inputs[2], targets)
        return _combined(node, build, targets, reduction)

    return importer


def put(node: ImportedNode, build: Builder, x: str, updates: str, targets: Array) -> str:
    """Put the elements of `updates` into the flat places `targets` of `x`; the last one counts."""
    shape = build.shape(x)
    sources = _places(shape).reshape(-1)
    sources[targets] = sources.size + np.arange(len(targets))
    flat = [build.reshape(name, (math.prod(build.shape(name)),), node) for name in (x, updates)]
    inner = replace(node, name=f"{node.name}.both", inputs=tuple(flat), outputs=())
    return emit_chosen(node, build, joined(inner, build, 0), sources.reshape(shape))


def _combined(node: ImportedNode, build: Builder, targets: Array, reduction: str) -> str:
    """Add, multiply or compare; elements for the same place one after the other."""
    op, params, neutral = _COMBINED[reduction]
    y, updates = node.inputs[0], node.inputs[2]
    shape = build.shape(y)
    times = int(np.bincount(targets).max(initial=0))
    if times > MOST_ROUNDS:
        raise build.unsupported(
            node,
            f"{times} updates of one place; at most {MOST_ROUNDS} are combined",
            "add or compare with a Reduce operator first",
        )
    rounds = list(_rounds(targets))
    for index, (who, where) in enumerate(rounds):
        part = replace(node, name=f"{node.name}.{index}", outputs=())
        sources = _places(shape).reshape(-1)
        if neutral is None:
            # Elsewhere the element itself: it is neither more nor less than it is.
            sources[where] = sources.size + who
            flat = [build.reshape(n, (math.prod(build.shape(n)),), part) for n in (y, updates)]
            inner = replace(part, name=f"{part.name}.both", inputs=tuple(flat))
            given = joined(inner, build, 0)
        else:
            count = math.prod(build.shape(updates))
            sources[:] = count
            sources[where] = who
            flat_updates = build.reshape(updates, (count,), part)
            given = _with_one_more(part, build, flat_updates, neutral)
        spread = emit_chosen(part, build, given, sources.reshape(shape), ".placed")
        named = node if index == len(rounds) - 1 else part
        y = build.emit(op, [y, spread], params, named)
    return y


def _with_one_more(node: ImportedNode, build: Builder, name: str, number: float) -> str:
    value = build.value(name)
    if value is not None:
        return build.constant(np.append(value, number).astype(np.float32), f"{node.name}.updates")
    return build.emit("pad", [name], PadParams((0,), (1,), number), node, ".border")


def _rounds(targets: Array) -> Iterator[tuple[Array, Array]]:
    """Split updates so that none of a round is for the same place: their indices, the places."""
    left = np.arange(len(targets))
    while left.size:
        _, first = np.unique(targets[left], return_index=True)
        yield left[first], targets[left[first]]
        left = np.delete(left, first)


def _tensor_scatter(node: ImportedNode, build: Builder) -> str:
    """Import ONNX TensorScatter: a cache whose places are constants."""
    x, updates = node.inputs[:2]
    shape, new = build.shape(x), build.shape(updates)
    axis = axis_of(node, build, int(node.attrs.get("axis", -2)), len(shape))
    starts = _indices(node, build, 2) if node.has_input(2) else np.zeros(shape[0], np.int64)
    grid: list[Array] = list(np.indices(new))
    grid[axis] = grid[axis] + starts.reshape(-1, *[1] * (len(shape) - 1))
    if node.attrs.get("mode", "linear") == "circular":
        grid[axis] %= shape[axis]
    grid[axis] = _checked(node, build, grid[axis], shape[axis])
    return put(node, build, x, updates, _places(shape)[tuple(grid)].reshape(-1))


def _reverse_sequence(node: ImportedNode, build: Builder) -> str:
    """Import ONNX ReverseSequence with constant lengths."""
    shape = build.shape(node.inputs[0])
    lengths = _indices(node, build, 1)
    time, batch = int(node.attrs.get("time_axis", 0)), int(node.attrs.get("batch_axis", 1))
    steps = np.indices(shape)
    length = lengths[steps[batch]]
    steps[time] = np.where(steps[time] < length, length - 1 - steps[time], steps[time])
    return emit_chosen(node, build, node.inputs[0], _places(shape)[tuple(steps)])


def _compress(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Compress with a constant condition."""
    shape = build.shape(node.inputs[0])
    condition = [bool(n) for n in constant_ints(node, build, "the condition", 1) or []]
    axis: Any = node.attrs.get("axis")
    places = _places(shape)
    axis = None if axis is None else axis_of(node, build, int(axis), len(shape))
    return emit_chosen(node, build, node.inputs[0], np.compress(condition, places, axis))


ONNX: dict[str, Importer] = {
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Scatter": _scatter(_along),
    "ScatterElements": _scatter(_along),
    "ScatterND": _scatter(lambda node, build: _tuples(node, build, 0)),
    "TensorScatter": _tensor_scatter,
    "ReverseSequence": _reverse_sequence,
    "Compress": _compress,
}
