"""Rows of a table by computed indices, in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import in_order
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.movement_generic import LEAST_MOVE
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.embedding import EmbeddingConstants
from edgecomp.targets.cores import Core


class EmbeddingGeneric(Kernel):
    """Copy a row of the table for each index."""

    name: ClassVar[str] = "embedding_generic"
    op: ClassVar[str] = "embedding"
    template: ClassVar[str] = "embedding/generic.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Indices and rows of one size."""
        narrow = layer.inputs[0].dtype is layer.output.dtype
        return None if narrow else "indices have more bits than rows"

    def schedule(self, layer: Layer) -> Schedule:
        """The output in order; an index is read before the first element of its row is written."""
        width = layer.output.shape[-1]
        number = np.arange(layer.output.size, dtype=np.int64)
        starts = number % width == 0
        index = number // width
        return in_order(Reads(np.where(starts, index, NOTHING), np.where(starts, index, -1)), None)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The table."""
        table = layer.inputs[1]
        kind = f"{table.dtype.value}_t"
        return [Constant("table", kind, table.value, True, "rows at the scale of the output")]

    def context(self, layer: Layer) -> dict[str, Any]:
        """How many rows are copied, their length, and which indices lie outside of the table."""
        table = layer.inputs[1]
        k: EmbeddingConstants = layer.prepared
        low, high = layer.inputs[0].dtype.limits
        return {
            "count": layer.inputs[0].size,
            "width": table.shape[1],
            "row_type": f"{layer.output.dtype.value}_t",
            "index_type": f"{layer.inputs[0].dtype.value}_t",
            "row_bytes": table.shape[1] * table.dtype.size_bytes,
            "zero_point": k.zero_point,
            "last": k.last,
            "may_be_below": low < k.zero_point,
            "may_be_beyond": high - k.zero_point > k.last,
            "least_move": LEAST_MOVE,
        }


class EmbeddingWide(EmbeddingGeneric):
    """Copy a row of int8 codes for each int16 index."""

    name: ClassVar[str] = "embedding_wide"
    code_type: ClassVar[str] = "int16_t"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Indices of two bytes, rows of one."""
        return None if super().applies(layer, core) else "indices and rows have one size"

    def schedule(self, layer: Layer) -> Schedule:
        """The bytes of an index are read where one of a byte would be."""
        events = super().schedule(layer)
        size = layer.inputs[0].dtype.size_bytes
        (reads,) = events.reads.values()
        low = np.where(reads.low == NOTHING, NOTHING, reads.low * size)
        high = np.where(reads.high < 0, reads.high, reads.high * size + size - 1)
        return Schedule(events.writes, {0: Reads(low, high)})


class EmbeddingInt16(Int16Kernel, EmbeddingGeneric):
    """Copy a row of int16 codes for each index."""

    name: ClassVar[str] = "embedding_int16"
