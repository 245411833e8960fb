"""Products of two activations, in plain C."""

from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Layer
from edgecomp.kernels.elementwise_generic import BinaryGeneric, index_text, merged_axes
from edgecomp.kernels.events import in_order
from edgecomp.kernels.schedule import Reads, Schedule


class MatMulGeneric(BinaryGeneric):
    """One sum of products for each element of the output."""

    name: ClassVar[str] = "matmul_generic"
    op: ClassVar[str] = "matmul"
    template: ClassVar[str] = "matmul/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Rows and columns in order; each event reads a row of one and a column of the other."""
        a, b = layer.inputs
        batch = layer.output.shape[:-2]
        reads: list[Reads | None] = []
        for index, tensor in enumerate((a, b)):
            if tensor.is_const:
                reads.append(None)
                continue
            numbers = np.arange(tensor.size, dtype=np.int64).reshape(tensor.shape)
            full = np.broadcast_to(numbers, (*batch, *tensor.shape[-2:]))
            # A row runs along the last axis of the left operand, a column along the other.
            low, high = (
                (full[..., :1], full[..., -1:])
                if index == 0
                else (full[..., :1, :], full[..., -1:, :])
            )
            reads.append(
                Reads(
                    np.broadcast_to(low, layer.output.shape).reshape(-1),
                    np.broadcast_to(high, layer.output.shape).reshape(-1),
                )
            )
        return in_order(*reads)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops over the batches, and where each one's matrices begin."""
        a, b = layer.inputs
        lengths, strides = merged_axes([a.shape[:-2], b.shape[:-2]], layer.output.shape[:-2])
        loops = [] if lengths == [1] else [(f"b{i}", n) for i, n in enumerate(lengths)]
        operands = []
        pointers = iter(("a", "b"))
        for tensor, row in zip(layer.inputs, strides, strict=True):
            matrix = tensor.shape[-2] * tensor.shape[-1]
            name = None if tensor.is_const else next(pointers)
            steps = [stride * matrix for stride in row[: len(loops)]]
            operands.append((name, index_text(steps, [variable for variable, _ in loops])))
        return {
            "loops": loops,
            "operands": operands,
            "rows": a.shape[-2],
            "columns": b.shape[-1],
            "depth": a.shape[-1],
            "k": layer.prepared,
        }
