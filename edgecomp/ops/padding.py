"""How ONNX Pad arrives: a constant border, or one that repeats the input; negative widths crop."""

import numpy as np

from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import PadParams, constant_ints

REPEATING = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}
"""Modes whose border has elements of the input, as numpy calls them."""


def _widths(node: ImportedNode, build: Builder, rank: int) -> tuple[list[int], list[int]]:
    """Elements before and after each axis."""
    pads = constant_ints(node, build, "pads", 1) or []
    axes = list(range(rank))
    if node.has_input(3):
        axes = [axis % rank for axis in constant_ints(node, build, "axes", 3) or []]
    if len(pads) != 2 * len(axes):
        raise build.unsupported(node, "two numbers per axis are needed", attribute="pads")
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[axis], after[axis] = pads[index], pads[index + len(axes)]
    return before, after


def repeated_border(
    node: ImportedNode, build: Builder, before: list[int], after: list[int], mode: str
) -> str:
    """Pad with elements of the input.

    Args:
        node: the layer.
        build: the graph in the making.
        before: elements added before each axis.
        after: and after it.
        mode: of `numpy.pad`: `edge`, `reflect`, `symmetric` or `wrap`.
    """
    chosen = {}
    for axis, n in enumerate(build.shape(node.inputs[0])):
        widths = max(before[axis], 0), max(after[axis], 0)
        if mode == "reflect" and n == 1 and any(widths):
            raise build.unsupported(node, "an axis of 1 cannot be reflected", attribute="mode")
        padded = np.pad(np.arange(n), widths, mode=mode)  # type: ignore[call-overload]
        end = len(padded) + min(after[axis], 0)
        chosen[axis] = padded[max(-before[axis], 0) : end].tolist()
    return emit_gather(build, node, node.inputs[0], chosen)


def _pad(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Pad: constant, edge, reflect and wrap; negative widths crop."""
    x = node.inputs[0]
    shape = build.shape(x)
    before, after = _widths(node, build, len(shape))
    mode = node.attrs.get("mode", "constant")
    if mode in REPEATING:
        return repeated_border(node, build, before, after, REPEATING[mode])
    if mode != "constant":
        raise build.unsupported(node, f"the mode {mode!r}", attribute="mode")
    value = float(node.attrs.get("value", 0.0))
    if node.has_input(2):
        given = build.value(node.inputs[2])
        if given is None:
            raise build.unsupported(node, "the padding value must be constant")
        value = float(given.reshape(())) if given.size else 0.0
    cropped = {
        axis: range(max(-first, 0), n + min(last, 0))
        for axis, (n, first, last) in enumerate(zip(shape, before, after, strict=True))
    }
    widths = PadParams(tuple(max(n, 0) for n in before), tuple(max(n, 0) for n in after), value)
    if not any(widths.before + widths.after):
        return emit_gather(build, node, x, cropped)
    x = emit_gather(build, node, x, cropped, ".crop")
    return build.emit("pad", [x], widths, node)


ONNX: dict[str, Importer] = {"Pad": _pad}
