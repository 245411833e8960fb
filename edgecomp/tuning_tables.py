"""Tables of embeddings on which kernels are measured, plain and coded."""

from collections.abc import Iterator

import numpy as np

from edgecomp.ir import DType, Graph, Node, QParams, Tensor
from edgecomp.ops.argmax import INDEX_QPARAMS
from edgecomp.ops.embedding import EmbeddingParams
from edgecomp.quant.indices import WIDE_INDEX_QPARAMS
from edgecomp.tuning_coded import SPREAD, coded, with_zero_blocks

_SIZES = ((250, 16, 14), (250, 64, 14), (100, 37, 5), (120, 5, 40), (60, 128, 1), (100, 32, 30))
"""Rows, their width, and how many are chosen."""
_REAL = QParams.per_tensor(0.02, 0)


def table_graphs() -> Iterator[Graph]:
    """Yield one-layer networks with indices of one and of two bytes; the same at every call."""
    rng = np.random.default_rng(3)
    for index, dtype in ((INDEX_QPARAMS, DType.INT8), (WIDE_INDEX_QPARAMS, DType.INT16)):
        for rows, width, count in _SIZES:
            codes = np.rint(rng.normal(0, SPREAD, (rows, width))).clip(-127, 127).astype(np.int8)
            tensors = (
                Tensor("x", (1, count), dtype, index),
                Tensor("weights", codes.shape, DType.INT8, _REAL, codes),
                Tensor("y", (1, count, width), DType.INT8, _REAL),
            )
            node = Node("layer", "embedding", ("x", "weights"), "y", EmbeddingParams())
            plain = Graph("embedding", ("x",), ("y",), (node,), {t.name: t for t in tensors})
            yield plain
            yield from coded(plain, rng)
            yield from with_zero_blocks(plain, rng)
