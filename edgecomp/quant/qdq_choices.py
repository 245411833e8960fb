"""How choices of elements and interpolation are written in ONNX."""

import numpy as np
from onnx import TensorProto

from edgecomp.ir import Node
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.resize import ResizeParams
from edgecomp.ops.top import TopParams
from edgecomp.quant.qdq_builder import QdqBuilder, channels_first
from edgecomp.quant.qdq_spatial import Emitted, operands, real_name


def _places(build: QdqBuilder, node: Node) -> tuple[str, bool, tuple[int, ...]]:
    """The input as it lies, whether its channels come first, and the axes in that order."""
    x = operands(build, node)[0]
    form = build.forms[x.name]
    rank = len(x.shape)
    return form.name, form.first, channels_first(rank) if form.first else tuple(range(rank))


def emit_gather(build: QdqBuilder, node: Node) -> Emitted:
    """Add one Gather for each axis that is chosen from."""
    params = node.params
    assert isinstance(params, GatherParams)
    name, first, places = _places(build, node)
    for axis, index in enumerate(params.indices):
        if index is not None:
            array = build.constant(np.array(index, np.int64), f"{node.name}.indices{axis}")
            name = build.emit(
                "Gather", [name, array], f"{real_name(node)}.{axis}", axis=places.index(axis)
            )
    return name, first


def emit_embedding(build: QdqBuilder, node: Node) -> Emitted:
    """Add a Gather from the table by indices that are kept inside of it."""
    index, table = operands(build, node)
    label = node.name
    bounds = np.array([0, table.shape[0] - 1], np.float32)
    ends = [build.constant(end, f"{label}.end") for end in bounds]
    inside = build.emit("Clip", [build.take(index.name, first=False), *ends], f"{label}.inside")
    whole = build.emit("Cast", [inside], f"{label}.index", to=TensorProto.INT64)
    rows = build.dequantized(table, table.value)
    return build.emit("Gather", [rows, whole], real_name(node), axis=0), False


def emit_resize(build: QdqBuilder, node: Node) -> Emitted:
    """Add, for each axis, Gathers of both neighbours and their weighted sum."""
    params = node.params
    assert isinstance(params, ResizeParams)
    x = operands(build, node)[0]
    name, first, places = _places(build, node)
    for axis in params.axes:
        positions = np.asarray(params.positions[axis], np.float64)
        low = np.floor(positions).astype(np.int64)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        shape = [1] * len(x.shape)
        shape[places.index(axis)] = len(positions)
        parts = []
        for side, index, weight in (
            ("low", low, 1 - (positions - low)),
            ("high", high, positions - low),
        ):
            label = f"{node.name}.{side}{axis}"
            indices = build.constant(index, label)
            taken = build.emit("Gather", [name, indices], f"{label}.taken", axis=places.index(axis))
            factor = build.constant(weight.astype(np.float32).reshape(shape), f"{label}.weight")
            parts.append(build.emit("Mul", [taken, factor], f"{label}.part"))
        name = build.emit("Add", parts, f"{real_name(node)}.{axis}")
    return name, first


def emit_top(build: QdqBuilder, node: Node) -> Emitted:
    """Add a TopK, of whose two results one is read."""
    params = node.params
    assert isinstance(params, TopParams)
    x = build.take(node.inputs[0], first=False)
    count = build.constant(np.array([params.count], np.int64), f"{node.name}.k")
    is_index = node.op == "top_indices"
    values = f"{node.output}.values" if is_index else real_name(node)
    index = build.unique(f"{node.output}.index")
    largest = int(params.largest)
    y = build.emit("TopK", [x, count], values, beside=[index], axis=-1, largest=largest)
    if is_index:
        y = build.emit("Cast", [index], real_name(node), to=TensorProto.FLOAT)
    return y, False
