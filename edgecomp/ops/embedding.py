"""Rows of a constant table, chosen by indices that are computed or given: embeddings.

Source of the semantics: ONNX Gather from a constant; TFLite GATHER and EMBEDDING_LOOKUP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.errors import InternalError
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.argmax import INDEX_QPARAMS, MOST
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Op

__all__ = ["INDEX_QPARAMS", "MOST", "Embedding", "EmbeddingParams", "emit_embedding"]


@dataclass(frozen=True)
class EmbeddingParams(OpParams):
    """Nothing is left to say: the table has a row for each index."""


@dataclass(frozen=True)
class EmbeddingConstants:
    """`row = clamp(q - zero_point, 0, last)`."""

    zero_point: int
    last: int


def table_is_constant(params: EmbeddingParams, inputs: Sequence[Tensor]) -> bool:
    """The table must be constant, with one row for each index."""
    return inputs[1].is_const and len(inputs[1].shape) == 2


class Embedding(Op[EmbeddingParams]):
    """`output[…, j] = table[index[…], j]`; an index outside of the table takes its nearest row."""

    name: ClassVar[str] = "embedding"

    def constraints(self) -> Sequence[Constraint[EmbeddingParams]]:
        """Limits of a table."""
        return (table_is_constant,)

    def infer(self, params: EmbeddingParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: that of the indices, and the width of a row."""
        return (*inputs[0].shape, inputs[1].shape[1])

    def float_ref(
        self, params: EmbeddingParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Take rows by whole numbers, those between two rounded half up."""
        index, table = arrays
        return _rows(np.floor(index + 0.5).astype(np.int64), table)

    def prepare(
        self, params: EmbeddingParams, inputs: Sequence[Tensor], output: Tensor
    ) -> EmbeddingConstants:
        """Say which code is row 0.

        Raises:
            InternalError: codes are no whole numbers, or rows would have to be rescaled.
        """
        index, table = inputs[0].qparams, inputs[1].qparams
        assert index is not None
        if index.scalar != 1.0:
            raise InternalError(f"indices have the scale {index.scalar}, not 1")
        if table != output.qparams:
            raise InternalError("a table and what is taken from it have different scales")
        return EmbeddingConstants(index.zero_point, inputs[1].shape[0] - 1)

    def int_ref(
        self,
        params: EmbeddingParams,
        prepared: EmbeddingConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Copy rows of codes."""
        return _rows(arrays[0].astype(np.int64) - prepared.zero_point, arrays[1])


def _rows(index: Array, table: Array) -> Array:
    return np.asarray(table[np.clip(index, 0, len(table) - 1)])


def emit_embedding(node: ImportedNode, build: Builder, place: int) -> str:
    """Emit a choice from the constant first input along axis `place` by the computed second one.

    The axis is replaced by the axes of the indices, as in ONNX Gather.
    """
    table, index = build.value(node.inputs[0]), node.inputs[1]
    assert table is not None
    if table.dtype.kind != "f":
        raise build.unsupported(
            node,
            f"rows of a table of {table.dtype} by computed indices",
            "dequantize the table before, or give it real numbers",
        )
    before, after = table.shape[:place], table.shape[place + 1 :]
    rows = np.moveaxis(table, place, 0).reshape(table.shape[place], -1)
    kept = rows.shape == table.shape
    name = node.inputs[0] if kept else build.constant(rows, f"{node.inputs[0]}.rows", "")
    shape = build.shape(index)
    y = build.emit("embedding", [index, name], EmbeddingParams(), node)
    y = build.reshape(y, (*shape, *before, *after), node)
    if before:
        ends = range(len(shape), len(shape) + len(before))
        rest = range(len(shape) + len(before), len(shape) + table.ndim - 1)
        y = build.transpose(y, [*ends, *range(len(shape)), *rest], node)
    return y
