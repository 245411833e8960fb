"""Layers with int16 activations and int8 weights, ours and TFLite's: plain C, any core."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.ir import DType
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.conv2d_generic import Conv2dGeneric, conv2d_sizes, window_context
from edgecomp.kernels.dense_generic import DenseGeneric, dense_sizes
from edgecomp.kernels.elementwise_generic import BinaryGeneric, UnaryTable
from edgecomp.kernels.pool_generic import (
    ArgMaxGeneric,
    AveragePoolGeneric,
    MaxPoolGeneric,
    ReduceMaxGeneric,
    ReduceMeanGeneric,
    ReduceMinGeneric,
    SoftmaxGeneric,
)
from edgecomp.kernels.schedule import Schedule
from edgecomp.requant.int16 import LinearFactor
from edgecomp.requant.tflite16 import Tflite16Linear
from edgecomp.requant.tflite_svdf import SvdfLinear
from edgecomp.targets.cores import Core

INT16 = frozenset({"int16", "tflite16"})


class Int16Kernel(Kernel):
    """What kernels of int16 codes have in common."""

    numerics: ClassVar[frozenset[str]] = INT16
    code_type: ClassVar[str] = "int16_t"

    def schedule(self, layer: Layer) -> Schedule:
        """The events of the same loops over int8 codes, in bytes."""
        events = super().schedule(layer)
        assert events is not None
        return events.in_bytes(DType.INT16.size_bytes)


def _linear_constants(layer: Layer, layout: str) -> list[Constant]:
    k: LinearFactor | Tflite16Linear = layer.prepared
    sums = "int32_t" if k.is_narrow else "int64_t"
    return [
        Constant("weights", "int8_t", layer.inputs[1].value, True, f"weights, {layout}"),
        Constant("bias", sums, k.bias, True, "where sums start"),
        Constant("multiplier", "int32_t", k.multiplier, True, "scale per output channel"),
        _shifts(k),
    ]


def _shifts(k: LinearFactor | Tflite16Linear) -> Constant:
    if k.arithmetic == "tflite":
        comment = "shift per output channel, positive is left"
        return Constant("shift", "int8_t", k.shift, True, comment)
    return Constant("shift", "uint8_t", k.shift, True, "right shift per output channel")


def _svdf_refusal(layer: Layer) -> str | None:
    return "it is a layer of an SVDF" if isinstance(layer.prepared, SvdfLinear) else None


class Conv2dInt16(Int16Kernel, Conv2dGeneric):
    """Convolution, grouped and depthwise ones as well: one output at a time."""

    name: ClassVar[str] = "conv2d_int16"
    template: ClassVar[str] = "int16/conv2d.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Codes of one type."""
        return _svdf_refusal(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OHWI."""
        return _linear_constants(layer, "OHWI")

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and groups."""
        return {**conv2d_sizes(layer), "k": layer.prepared}


class DenseInt16(Int16Kernel, DenseGeneric):
    """Dense layer: one output at a time."""

    name: ClassVar[str] = "dense_int16"
    template: ClassVar[str] = "int16/dense.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Codes of one type."""
        return _svdf_refusal(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OI."""
        return _linear_constants(layer, "OI")

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, inputs and outputs."""
        return {**dense_sizes(layer), "k": layer.prepared}


class BinaryInt16(Int16Kernel, BinaryGeneric):
    """Two operands, with broadcasting."""

    template: ClassVar[str] = "int16/binary.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The constant operand, if there is one."""
        return [
            Constant("constant", "int16_t", tensor.value, True, "constant operand")
            for tensor in layer.inputs
            if tensor.is_const
        ]


class AddInt16(BinaryInt16):
    """Addition."""

    name: ClassVar[str] = "add_int16"
    op: ClassVar[str] = "add"


class SubInt16(BinaryInt16):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_int16"
    op: ClassVar[str] = "sub"


class MulInt16(BinaryInt16):
    """Multiplication."""

    name: ClassVar[str] = "mul_int16"
    op: ClassVar[str] = "mul"


class AveragePoolInt16(Int16Kernel, AveragePoolGeneric):
    """The mean of each window: one factor for each count of taps, or a division."""

    name: ClassVar[str] = "average_pool_int16"
    template: ClassVar[str] = "int16/average_pool.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The factors by count, where windows at the border have fewer taps."""
        divisors = self.divisors(layer)
        if len(divisors) == 1 or layer.prepared.arithmetic == "tflite":
            return ()
        k, top = layer.prepared, divisors[-1] + 1
        return [
            Constant("multiplier", "int32_t", k.multiplier[:top], True, "scale / count, by count"),
            Constant("shift", "uint8_t", k.shift[:top], True, "right shift, by count"),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and factors."""
        if layer.prepared.arithmetic == "tflite":
            return {**window_context(layer), "divisors": self.divisors(layer)}
        return super().context(layer)


class MaxPoolInt16(Int16Kernel, MaxPoolGeneric):
    """The largest code of each window."""

    name: ClassVar[str] = "max_pool_int16"
    template: ClassVar[str] = "int16/max_pool.c.j2"


class ReduceMeanInt16(Int16Kernel, ReduceMeanGeneric):
    """The mean over any axes."""

    name: ClassVar[str] = "reduce_mean_int16"
    template: ClassVar[str] = "int16/reduce_mean.c.j2"


class ReduceSumInt16(ReduceMeanInt16):
    """The sum over any axes."""

    name: ClassVar[str] = "reduce_sum_int16"
    op: ClassVar[str] = "reduce_sum"


class ReduceMaxInt16(Int16Kernel, ReduceMaxGeneric):
    """The largest code over any axes."""

    name: ClassVar[str] = "reduce_max_int16"


class ReduceMinInt16(Int16Kernel, ReduceMinGeneric):
    """The smallest code over any axes."""

    name: ClassVar[str] = "reduce_min_int16"


class ArgMaxInt16(Int16Kernel, ArgMaxGeneric):
    """Walk along each row and remember where the best code stood."""

    name: ClassVar[str] = "argmax_int16"


class UnaryInt16(Int16Kernel, UnaryTable):
    """Any function of one code: a table of 513 codes, a straight line between two."""

    name: ClassVar[str] = "unary_int16"
    numerics: ClassVar[frozenset[str]] = frozenset({"int16"})
    template: ClassVar[str] = "int16/unary.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The table, indexed by `(code + 32768) / 128`."""
        comment = f"{layer.params.text}, at every 128th code"
        return [Constant("table", "int16_t", layer.prepared, False, comment)]


class SoftmaxInt16(Int16Kernel, SoftmaxGeneric):
    """Softmax with two tables of exponentials and one division per output."""

    name: ClassVar[str] = "softmax_int16"
    numerics: ClassVar[frozenset[str]] = frozenset({"int16"})
    template: ClassVar[str] = "int16/softmax.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The exponentials by the two bytes of the distance from the largest code."""
        k = layer.prepared
        return [
            Constant("coarse", "uint32_t", k.coarse, False, "exp(-scale * 256 * i) * 2^30"),
            Constant("fine", "uint32_t", k.fine, False, "exp(-scale * i) * 2^30"),
        ]
