"""The cases of every operator."""

from tests.ops import (
    add,
    average_pool,
    concat,
    conv2d,
    dense,
    max_pool,
    mul,
    pad,
    prelu,
    reduce_mean,
    reshape,
    softmax,
    sub,
    transpose,
    unary,
)

MODULES = (
    conv2d, dense, add, sub, mul, unary, prelu, max_pool, average_pool, reduce_mean, softmax, pad,
    concat, reshape, transpose,
)  # fmt: skip

ALL_CASES = tuple(case for module in MODULES for case in module.CASES)
