"""The operators: what each layer means, in real numbers and in the integers of the device."""

from typing import Any

from edgecomp.ir import OpParams
from edgecomp.ops import (
    add,
    conv2d,
    dense,
    movement,
    mul,
    pool,
    prelu,
    reduce_mean,
    softmax,
    unary,
)
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op, check_constraints

OPS: dict[str, Op[Any]] = {
    op.name: op
    for op in (
        conv2d.Conv2d(),
        dense.Dense(),
        add.Add(),
        add.Sub(),
        mul.Mul(),
        unary.Unary(),
        prelu.PRelu(),
        pool.MaxPool(),
        pool.AveragePool(),
        reduce_mean.ReduceMean(),
        softmax.Softmax(),
        movement.Pad(),
        movement.Concat(),
        movement.Reshape(),
        movement.Transpose(),
    )
}
"""Every operator by name."""

ONNX_IMPORTERS: dict[str, Importer] = {
    **conv2d.ONNX,
    **dense.ONNX,
    **add.ONNX,
    **mul.ONNX,
    **unary.ONNX,
    **prelu.ONNX,
    **pool.ONNX,
    **reduce_mean.ONNX,
    **softmax.ONNX,
    **movement.ONNX,
}
"""How each ONNX operator arrives."""

PARAMS: dict[str, type[OpParams]] = {
    params.__name__: params
    for params in (
        conv2d.Conv2dParams,
        dense.DenseParams,
        add.AddParams,
        mul.MulParams,
        unary.UnaryParams,
        prelu.PReluParams,
        pool.MaxPoolParams,
        pool.AveragePoolParams,
        reduce_mean.ReduceMeanParams,
        softmax.SoftmaxParams,
        movement.PadParams,
        movement.ConcatParams,
        movement.ReshapeParams,
        movement.TransposeParams,
    )
}
"""Every operator's parameters by class name, for files."""

__all__ = [
    "ONNX_IMPORTERS",
    "OPS",
    "PARAMS",
    "Builder",
    "ImportedNode",
    "Importer",
    "Op",
    "check_constraints",
]
