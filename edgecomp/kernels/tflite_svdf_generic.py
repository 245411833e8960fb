"""SVDF with a state of int16, in plain C: its features, and its window."""

from collections.abc import Sequence
from typing import Any, ClassVar

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.requant.tflite_svdf import SvdfLinear
from edgecomp.targets.cores import Core


class SvdfKernel(Kernel):
    """What both layers have in common."""

    numerics: ClassVar[frozenset[str]] = frozenset({"tflite16"})
    code_type: ClassVar[str] = "int16_t"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Layers of SVDFs only."""
        return None if isinstance(layer.prepared, SvdfLinear) else "it is no layer of an SVDF"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Weights, biases and the factor, which is one for all outputs."""
        weights = layer.inputs[1]
        kind = f"{weights.dtype.value}_t"
        return [
            Constant("weights", kind, weights.value, True, "weights by output"),
            Constant("bias", "int32_t", layer.prepared.bias, True, "where sums start"),
        ]


class SvdfFeatures(SvdfKernel):
    """Features of int16 codes from inputs of int8 codes."""

    name: ClassVar[str] = "svdf_features"
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "int16/svdf_features.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and factor."""
        outputs, inputs = layer.inputs[1].shape
        return {"inputs": inputs, "outputs": outputs, "k": layer.prepared}


class SvdfWindow(SvdfKernel):
    """Outputs of int8 codes from a window of int16 codes."""

    name: ClassVar[str] = "svdf_window"
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "int16/svdf_window.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes and factor."""
        units, memory, _, rank = layer.inputs[1].shape
        return {"units": units, "memory": memory, "rank": rank, "k": layer.prepared}
