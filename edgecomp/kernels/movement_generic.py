"""Layers that only move codes, in plain C."""

import math
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Kernel, Layer
from edgecomp.kernels.elementwise_generic import index_text
from edgecomp.kernels.events import elements, in_order
from edgecomp.kernels.schedule import NOTHING, Reads, Schedule
from edgecomp.ops.movement import Pad

LEAST_MOVE = 16
"""Bytes from which on neighbours are moved by a call, which takes words where it can."""
LEAST_TOGETHER = 8
"""The same where each element by itself would have an index."""


def row_strides(shape: tuple[int, ...]) -> list[int]:
    """Elements between neighbours along each axis of a dense tensor."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


class PadGeneric(Kernel):
    """Fill with the border's code, then copy the input's rows inside."""

    name: ClassVar[str] = "pad_generic"
    op: ClassVar[str] = "pad"
    template: ClassVar[str] = "pad/generic.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops over the input's rows, the output index where each begins, its length."""
        shape, before = layer.inputs[0].shape, layer.params.before
        strides = row_strides(layer.output.shape)
        start = sum(n * stride for n, stride in zip(before, strides, strict=True))
        # Trailing axes without a border are copied as one row.
        last = max(
            axis
            for axis in range(len(shape))
            if axis == 0 or layer.output.shape[axis] != shape[axis]
        )
        outer = [axis for axis in range(last) if shape[axis] > 1]
        index = index_text([strides[a] for a in outer], [f"i{a}" for a in outer])
        return {
            "size": layer.output.size,
            "code": Pad().code(layer.params, layer.inputs[0]),
            "loops": [(f"i{axis}", shape[axis]) for axis in outer],
            "start": index if not start else (f"{start} + {index}" if outer else str(start)),
            "length": math.prod(shape[last:]),
            "least_move": LEAST_MOVE,
        }


class ConcatGeneric(Kernel):
    """Copy each input's runs to their place."""

    name: ClassVar[str] = "concat_generic"
    op: ClassVar[str] = "concat"
    template: ClassVar[str] = "concat/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """The output in order; each event reads one element of one input."""
        axis, shape = layer.params.axis, layer.output.shape
        source = np.concatenate(
            [np.full(tensor.shape, index) for index, tensor in enumerate(layer.inputs)], axis=axis
        ).reshape(-1)
        number = np.concatenate(
            [np.arange(tensor.size).reshape(tensor.shape) for tensor in layer.inputs], axis=axis
        ).reshape(-1)
        assert len(number) == math.prod(shape)
        return in_order(
            *(
                Reads(
                    np.where(source == index, number, NOTHING),
                    np.where(source == index, number, -1),
                )
                for index in range(len(layer.inputs))
            )
        )

    def context(self, layer: Layer) -> dict[str, Any]:
        """How often each input has a run, and its length."""
        axis = layer.params.axis
        return {
            "repeats": math.prod(layer.output.shape[:axis]),
            "lengths": [math.prod(tensor.shape[axis:]) for tensor in layer.inputs],
            "least_move": LEAST_MOVE,
        }


class TransposeGeneric(Kernel):
    """Write the output in order, reading the input by strides."""

    name: ClassVar[str] = "transpose_generic"
    op: ClassVar[str] = "transpose"
    template: ClassVar[str] = "transpose/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """The output in order; each event reads one element."""
        numbers = np.arange(layer.inputs[0].size, dtype=np.int64).reshape(layer.inputs[0].shape)
        return in_order(elements(numbers.transpose(layer.params.perm)))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops over the output's axes, the input's index, and how many bytes stay together."""
        shape, perm = layer.output.shape, layer.params.perm
        strides = np.asarray(row_strides(layer.inputs[0].shape))[list(perm)]
        end = len(perm)
        while end and perm[end - 1] == end - 1:
            end -= 1
        together = math.prod(shape[end:])
        moved = together if together >= LEAST_TOGETHER else 0
        outer = shape[:end] if moved else shape
        axes = [axis for axis, length in enumerate(outer) if length > 1]
        return {
            "loops": [(f"i{axis}", shape[axis]) for axis in axes],
            "index": index_text([int(strides[a]) for a in axes], [f"i{a}" for a in axes]),
            "moved": moved,
        }
