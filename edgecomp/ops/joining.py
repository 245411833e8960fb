"""How ONNX Concat arrives: computed parts and constant ones, in any order.

The device joins computed tensors.  Constants among them are borders of these: of the constants'
only number, or of zeros to which the constants are added.  Source of the semantics: ONNX Concat.
"""

import numpy as np

from edgecomp.ops.add import AddParams
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.movement import ConcatParams, PadParams


def joined(node: ImportedNode, build: Builder, axis: int) -> str:
    """Join a layer's inputs along `axis`; those without elements add nothing."""
    names = [name for name in node.inputs if build.shape(name)[axis] > 0]
    constants = [build.value(name) for name in names]
    if all(value is None for value in constants):
        if len(names) == 1:
            return names[0]
        return build.emit("concat", names, ConcatParams(axis), node)
    # Where the computed parts go, a constant that is added does nothing.
    pieces = [
        np.zeros(build.shape(name), np.float32) if value is None else value.astype(np.float32)
        for name, value in zip(names, constants, strict=True)
    ]
    if all(value is not None for value in constants):
        return build.constant(np.concatenate(pieces, axis), f"{node.name}.joined")
    numbers = {float(n) for value in constants if value is not None for n in np.unique(value)}
    if len(numbers) == 1:
        return _bordered(node, build, axis, names, numbers.pop(), "")
    y = _bordered(node, build, axis, names, 0.0, ".border")
    summand = build.constant(np.concatenate(pieces, axis), f"{node.name}.constants")
    return build.emit("add", [y, summand], AddParams(), node)


def _bordered(
    node: ImportedNode, build: Builder, axis: int, names: list[str], number: float, suffix: str
) -> str:
    """Join computed tensors, with `number` in place of constants."""
    # A tensor may be joined with itself: places tell parts apart, not names.
    places = [index for index, name in enumerate(names) if build.value(name) is None]
    parts = []
    for count, place in enumerate(places):
        end = places[count + 1] if count + 1 < len(places) else len(names)
        before, after = (
            sum(build.shape(name)[axis] for name in side)
            for side in (names[: 0 if count else place], names[place + 1 : end])
        )
        rank = len(build.shape(names[place]))
        widths = [tuple(n if a == axis else 0 for a in range(rank)) for n in (before, after)]
        last = suffix if len(places) == 1 else f".border{count}"
        padded = before + after > 0
        border = PadParams(widths[0], widths[1], number)
        parts.append(
            build.emit("pad", [names[place]], border, node, last) if padded else names[place]
        )
    if len(parts) == 1:
        return parts[0]
    return build.emit("concat", parts, ConcatParams(axis), node, suffix and ".joined")


def _concat(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Concat: computed parts and constant ones."""
    return joined(node, build, int(node.attrs["axis"]) % len(build.shape(node.inputs[0])))


ONNX: dict[str, Importer] = {"Concat": _concat}
