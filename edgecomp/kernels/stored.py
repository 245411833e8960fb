"""Layers whose weights are coded: any storage, any shape, any core, in plain C.

A dense layer uses every weight once, so each is multiplied as it is decoded and none is kept.  A
convolution uses a weight at every pixel: it is computed channel by channel, and the weights of one
channel at a time are decoded into scratch.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Decode, Kernel, Layer
from edgecomp.kernels.conv2d_generic import DepthwiseGeneric, window_context
from edgecomp.kernels.dense_generic import dense_sizes, row_by_row
from edgecomp.kernels.schedule import Schedule
from edgecomp.storage import STORAGES, Encoded
from edgecomp.targets.cores import Core


class Stored(Kernel):
    """What kernels of coded weights have in common."""

    decode: ClassVar[Decode | None] = "row"
    is_generic: ClassVar[bool] = False
    """Whether it is of the kernels of which one computes every layer that can be stored so."""

    def ordered(self, layer: Layer) -> Array:
        """The weights in the order in which the kernel reads them, channels first."""
        return layer.inputs[1].value

    def encoded(self, layer: Layer) -> Encoded:
        """The coded weights."""
        if self.name not in layer.coded:
            ordered = np.ascontiguousarray(self.ordered(layer), np.int8)
            layer.coded[self.name] = _encoded(self.storage, ordered.shape, ordered.tobytes())
        return layer.coded[self.name]

    def form_refusal(self, layer: Layer) -> str | None:
        """Say why the kernel cannot compute such a layer, whatever its weights; None if it can."""
        return None

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, where the weights can be stored so."""
        return self.form_refusal(layer) or STORAGES[self.storage].refusal(self.ordered(layer))

    def coded_constants(self, layer: Layer) -> list[Constant]:
        """The arrays of the coded weights."""
        return [
            Constant(array.name, array.c_type, array.values, True, array.comment)
            for array in self.encoded(layer).arrays
        ]

    def has_one_multiplier(self, layer: Layer) -> bool:
        """Whether all channels have the same, as where weights have one scale."""
        return len(np.unique(layer.prepared.multiplier)) == 1

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The coded weights, the folded bias, multipliers and, where any is not 0, shifts."""
        k = layer.prepared
        found = [
            *self.coded_constants(layer),
            Constant("bias", "int32_t", k.bias, True, "accumulator start, zero point folded in"),
        ]
        if not self.has_one_multiplier(layer):
            comment = "scale per output channel"
            found.append(Constant("multiplier", "int32_t", k.multiplier, True, comment))
        if np.any(k.shift):
            comment = "left shift per output channel"
            found.append(Constant("shift", "int8_t", k.shift, True, comment))
        return found

    def finish(self, layer: Layer) -> dict[str, Any]:
        """What the templates need of the end of an accumulator."""
        k = layer.prepared
        return {
            "has_shift": bool(np.any(k.shift)),
            "one_multiplier": int(k.multiplier[0]) if self.has_one_multiplier(layer) else None,
            "k": k,
        }


@lru_cache(maxsize=256)
def _encoded(storage: str, shape: tuple[int, ...], weights: bytes) -> Encoded:
    """Coded weights: several kernels read them in one order, and planning asks again and again."""
    return STORAGES[storage].encode(np.frombuffer(weights, np.int8).reshape(shape))


def packed_multipliers(multipliers: Array, blocks: Array) -> Constant:
    """Multipliers by blocks of channels, or of one block (one axis) where all are alike.

    Args:
        multipliers: per channel.
        blocks: the channels of each block, `(blocks, channels at once)`; -1 is none.
    """
    if len(np.unique(multipliers)) == 1:
        one = np.full(blocks.shape[1], multipliers[0], np.int32)
        return Constant("multiplier", "int32_t", one, True, "scale of all channels")
    scales = np.where(blocks >= 0, multipliers[blocks], 0).astype(np.int32)
    return Constant("multiplier", "int32_t", scales, True, "scale per output channel")


class DenseStored(Stored):
    """One output at a time, each weight multiplied as it is decoded."""

    is_generic: ClassVar[bool] = True
    op: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense/stored.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Row, output."""
        return row_by_row(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Rows, inputs and outputs."""
        return {
            **dense_sizes(layer),
            **self.finish(layer),
            "e": self.encoded(layer),
        }


class Conv2dStored(Stored):
    """One channel at a time, its weights decoded into scratch."""

    is_generic: ClassVar[bool] = True
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/stored.c.j2"

    def form_refusal(self, layer: Layer) -> str | None:
        """Any shape but depthwise."""
        depthwise = DepthwiseStored.refusal_of(layer) is None
        return "one input channel per group" if depthwise else None

    def decode_bytes(self, layer: Layer) -> int:
        """The weights of one channel."""
        return math.prod(layer.inputs[1].shape[1:])

    def scratch_bytes(self, layer: Layer) -> int:
        """The decoded weights."""
        return self.decode_bytes(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and groups."""
        return {
            **window_context(layer),
            "group_in": layer.inputs[1].shape[3],
            "group_out": layer.output.shape[-1] // layer.params.groups,
            **self.finish(layer),
            "weights_per_output": math.prod(layer.inputs[1].shape[1:]),
            "e": self.encoded(layer),
        }


class DepthwiseStored(Stored):
    """One pixel at a time; the few weights of a depthwise convolution are decoded together."""

    is_generic: ClassVar[bool] = True
    op: ClassVar[str] = "conv2d"
    template: ClassVar[str] = "conv2d/stored_depthwise.c.j2"
    decode: ClassVar[Decode | None] = "layer"
    plain: ClassVar[DepthwiseGeneric] = DepthwiseGeneric()

    @staticmethod
    def refusal_of(layer: Layer) -> str | None:
        """Only several groups of one input channel each."""
        if layer.params.groups == 1 or layer.inputs[1].shape[3] != 1:
            return "not one input channel per group"
        return None

    def form_refusal(self, layer: Layer) -> str | None:
        """Only several groups of one input channel each."""
        return self.refusal_of(layer)

    def ordered(self, layer: Layer) -> Array:
        """Weights as HWC, which are decoded at once."""
        return np.ascontiguousarray(np.moveaxis(layer.inputs[1].value[..., 0], 0, 2)[None])

    def decode_bytes(self, layer: Layer) -> int:
        """All weights."""
        return layer.inputs[1].size

    def scratch_bytes(self, layer: Layer) -> int:
        """The decoded weights."""
        return self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule:
        """As with plain weights."""
        return self.plain.schedule(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """Shapes, window and channel multiplier."""
        return {
            **self.plain.context(layer),
            **self.finish(layer),
            "weights": layer.inputs[1].size,
            "e": self.encoded(layer),
        }


class DensePacked4(DenseStored):
    """Weights of four bits."""

    name: ClassVar[str] = "dense_packed4"
    storage: ClassVar[str] = "packed4"


class DenseCodebook(DenseStored):
    """Shared weights."""

    name: ClassVar[str] = "dense_codebook"
    storage: ClassVar[str] = "codebook"


class DenseHuffman(DenseStored):
    """Entropy-coded weights."""

    name: ClassVar[str] = "dense_huffman"
    storage: ClassVar[str] = "huffman"


class DenseSparse(DenseStored):
    """Sparse weights."""

    name: ClassVar[str] = "dense_sparse"
    storage: ClassVar[str] = "sparse"


class Conv2dPacked4(Conv2dStored):
    """Weights of four bits."""

    name: ClassVar[str] = "conv2d_packed4"
    storage: ClassVar[str] = "packed4"


class Conv2dCodebook(Conv2dStored):
    """Shared weights."""

    name: ClassVar[str] = "conv2d_codebook"
    storage: ClassVar[str] = "codebook"


class Conv2dHuffman(Conv2dStored):
    """Entropy-coded weights."""

    name: ClassVar[str] = "conv2d_huffman"
    storage: ClassVar[str] = "huffman"


class Conv2dSparse(Conv2dStored):
    """Sparse weights."""

    name: ClassVar[str] = "conv2d_sparse"
    storage: ClassVar[str] = "sparse"


class DepthwisePacked4(DepthwiseStored):
    """Weights of four bits."""

    name: ClassVar[str] = "depthwise_packed4"
    storage: ClassVar[str] = "packed4"


class DepthwiseCodebook(DepthwiseStored):
    """Shared weights."""

    name: ClassVar[str] = "depthwise_codebook"
    storage: ClassVar[str] = "codebook"


class DepthwiseHuffman(DepthwiseStored):
    """Entropy-coded weights."""

    name: ClassVar[str] = "depthwise_huffman"
    storage: ClassVar[str] = "huffman"


class DepthwiseSparse(DepthwiseStored):
    """Sparse weights."""

    name: ClassVar[str] = "depthwise_sparse"
    storage: ClassVar[str] = "sparse"
