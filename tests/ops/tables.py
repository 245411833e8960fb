"""The cases of every operator."""

from tests.ops import (
    add,
    argmax,
    average_pool,
    compare,
    concat,
    conv2d,
    conv2d_rows,
    dense,
    div,
    gather,
    gru,
    layer_norm,
    log_softmax,
    lstm,
    matmul,
    max_pool,
    maximum,
    minimum,
    mul,
    pad,
    prelu,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_sum,
    reshape,
    resize,
    rnn,
    softmax,
    sub,
    transpose,
    unary,
    where,
)

MODULES = (
    conv2d, dense, matmul, add, sub, mul, div, maximum, minimum, compare, where, unary,
    prelu, max_pool, average_pool, reduce_mean, reduce_sum, reduce_max, reduce_min, argmax, softmax,
    log_softmax, layer_norm, lstm, gru, rnn, pad, concat, gather, resize, reshape, transpose,
    conv2d_rows,
)  # fmt: skip

ALL_CASES = tuple(case for module in MODULES for case in module.CASES)
