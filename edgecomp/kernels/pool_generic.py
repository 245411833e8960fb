"""Pools and means in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import window_context
from edgecomp.kernels.elementwise_generic import index_text
from edgecomp.kernels.events import in_order, window_reads
from edgecomp.kernels.gather_generic import unsigned_type
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.ops.pool import AveragePool


class MaxPoolGeneric(Kernel):
    """The largest code of each window; the window's bounds are cut to the input."""

    name: ClassVar[str] = "max_pool_generic"
    op: ClassVar[str] = "max_pool"
    template: ClassVar[str] = "max_pool/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, channel; each reads its own channel of the window."""
        own = range(layer.output.shape[-1])
        return in_order(window_reads(layer, own, own))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes and window."""
        return window_context(layer)


class AveragePoolGeneric(Kernel):
    """The mean of each window; one factor, or one per count of taps at the border."""

    name: ClassVar[str] = "average_pool_generic"
    op: ClassVar[str] = "average_pool"
    template: ClassVar[str] = "average_pool/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row, column, channel; each reads its own channel of the window."""
        own = range(layer.output.shape[-1])
        return in_order(window_reads(layer, own, own))

    def divisors(self, layer: Layer) -> list[int]:
        """The counts of taps that windows have."""
        found = AveragePool().divisors(layer.params, layer.inputs[0])
        return sorted({int(n) for n in np.unique(found)})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The factors, where windows at the border have fewer taps."""
        divisors = self.divisors(layer)
        if len(divisors) == 1 or layer.prepared.arithmetic == "tflite":
            return ()
        top = divisors[-1] + 1
        k = layer.prepared
        constants = [
            Constant("multiplier", "int32_t", k.multiplier[:top], True, "scale / count, by count")
        ]
        if np.any(k.shift[:top]):
            constants.append(
                Constant("shift", "uint8_t", k.shift[:top], True, "left shift, by count")
            )
        return constants

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and factors."""
        divisors = self.divisors(layer)
        k = layer.prepared
        return {
            **window_context(layer),
            "divisors": divisors,
            "multiplier": int(k.multiplier[divisors[0]]),
            "shift": int(k.shift[divisors[0]]),
            "has_shift": bool(np.any(k.shift[: divisors[-1] + 1])),
        }


class ReduceMeanGeneric(Kernel):
    """The mean over any axes: loops over the kept axes around loops over the reduced ones."""

    name: ClassVar[str] = "reduce_mean_generic"
    op: ClassVar[str] = "reduce_mean"
    template: ClassVar[str] = "reduce_mean/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """The kept axes in order; each event runs over the reduced ones."""
        shape, axes = layer.inputs[0].shape, layer.params.axes
        numbers = np.arange(layer.inputs[0].size, dtype=np.int64).reshape(shape)
        return in_order(
            Reads(numbers.min(axis=axes).reshape(-1), numbers.max(axis=axes).reshape(-1))
        )

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops and the index of the input."""
        shape = layer.inputs[0].shape
        strides = [int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape))]
        axes = [axis for axis, length in enumerate(shape) if length > 1]
        reduced = [axis for axis in axes if axis in layer.params.axes]
        kept = [axis for axis in axes if axis not in layer.params.axes]
        return {
            "kept": [(f"i{axis}", shape[axis]) for axis in kept],
            "reduced": [(f"i{axis}", shape[axis]) for axis in reduced],
            "index": index_text([strides[axis] for axis in axes], [f"i{axis}" for axis in axes]),
            "k": layer.prepared,
        }


class ReduceSumGeneric(ReduceMeanGeneric):
    """The sum over any axes: loops over the kept axes around loops over the reduced ones."""

    name: ClassVar[str] = "reduce_sum_generic"
    op: ClassVar[str] = "reduce_sum"


class ReduceMaxGeneric(ReduceMeanGeneric):
    """The largest code over any axes."""

    name: ClassVar[str] = "reduce_max_generic"
    op: ClassVar[str] = "reduce_max"
    template: ClassVar[str] = "reduce_max/generic.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, the index of the input, and what every code is better than, or as good."""
        worst = layer.output.dtype.limits[self.op == "reduce_min"]
        return {**super().context(layer), "code_type": self.code_type, "worst": worst}


class ReduceMinGeneric(ReduceMaxGeneric):
    """The smallest code over any axes."""

    name: ClassVar[str] = "reduce_min_generic"
    op: ClassVar[str] = "reduce_min"


class ArgMaxGeneric(Kernel):
    """Walk along each row and remember where the best code stood."""

    name: ClassVar[str] = "argmax_generic"
    op: ClassVar[str] = "argmax"
    template: ClassVar[str] = "argmax/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row; a row is read whole before its index is written."""
        classes = layer.inputs[0].shape[-1]
        first = np.arange(layer.output.size, dtype=np.int64) * classes
        return in_order(Reads(first, first + classes - 1))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Where the rows' indices start."""
        starts = layer.params.starts
        if not starts:
            return ()
        kind = unsigned_type(starts)
        return (Constant("starts", kind, np.array(starts), False, "index of each row's first"),)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, their length, and which code is better."""
        params = layer.params
        return {
            "has_starts": bool(params.starts),
            "rows": layer.output.size,
            "classes": layer.inputs[0].shape[-1],
            "code_type": self.code_type,
            "better": (">" if params.largest else "<") + ("=" if params.last else ""),
            "k": layer.prepared,
        }


class SoftmaxGeneric(Kernel):
    """Softmax with a table of exponentials and one division per output."""

    name: ClassVar[str] = "softmax_generic"
    op: ClassVar[str] = "softmax"
    template: ClassVar[str] = "softmax/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element; a row is read whole before its first element is written."""
        classes = layer.output.shape[-1]
        number = np.arange(layer.output.size, dtype=np.int64)
        starts = number % classes == 0
        return in_order(Reads(number, np.where(starts, number + classes - 1, number)))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The exponentials by distance from the largest code."""
        k = layer.prepared
        constants = [Constant("exponent", "uint32_t", k.exponent, False, "exp(-scale * distance)")]
        if k.output_shift is None:
            constants.append(
                Constant("numerator", "uint32_t", k.numerator, False, "exp / scale of output")
            )
        return constants

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows and classes."""
        classes = layer.output.shape[-1]
        return {"rows": layer.output.size // classes, "classes": classes, "k": layer.prepared}
