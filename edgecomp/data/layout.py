"""Bringing samples from the order in which they are stored to the order of the device."""

import math

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph, Shape, View

LAYOUTS = ("hwc", "chw", "hw", "wc", "cw")
"""How the axes of one sample may lie."""


def to_device(graph: Graph, name: str, x: Array, layout: str | None = None) -> Array:
    """Bring samples of input `name` into the device's layout.

    Args:
        graph: has the input's shape on the device, and in `views` the model's own.
        name: the input.
        x: samples `(n, ...)`; axes of size 1 may be missing.
        layout: how one sample lies; None: as the model wants it.

    Returns:
        `(n, *shape)` in the device's layout, a view where possible.

    Raises:
        UserError: the samples do not have the shape that is needed.
    """
    shape = graph.tensors[name].shape
    wanted = graph.views[name].shape if name in graph.views else shape
    if x.ndim == 0:
        raise UserError(f"data for input {name!r} is a single number; {_needs(wanted, layout)}")
    if layout is None:
        if not _same_without_ones(x.shape[1:], wanted):
            raise UserError(
                f"data for input {name!r}: samples have shape {_text(x.shape[1:])}; "
                f"{_needs(wanted, layout)}; if the axes lie otherwise, say how with "
                f"the layout ({', '.join(LAYOUTS)})"
            )
        return model_to_device(x.reshape(len(x), *wanted), shape, graph.views.get(name))
    if x.ndim != len(layout) + 1:
        raise UserError(
            f"data for input {name!r}: samples have shape {_text(x.shape[1:])}, which is not "
            f"{layout!r}"
        )
    letters = {2: "c", 3: "wc", 4: "hwc"}.get(len(shape), "")
    order = [axis for axis in "hwc" if axis in layout]
    moved = x.transpose(0, *(layout.index(axis) + 1 for axis in order))
    sizes = dict(zip(order, moved.shape[1:], strict=True))
    found = tuple(sizes.get(letter, 1) for letter in letters)
    outside = [size for letter, size in sizes.items() if letter not in letters]
    if found == shape[1:] and all(size == 1 for size in outside):
        return moved.reshape(len(x), *shape)
    if name not in graph.views and x.shape[1:] == shape[1:]:
        return x.reshape(len(x), *shape)
    raise UserError(
        f"data for input {name!r}: samples of shape {_text(x.shape[1:])} as {layout!r} do not fit; "
        f"{_needs(shape, letters or None)}"
    )


def target_to_device(graph: Graph, name: str, y: Array) -> Array:
    """Bring targets of output `name` into the device's layout, as its outputs lie.

    Args:
        graph: has the output's shape on the device, and in `views` the model's own.
        name: the output.
        y: targets `(n, ...)`: numbers in the model's own order, flat or not, or already in the
            device's; labels and whatever else has another size are left as they are.
    """
    shape, view = graph.tensors[name].shape, graph.views.get(name)
    if view is None or y[:1].size != math.prod(shape):
        return y
    if y.ndim > 2 and not _same_without_ones(y.shape[1:], view.shape):
        return y
    return model_to_device(y.reshape(len(y), *view.shape), shape, view)


def model_to_device(x: Array, shape: Shape, view: View | None) -> Array:
    """Undo a view: `(n, *view.shape)` in the model's layout becomes `(n, *shape)`."""
    if view is None:
        return x.reshape(len(x), *shape)
    permuted = tuple(shape[axis] for axis in view.perm)
    back = np.argsort(view.perm)
    return x.reshape(len(x), *permuted).transpose(0, *(int(axis) + 1 for axis in back))


def device_to_model(x: Array, view: View | None) -> Array:
    """Apply a view: `(n, *shape)` in the device's layout becomes `(n, *view.shape)`."""
    if view is None:
        return x
    moved = x.transpose(0, *(axis + 1 for axis in view.perm))
    return moved.reshape(len(x), *view.shape)


def _same_without_ones(given: Shape, wanted: Shape) -> bool:
    return [n for n in given if n != 1] == [n for n in wanted if n != 1]


def _text(shape: Shape) -> str:
    return "x".join(str(n) for n in shape) or "()"


def _needs(shape: Shape, layout: str | None) -> str:
    sample = shape[1:] if shape[:1] == (1,) else shape
    return f"one sample must have shape {_text(sample)}" + (f" ({layout})" if layout else "")
