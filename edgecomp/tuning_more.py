"""Layers without weights on which kernels are measured: what lies between convolutions."""

from collections.abc import Iterator

import numpy as np

from edgecomp.ir import DType, Graph, Node, OpParams, QParams, Shape, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.div import DivParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.log_softmax import LogSoftmaxParams
from edgecomp.ops.matmul import MatMulParams
from edgecomp.ops.maximum import MaximumParams
from edgecomp.ops.movement import ConcatParams, PadParams, TransposeParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.resize import ResizeParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.where import CompareParams, WhereParams

_REAL = QParams.per_tensor(0.02, 3)
_MAPS = ((1, 16, 16, 32), (1, 7, 5, 13))
_JOINED = ((1, 64, 64, 8), (1, 32, 32, 16), (1, 8, 8, 64))
_SMOOTH = call("mul", X, call("sigmoid", X))


def _twice(n: int) -> tuple[float, ...]:
    """Coordinates of a resize to twice the length."""
    return tuple(min(max((i + 0.5) / 2 - 0.5, 0.0), n - 1.0) for i in range(2 * n))


def _layers() -> Iterator[tuple[str, OpParams, tuple[Shape, ...]]]:
    """Operator, parameters, shapes of the computed operands."""
    for shape in _MAPS:
        n, h, w, c = shape
        per_channel = (n, 1, 1, c)
        nearest = (None, tuple(i // 2 for i in range(2 * h)), tuple(i // 2 for i in range(2 * w)))
        for op, params in (
            ("mul", MulParams()),
            ("div", DivParams()),
            ("maximum", MaximumParams()),
            ("minimum", MaximumParams()),
            ("compare", CompareParams("less")),
        ):
            yield op, params, (shape, shape)
            yield op, params, (shape, per_channel)
        yield "where", WhereParams(), (shape, shape, shape)
        yield "unary", UnaryParams(_SMOOTH), (shape,)
        yield "concat", ConcatParams(3), (shape, shape)
        yield "pad", PadParams((0, 1, 1, 0), (0, 1, 1, 0)), (shape,)
        yield "transpose", TransposeParams((0, 3, 1, 2)), (shape,)
        yield "gather", GatherParams((*nearest, None)), (shape,)
        yield "gather", GatherParams((None, None, None, tuple(range(c // 2)))), (shape,)
        yield "resize", ResizeParams((None, _twice(h), _twice(w), None)), (shape,)
        for axes in ((1, 2), (3,)):
            yield "reduce_mean", ReduceMeanParams(axes), (shape,)
            yield "reduce_sum", ReduceMeanParams(axes), (shape,)
            yield "reduce_max", ReduceMaxParams(axes), (shape,)
            yield "reduce_min", ReduceMaxParams(axes), (shape,)
        yield "argmax", ArgMaxParams(), (shape,)
        yield "log_softmax", LogSoftmaxParams(), (shape,)
    for shape in _JOINED:
        yield "concat", ConcatParams(3), (shape, shape)
    for rows, depth, columns in ((32, 16, 32), (32, 32, 16), (9, 7, 5)):
        yield "matmul", MatMulParams(), ((1, 2, rows, depth), (1, 2, depth, columns))


def other_graphs() -> Iterator[Graph]:
    """Yield one-layer networks; the same ones at every call."""
    for op, params, shapes in _layers():
        inputs = [
            Tensor(f"x{index}", shape, DType.INT8, _REAL) for index, shape in enumerate(shapes)
        ]
        yield _graph(op, params, inputs)
    for shape in ((1, 32, 32), (1, 8, 7)):
        channels = shape[-1]
        constants = [
            Tensor(name, (channels,), data=np.full(channels, value, np.float32))
            for name, value in (("gain", 1.0), ("offset", 0.1))
        ]
        x = Tensor("x0", shape, DType.INT8, _REAL)
        yield _graph("layer_norm", LayerNormParams(1e-5), [x, *constants])


def _graph(op: str, params: OpParams, inputs: list[Tensor]) -> Graph:
    """A network of one layer."""
    y = Tensor("y", OPS[op].infer(params, inputs), DType.INT8, _REAL)
    names = tuple(tensor.name for tensor in inputs)
    computed = tuple(tensor.name for tensor in inputs if not tensor.is_const)
    tensors = {tensor.name: tensor for tensor in (*inputs, y)}
    return Graph(op, computed, ("y",), (Node("layer", op, names, "y", params),), tensors)
