"""Layers that look at whole rows of the last axis, in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import in_order
from edgecomp.kernels.schedule import Reads, Schedule


def rows_in_order(layer: Layer) -> Schedule:
    """Element by element; a row is read whole before its first element is written."""
    size = layer.output.shape[-1]
    number = np.arange(layer.output.size, dtype=np.int64)
    starts = number % size == 0
    return in_order(Reads(number, np.where(starts, number + size - 1, number)))


class LogSoftmaxGeneric(Kernel):
    """Three walks along each row: its largest code, the sum of exponentials, the results."""

    name: ClassVar[str] = "log_softmax_generic"
    op: ClassVar[str] = "log_softmax"
    template: ClassVar[str] = "log_softmax/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row."""
        return rows_in_order(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Exponentials by distance from the largest code, and logarithms from 1 to 2."""
        k = layer.prepared
        return [
            Constant("exponent", "uint32_t", k.exponent, False, "exp(-scale * distance)"),
            Constant("logarithm", "int32_t", k.logarithm, False, "ln(1 + i / 256) / scale"),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows and classes."""
        classes = layer.output.shape[-1]
        return {"rows": layer.output.size // classes, "classes": classes, "k": layer.prepared}


class LayerNormGeneric(Kernel):
    """Two walks along each row: its sums, then its elements by one root and one division."""

    name: ClassVar[str] = "layer_norm_generic"
    op: ClassVar[str] = "layer_norm"
    template: ClassVar[str] = "layer_norm/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row by row."""
        return rows_in_order(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Gain and offset of each channel."""
        k = layer.prepared
        return [
            Constant("gain", "int32_t", k.gain, True, "gain / scale of output, per channel"),
            Constant("offset", "int32_t", k.offset, True, "offset, zero point and half of a code"),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, their length, and which channel an element has."""
        size, channels = layer.output.shape[-1], layer.inputs[1].size
        repeat = layer.params.repeat
        return {
            "rows": layer.output.size // size,
            "size": size,
            "centered": layer.params.centered,
            "repeat": repeat,
            "channels": channels,
            "by_column": repeat == 1 and channels == size,
            "wraps": layer.output.size > repeat * channels,
            "k": layer.prepared,
        }
