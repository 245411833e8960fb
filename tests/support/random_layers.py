"""Random layers: every block that a random network is made of.

A block adds layers behind a value and returns its output, or None where the value does not suit it.
Nothing here knows what edgecomp supports beyond the list of operators in docs/ops.md.
"""

from collections.abc import Callable

from tests.support.onnx_net import Net, Value
from tests.support.random_choices import (
    attention,
    blocks_of_pixels,
    conv_transpose,
    cut,
    extremum,
    normalization,
    quotient,
    reduction,
    resize,
    split,
)
from tests.support.random_functions import clip, gelu, guarded, silu, step, unary
from tests.support.random_joins import concat, constant_operand, gate, join, residual
from tests.support.random_linear import batch_norm, conv, gemm, matmul, prelu
from tests.support.random_movements import (
    flatten,
    nothing,
    pad,
    reshape,
    squeeze,
    transpose,
    unsqueeze,
)
from tests.support.random_reductions import global_pool, pool, reduce_mean, softmax

Block = Callable[[Net, Value], Value | None]

BLOCKS: tuple[tuple[Block, int], ...] = (
    (conv, 12), (batch_norm, 2), (gemm, 8), (matmul, 2), (prelu, 2), (pool, 4), (global_pool, 1),
    (reduce_mean, 2), (softmax, 1), (join, 4), (residual, 4), (gate, 1), (constant_operand, 4),
    (concat, 3), (clip, 2), (unary, 9), (step, 6), (guarded, 2), (silu, 1), (gelu, 1), (pad, 2),
    (flatten, 2), (reshape, 2), (squeeze, 2), (unsqueeze, 1), (transpose, 2), (nothing, 1),
    (cut, 2), (split, 1), (resize, 2), (reduction, 2), (extremum, 2), (quotient, 1), (attention, 2),
    (conv_transpose, 2), (normalization, 2), (blocks_of_pixels, 3),
)  # fmt: skip
"""Every block and how often it is tried."""
