"""The operators: what each layer means, in real numbers and in the integers of the device."""

from typing import Any

from edgecomp.ir import OpParams
from edgecomp.ops import (
    add,
    argmax,
    conv2d,
    conv_transpose,
    dense,
    div,
    gather,
    gru,
    layer_norm,
    log_softmax,
    lstm,
    matmul,
    maximum,
    movement,
    mul,
    normalization,
    padding,
    pool,
    prelu,
    products,
    recurrent_import,
    reduce,
    reduce_mean,
    resize,
    resizing,
    rnn,
    slicing,
    softmax,
    unary,
    where,
)
from edgecomp.ops.base import Builder, ImportedNode, Importer, Op, check_constraints

OPS: dict[str, Op[Any]] = {
    op.name: op
    for op in (
        conv2d.Conv2d(),
        dense.Dense(),
        matmul.MatMul(),
        add.Add(),
        add.Sub(),
        mul.Mul(),
        div.Div(),
        maximum.Maximum(),
        maximum.Minimum(),
        where.Compare(),
        where.Where(),
        unary.Unary(),
        prelu.PRelu(),
        pool.MaxPool(),
        pool.AveragePool(),
        reduce_mean.ReduceMean(),
        reduce.ReduceSum(),
        reduce.ReduceMax(),
        reduce.ReduceMin(),
        argmax.ArgMax(),
        softmax.Softmax(),
        log_softmax.LogSoftmax(),
        layer_norm.LayerNorm(),
        lstm.Lstm(),
        gru.Gru(),
        rnn.Rnn(),
        movement.Pad(),
        movement.Concat(),
        gather.Gather(),
        resize.Resize(),
        movement.Reshape(),
        movement.Transpose(),
    )
}
"""Every operator by name."""

ONNX_IMPORTERS: dict[str, Importer] = {
    **conv2d.ONNX,
    **conv_transpose.ONNX,
    **products.ONNX,
    **add.ONNX,
    **mul.ONNX,
    **div.ONNX,
    **maximum.ONNX,
    **where.ONNX,
    **unary.ONNX,
    **prelu.ONNX,
    **pool.ONNX,
    **reduce_mean.ONNX,
    **reduce.ONNX,
    **argmax.ONNX,
    **softmax.ONNX,
    **log_softmax.ONNX,
    **normalization.ONNX,
    **recurrent_import.ONNX,
    **movement.ONNX,
    **padding.ONNX,
    **slicing.ONNX,
    **resizing.ONNX,
}
"""How each ONNX operator arrives."""

PARAMS: dict[str, type[OpParams]] = {
    params.__name__: params
    for params in (
        conv2d.Conv2dParams,
        dense.DenseParams,
        matmul.MatMulParams,
        add.AddParams,
        mul.MulParams,
        div.DivParams,
        maximum.MaximumParams,
        where.CompareParams,
        where.WhereParams,
        unary.UnaryParams,
        prelu.PReluParams,
        pool.MaxPoolParams,
        pool.AveragePoolParams,
        reduce_mean.ReduceMeanParams,
        reduce.ReduceMaxParams,
        argmax.ArgMaxParams,
        softmax.SoftmaxParams,
        log_softmax.LogSoftmaxParams,
        layer_norm.LayerNormParams,
        lstm.LstmParams,
        gru.GruParams,
        rnn.RnnParams,
        movement.PadParams,
        movement.ConcatParams,
        gather.GatherParams,
        resize.ResizeParams,
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
