"""Sparse weights on cores with the DSP extension: blocks of zeros cost nothing.

The windows of 4 or 3 pixels, or the input of a dense layer, are expanded to columns as for plain
weights (`gemm_dsp`).  Of each channel only the raw words that are not zero lie in flash, each with
the number of those before it that are; the walk over the columns skips as many steps.  A word costs
its place in the column once for all pixels, and nothing is decoded into RAM.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_dsp import Conv2dDsp, Expansion, code_name
from edgecomp.kernels.dense_dsp import DenseDsp
from edgecomp.kernels.dense_generic import dense_sizes
from edgecomp.kernels.gemm_dsp import Column, Gemm, raw_bias, raw_lanes, refusal
from edgecomp.kernels.stored import Stored
from edgecomp.storage import Encoded
from edgecomp.storage.sparse import encode_blocks
from edgecomp.targets.cores import Core


class SparseBlocks(Stored):
    """What convolutions and dense layers share: raw words, without those that are zero."""

    storage: ClassVar[str] = "sparse"

    @abstractmethod
    def _weights(self, layer: Layer) -> Array:
        """Weights in the order of the columns, `(channels, inputs)`."""

    def ordered(self, layer: Layer) -> Array:
        """Raw words, as bytes: 0 where all four weights are."""
        return raw_lanes(self._weights(layer)).astype("<i2").view(np.int8)

    def encoded(self, layer: Layer) -> Encoded:
        """The raw words by blocks, whatever single weights would take."""
        if self.name not in layer.coded:
            words = np.ascontiguousarray(self.ordered(layer))
            layer.coded[self.name] = _encoded(words.shape, words.tobytes())
        return layer.coded[self.name]

    def form_refusal(self, layer: Layer) -> str | None:
        """Only edgecomp's own arithmetic."""
        numerics = layer.node.numerics
        return None if numerics == "edgecomp" else f"its numerics are {numerics}"

    def coded_constants(self, layer: Layer) -> list[Constant]:
        """The arrays of the coded words, of which each is loaded at once."""
        values, *rest = super().coded_constants(layer)
        words = np.ascontiguousarray(values.values).view("<u4")
        comment = "raw words (256 * even + odd) twice, by channels"
        return [replace(values, c_type="uint32_t", values=words, comment=comment), *rest]

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The words, then biases and multipliers."""
        k = layer.prepared
        starts = np.stack([raw_bias(k.bias, self._weights(layer)), k.multiplier], axis=1)
        comment = "by channel: 256 times the accumulator start, multiplier"
        return [
            *self.coded_constants(layer),
            Constant("starts", "int32_t", starts.astype(np.int32), True, comment),
        ]

    def block(self, layer: Layer, block: Gemm) -> Gemm:
        """The block of the product, with the name of its function."""
        own = f"sparse{block.pixels}" + (f"_by_{block.stride}" if block.pixels > 1 else "")
        return replace(block, name=code_name(own, layer.prepared))


class ConvSparseBlocksDsp(SparseBlocks, Conv2dDsp):
    """4 or 3 pixels x 1 channel at once, without the blocks of four weights that are zero."""

    name: ClassVar[str] = "conv2d_sparse_blocks_dsp"
    template: ClassVar[str] = "conv2d/dsp_sparse_blocks.c.j2"

    def _weights(self, layer: Layer) -> Array:
        return Conv2dDsp._weights(self, layer)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What columns and raw words compute, where something is zero."""
        return Conv2dDsp.applies(self, layer, core) or Stored.applies(self, layer, core)

    def context(self, layer: Layer) -> dict[str, Any]:
        """As for plain weights; the product is another."""
        context = Conv2dDsp.context(self, layer)
        return {**context, "g": self.block(layer, context["g"])}


class DenseSparseBlocksDsp(SparseBlocks, DenseDsp):
    """1 row x 1 channel at once, without the blocks of four weights that are zero."""

    name: ClassVar[str] = "dense_sparse_blocks_dsp"
    template: ClassVar[str] = "dense/dsp_sparse_blocks.c.j2"

    def _column(self, layer: Layer) -> Column:
        return Column(1, layer.inputs[1].shape[1], 0)

    def _weights(self, layer: Layer) -> Array:
        return self._column(layer).ordered(layer.inputs[1].value)

    def applies(self, layer: Layer, core: Core) -> str | None:
        """Any shape, where something is zero and the raw words are proved exact."""
        if not core.dsp:
            return "the core lacks the DSP extension"
        return refusal(layer, self._weights(layer)) or Stored.applies(self, layer, core)

    def scratch_bytes(self, layer: Layer) -> int:
        """The expanded input."""
        return 2 * int(self._weights(layer).shape[1])

    def context(self, layer: Layer) -> dict[str, Any]:
        """The block and the expansion."""
        column, channels = self._column(layer), layer.inputs[1].shape[0]
        return {
            **dense_sizes(layer),
            "k": layer.prepared,
            "g": self.block(layer, Gemm("", 1, column.steps, channels)),
            "e": Expansion(column, 1, column.row_bytes),
        }


@lru_cache(maxsize=256)
def _encoded(shape: tuple[int, ...], words: bytes) -> Encoded:
    """Coded words: planning asks again and again."""
    return encode_blocks(np.frombuffer(words, np.int8).reshape(shape))
