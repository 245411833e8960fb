"""Layers that move int16 codes: kernels for bytes, two of them a code."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from edgecomp.ir import DType, OpParams
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.gather_generic import GatherGeneric
from edgecomp.kernels.history_generic import ShiftGeneric
from edgecomp.kernels.int16_generic import INT16
from edgecomp.kernels.movement_generic import ConcatGeneric, PadGeneric, TransposeGeneric
from edgecomp.kernels.schedule import Schedule
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.movement import PadParams, TransposeParams


def as_bytes(layer: Layer, params: OpParams) -> Layer:
    """The layer with a last axis for the two bytes of each code, which are only moved."""
    node = replace(layer.node, params=params, numerics="edgecomp")
    names = {*node.inputs, node.output}
    tensors = {
        name: replace(tensor, shape=(*tensor.shape, 2), dtype=DType.INT8)
        if name in names
        else tensor
        for name, tensor in layer.graph.tensors.items()
    }
    return Layer(layer.graph.replace(nodes=(node,), tensors=tensors), node)


class TransposeInt16(TransposeGeneric):
    """Move pairs of bytes."""

    name: ClassVar[str] = "transpose_int16"
    numerics: ClassVar[frozenset[str]] = INT16

    def _bytes(self, layer: Layer) -> Layer:
        perm = layer.params.perm
        return as_bytes(layer, TransposeParams((*perm, len(perm))))

    def schedule(self, layer: Layer) -> Schedule:
        """Byte by byte."""
        return super().schedule(self._bytes(layer))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops over bytes."""
        return super().context(self._bytes(layer))


class ConcatInt16(ConcatGeneric):
    """Copy the bytes of each input's runs."""

    name: ClassVar[str] = "concat_int16"
    numerics: ClassVar[frozenset[str]] = INT16

    def schedule(self, layer: Layer) -> Schedule:
        """Byte by byte."""
        return super().schedule(as_bytes(layer, layer.params))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Lengths in bytes."""
        return super().context(as_bytes(layer, layer.params))


class PadInt16(PadGeneric):
    """Fill with zeros, then copy the bytes of the input's rows inside."""

    name: ClassVar[str] = "pad_int16"
    numerics: ClassVar[frozenset[str]] = INT16

    def context(self, layer: Layer) -> dict[str, Any]:
        """Lengths in bytes."""
        params = layer.params
        wide = PadParams((*params.before, 0), (*params.after, 0), 0.0)
        return super().context(as_bytes(layer, wide))


class GatherInt16(GatherGeneric):
    """Copy the bytes of chosen elements."""

    name: ClassVar[str] = "gather_int16"
    numerics: ClassVar[frozenset[str]] = INT16

    def _bytes(self, layer: Layer) -> Layer:
        return as_bytes(layer, GatherParams((*layer.params.indices, None)))

    def schedule(self, layer: Layer) -> Schedule:
        """Byte by byte."""
        return super().schedule(self._bytes(layer))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Irregular indices."""
        return super().constants(self._bytes(layer))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops over bytes."""
        return super().context(self._bytes(layer))


class ShiftInt16(ShiftGeneric):
    """Move pairs of bytes to the window's begin, copy the new ones behind them."""

    name: ClassVar[str] = "shift_int16"
    numerics: ClassVar[frozenset[str]] = INT16

    def schedule(self, layer: Layer) -> Schedule:
        """Byte by byte."""
        return super().schedule(as_bytes(layer, layer.params))

    def context(self, layer: Layer) -> dict[str, Any]:
        """Sizes in bytes."""
        return super().context(as_bytes(layer, layer.params))
