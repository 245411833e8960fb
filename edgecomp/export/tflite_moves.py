"""How layers that move, choose or interpolate elements are written in TFLite."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgecomp.export.tflite_builder import TfliteBuilder
from edgecomp.export.tflite_layers import Emitter, in_reals
from edgecomp.ir import NO_CLAMP, Node, QParams
from edgecomp.ops import OPS
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.movement import ConcatParams, Pad, PadParams, TransposeParams
from edgecomp.ops.resize import ResizeParams

_MODES: Mapping[str, dict[str, bool]] = {
    "asymmetric": {"AlignCorners": False, "HalfPixelCenters": False},
    "half_pixel": {"AlignCorners": False, "HalfPixelCenters": True},
    "align_corners": {"AlignCorners": True, "HalfPixelCenters": False},
}


def _reshape(build: TfliteBuilder, node: Node) -> None:
    """Nothing: a tensor is reshaped when a layer wants it so."""


def _transpose(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, TransposeParams)
    x = build.take(node.inputs[0])
    out = build.activation(node.output)
    perm = build.numbers(out, ".perm", params.perm)
    build.file.operator("TRANSPOSE", [x, perm], out, "TransposeOptions")


def _pad(build: TfliteBuilder, node: Node) -> None:
    params, op = node.params, OPS["pad"]
    assert isinstance(params, PadParams)
    assert isinstance(op, Pad)
    code = op.code(params, build.graph.tensors[node.inputs[0]])
    x = build.take(node.inputs[0])
    out = build.activation(node.output)
    build.padded(x, out, params.before, params.after, code, build.qparams(node.output))


def _concat(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, ConcatParams)
    inputs = [build.take(name) for name in node.inputs]
    out = build.activation(node.output)
    build.file.operator("CONCATENATION", inputs, out, "ConcatenationOptions", Axis=params.axis)


def _gather(build: TfliteBuilder, node: Node) -> None:
    """Add a SLICE, a STRIDED_SLICE or, where indices are irregular, a GATHER for each axis."""
    params = node.params
    assert isinstance(params, GatherParams)
    x = build.take(node.inputs[0])
    shape = build.file.shape_of(x)
    chosen = [
        list(range(n)) if index is None else list(index)
        for n, index in zip(shape, params.indices, strict=True)
    ]
    steps = [_step(index) for index in chosen]
    if None not in steps:
        _sliced(build, node, x, chosen, [int(step or 1) for step in steps])
        return
    axes = [axis for axis, index in enumerate(params.indices) if index is not None]
    out = build.activation(node.output)
    for axis in axes:
        shape = (*shape[:axis], len(chosen[axis]), *shape[axis + 1 :])
        q = build.qparams(node.output)
        target = out if axis == axes[-1] else build.inner(out, f".axis{axis}", shape, q)
        indices = build.numbers(target, ".indices", chosen[axis])
        build.file.operator("GATHER", [x, indices], target, "GatherOptions", Axis=axis)
        x = target


def _step(index: Sequence[int]) -> int | None:
    """The distance of all indices from their neighbours, or None."""
    if len(index) == 1:
        return 1
    distances = set(np.diff(index).tolist())
    return distances.pop() if len(distances) == 1 and 0 not in distances else None


def _sliced(
    build: TfliteBuilder, node: Node, x: int, chosen: list[list[int]], steps: list[int]
) -> None:
    out = build.activation(node.output)
    begin = build.numbers(out, ".begin", [index[0] for index in chosen])
    if all(step == 1 for step in steps):
        size = build.numbers(out, ".size", [len(index) for index in chosen])
        build.file.operator("SLICE", [x, begin, size], out, "SliceOptions")
        return
    ends = [index[-1] + (1 if step > 0 else -1) for index, step in zip(chosen, steps, strict=True)]
    # An end of -1 would be counted from behind: its mask says that there is none.
    mask = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    end = build.numbers(out, ".end", [max(end, 0) for end in ends])
    stride = build.numbers(out, ".steps", steps)
    build.file.operator(
        "STRIDED_SLICE", [x, begin, end, stride], out, "StridedSliceOptions", EndMask=mask
    )


def _resize(build: TfliteBuilder, node: Node) -> None:
    params = node.params
    assert isinstance(params, ResizeParams)
    x = build.graph.tensors[node.inputs[0]]
    size = build.graph.tensors[node.output].shape
    modes = [mode for mode in _MODES if _fits(params, x.shape, size, mode)]
    if not modes or len(x.shape) != 4:
        raise build.refusal(
            node,
            "only height and width of images, by half-pixel, aligned or asymmetric coordinates",
            "resize with one of these coordinates",
        )
    source = build.take(x.name)
    out = build.activation(node.output)
    others = [build.numbers(out, ".size", size[1:3])]
    op, kind, options = "RESIZE_BILINEAR", "ResizeBilinearOptions", _MODES[modes[0]]
    if _is_fine(x.shape, size, modes[0]):
        build.file.operator(op, [source, *others], out, kind, **options)
    else:
        in_reals(build, op, [source], out, kind, NO_CLAMP, others, **options)


def _is_fine(shape: Sequence[int], out: Sequence[int], mode: str) -> bool:
    """Whether ten bits hold the step of every axis, as TFLite's codes have it."""
    less = 1 if mode == "align_corners" else 0
    return all(
        ((n - less) << 10) % max(m - less, 1) == 0
        for n, m in zip(shape[1:3], out[1:3], strict=True)
    )


def _fits(params: ResizeParams, shape: Sequence[int], out: Sequence[int], mode: str) -> bool:
    """Whether the coordinates of every axis are those of a mode."""
    for axis, (n, m) in enumerate(zip(shape, out, strict=True)):
        given = params.positions[axis]
        if axis not in {1, 2}:
            if given is not None:
                return False
            continue
        at = np.arange(m, dtype=np.float64)
        if mode == "align_corners":
            at = at * ((n - 1) / (m - 1)) if m > 1 else at
        elif mode == "half_pixel":
            at = (at + 0.5) * (n / m) - 0.5
        else:
            at = at * (n / m)
        wanted = np.arange(n) if given is None else np.asarray(given)
        if len(wanted) != m or not np.allclose(np.clip(at, 0, n - 1), wanted, atol=1e-6):
            return False
    return True


def _prelu(build: TfliteBuilder, node: Node) -> None:
    """Add a PRELU, its slopes as codes."""
    slopes = build.graph.tensors[node.inputs[1]].value.astype(np.float64)
    x = build.take(node.inputs[0])
    out = build.activation(node.output)
    q = QParams.per_tensor(max(float(np.abs(slopes).max()) / 127, 2.0**-20))
    codes = q.quantize(slopes).astype(np.int8)
    shape = (1,) * (len(build.file.shape_of(x)) - 2) + codes.shape
    name = f"{build.file.name_of(out)}.slopes"
    alpha = build.file.tensor(name, shape, "int8", q, codes.reshape(shape))
    build.file.operator("PRELU", [x, alpha], out)


MOVES: dict[str, Emitter] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
    "resize": _resize,
    "prelu": _prelu,
}
"""By operator: what adds it to the file."""
