"""TFLite's functions of int16 codes in plain C: changes of scale, logistic, tanh, softmax."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.ir import Tensor
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.elementwise_generic import UnaryTable
from edgecomp.kernels.int16_generic import Int16Kernel
from edgecomp.kernels.pool_generic import SoftmaxGeneric
from edgecomp.kernels.schedule import Schedule
from edgecomp.requant.tflite16_functions import Tflite16Rescale, Tflite16Sigmoid
from edgecomp.targets.cores import Core

TFLITE16 = frozenset({"tflite16"})


class RescaleTflite16(Int16Kernel, UnaryTable):
    """Changes of scale, also from and to int8 codes, and ReLUs."""

    name: ClassVar[str] = "rescale_tflite16"
    template: ClassVar[str] = "int16/rescale_tflite.c.j2"
    numerics: ClassVar[frozenset[str]] = TFLITE16

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Factors only."""
        return None if isinstance(layer.prepared, Tflite16Rescale) else "it needs a table"

    def schedule(self, layer: Layer) -> Schedule | None:  # type: ignore[override]
        """Element by element, where both ends have codes of one size."""
        if layer.inputs[0].dtype is not layer.output.dtype:
            return None
        return super().schedule(layer)

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """None: there is no table."""
        return ()

    def context(self, layer: Layer) -> dict[str, Any]:
        """Elements, the types of both ends, and factors."""
        k: Tflite16Rescale = layer.prepared
        return {
            "size": layer.output.size,
            "type_in": _c_type(layer.inputs[0]),
            "type_out": _c_type(layer.output),
            "one_factor": (k.multiplier, k.shift) == (k.multiplier_below, k.shift_below),
            "k": k,
        }


def _c_type(tensor: Tensor) -> str:
    return f"{tensor.dtype.value}_t"


class SigmoidTflite16(Int16Kernel, UnaryTable):
    """Logistic function and tanh: straight lines between 256 values."""

    name: ClassVar[str] = "sigmoid_tflite16"
    template: ClassVar[str] = "int16/sigmoid_tflite.c.j2"
    numerics: ClassVar[frozenset[str]] = TFLITE16

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Tables only."""
        return None if isinstance(layer.prepared, Tflite16Sigmoid) else "it is no such function"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The table."""
        return [
            Constant("table", "uint16_t", layer.prepared.table, False, "sigmoid(i / 24) * 2^16")
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Elements and factor."""
        k: Tflite16Sigmoid = layer.prepared
        return {"size": layer.output.size, "half": (1 << k.shift) >> 1, "k": k}


class SoftmaxTflite16(Int16Kernel, SoftmaxGeneric):
    """Softmax with tables of exponentials and of reciprocals."""

    name: ClassVar[str] = "softmax_tflite16"
    template: ClassVar[str] = "int16/softmax_tflite.c.j2"
    numerics: ClassVar[frozenset[str]] = TFLITE16

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Both tables."""
        k = layer.prepared
        return [
            Constant("exponent", "int16_t", k.exponent, False, "exp from -10 to 0, * 2^15"),
            Constant("reciprocal", "int16_t", k.reciprocal, False, "1 / (1 + x) to x = 1, * 2^15"),
        ]
