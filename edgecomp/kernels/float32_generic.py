"""Layers that compute in float32 between int8 codes: plain C, any core, with or without an FPU."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_generic import Conv2dGeneric, conv2d_sizes
from edgecomp.kernels.dense_generic import DenseGeneric, dense_sizes
from edgecomp.kernels.elementwise_generic import BinaryGeneric
from edgecomp.kernels.norm_generic import LayerNormGeneric, LogSoftmaxGeneric
from edgecomp.requant import float32_math


def _block(channels: int) -> int:
    """How many output channels share the conversion of an input: a divisor of their number."""
    return next(size for size in (4, 3, 2, 1) if channels % size == 0)


def _linear_constants(layer: Layer, layout: str) -> list[Constant]:
    """Real weights and bias."""
    weights, *bias = (tensor.value.astype(np.float32) for tensor in layer.inputs[1:])
    constants = [Constant("weights", "float", weights, True, f"weights, {layout}, real")]
    if bias:
        constants.append(Constant("bias", "float", bias[0], True, "bias, real"))
    return constants


class Conv2dFloat32(Conv2dGeneric):
    """Float32 convolution, grouped and depthwise ones as well: four outputs at once at most."""

    name: ClassVar[str] = "conv2d_float32"
    template: ClassVar[str] = "float32/conv2d.c.j2"
    numerics: ClassVar[frozenset[str]] = frozenset({"float32"})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OHWI."""
        return _linear_constants(layer, "OHWI")

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and groups."""
        sizes = conv2d_sizes(layer)
        return {
            **sizes,
            "math": float32_math,
            "has_bias": len(layer.inputs) > 2,
            "block": _block(sizes["group_out"]),
            "weights_per_output": math.prod(layer.inputs[1].shape[1:]),
        }


class DenseFloat32(DenseGeneric):
    """Float32 dense layer: four outputs at once at most."""

    name: ClassVar[str] = "dense_float32"
    template: ClassVar[str] = "float32/dense.c.j2"
    numerics: ClassVar[frozenset[str]] = frozenset({"float32"})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights as OI."""
        return _linear_constants(layer, "OI")

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, inputs and outputs."""
        sizes = dense_sizes(layer)
        return {
            **sizes,
            "k": layer.prepared,
            "math": float32_math,
            "has_bias": len(layer.inputs) > 2,
            "block": _block(sizes["out_channels"]),
        }


class BinaryFloat32(BinaryGeneric):
    """Two operands in float32, with broadcasting; a constant operand is real."""

    template: ClassVar[str] = "float32/binary.c.j2"
    numerics: ClassVar[frozenset[str]] = frozenset({"float32"})
    sign: ClassVar[str]

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The constant operand, if there is one."""
        return [
            Constant("constant", "float", tensor.value.astype(np.float32), True, "real operand")
            for tensor in layer.inputs
            if tensor.is_const
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, and each operand with its scale."""
        context = super().context(layer)
        sides = zip("ab", context["operands"], layer.prepared.operands, strict=True)
        return {**context, "sides": list(sides), "sign": self.sign, "math": float32_math}


class AddFloat32(BinaryFloat32):
    """Float32 addition."""

    name: ClassVar[str] = "add_float32"
    op: ClassVar[str] = "add"
    sign: ClassVar[str] = "+"


class SubFloat32(BinaryFloat32):
    """Float32 subtraction."""

    name: ClassVar[str] = "sub_float32"
    op: ClassVar[str] = "sub"
    sign: ClassVar[str] = "-"


class MulFloat32(BinaryFloat32):
    """Float32 multiplication."""

    name: ClassVar[str] = "mul_float32"
    op: ClassVar[str] = "mul"
    sign: ClassVar[str] = "*"


class DivFloat32(BinaryFloat32):
    """Float32 division."""

    name: ClassVar[str] = "div_float32"
    op: ClassVar[str] = "div"
    sign: ClassVar[str] = "/"


class SoftmaxFloat32(LogSoftmaxGeneric):
    """Float32 softmax: exponentials from a table, one sum per row, a division per element."""

    name: ClassVar[str] = "softmax_float32"
    op: ClassVar[str] = "softmax"
    template: ClassVar[str] = "float32/softmax.c.j2"
    numerics: ClassVar[frozenset[str]] = frozenset({"float32"})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Exponentials by distance from the largest code."""
        table = layer.prepared.table
        return [Constant("exponent", "float", table, False, "exp(-scale * distance)")]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows and classes."""
        return {**super().context(layer), "math": float32_math}


class LogSoftmaxFloat32(SoftmaxFloat32):
    """Float32 logarithm of softmax: exponentials from a table, a logarithm per row."""

    name: ClassVar[str] = "log_softmax_float32"
    op: ClassVar[str] = "log_softmax"


class LayerNormFloat32(LayerNormGeneric):
    """Float32 normalization: mean, variance and one reciprocal root per row."""

    name: ClassVar[str] = "layer_norm_float32"
    template: ClassVar[str] = "float32/layer_norm.c.j2"
    numerics: ClassVar[frozenset[str]] = frozenset({"float32"})

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Gain and offset of each channel."""
        gain, offset = (tensor.value.astype(np.float32) for tensor in layer.inputs[1:])
        return [
            Constant("gain", "float", gain, True, "gain per channel, real"),
            Constant("offset", "float", offset, True, "offset per channel, real"),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, their length, and the share of one element."""
        share = np.float32(1 / layer.output.shape[-1])
        return {
            **super().context(layer),
            "share": share,
            "epsilon": layer.params.epsilon,
            "math": float32_math,
        }
