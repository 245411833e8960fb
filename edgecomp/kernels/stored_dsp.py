"""Coded weights for the products that layers share, on cores with the DSP extension.

The channels are computed a few at a time: their part of the stream (biases, raw words,
multipliers) is decoded into scratch, and the shared function of plain layers computes these
channels of all pixels.  Each weight is decoded once per inference; the pixels are expanded once
per block of channels instead of once.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_shared_dsp import Conv2dDspShared, PointwiseDspShared
from edgecomp.kernels.dense_shared_dsp import CHANNELS, DenseDspShared
from edgecomp.kernels.gemm_dsp import WORD, channel_blocks, raw_bias
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.stored import Stored, packed_multipliers
from edgecomp.storage import STORAGES
from edgecomp.targets.cores import Core

DECODED_BYTES = 2048
"""Scratch for decoded weights: as many pairs of channels as fit."""
LEAST_PAIRS = 4
"""Pairs that are decoded at once at least: fewer do not pay for expanding the pixels again."""
PAIR = 2


def _interleaved(weights: Array, blocks: Array) -> Array:
    """Weights in the order of a stream.

    Args:
        weights: `(channels, inputs)`, inputs a multiple of 4.
        blocks: the channels of each block, `(blocks, at once)`; -1 is a channel of zeros.

    Returns:
        `(blocks, steps, at once, 4)`; of two weights the odd one comes first, as in a raw word.
    """
    chosen = np.where((blocks >= 0)[:, :, None], weights[blocks], 0)
    by_word = chosen.reshape(*blocks.shape, -1, WORD)[..., [1, 0, 3, 2]]
    return np.ascontiguousarray(by_word.swapaxes(1, 2), dtype=np.int8)


def _starts(layer: Layer, weights: Array, blocks: Array) -> list[Constant]:
    """Biases of raw words and multipliers, by blocks of channels."""
    k = layer.prepared
    bias = np.where(blocks >= 0, raw_bias(k.bias, weights)[blocks], 0)
    comment = "by channels at once: 256 times the accumulator start"
    starts = Constant("bias", "int32_t", bias.astype(np.int32), True, comment)
    return [starts, packed_multipliers(k.multiplier, blocks)]


class ConvolutionBlocks(Stored, Conv2dDspShared):
    """Convolutions, a few pairs of channels at a time."""

    template: ClassVar[str] = "conv2d/stored_dsp.c.j2"
    function: ClassVar[str] = "convolution"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the shared function computes, with weights that can be stored so."""
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = Conv2dDspShared.applies(self, layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def _columns(self, layer: Layer) -> Array:
        return self._sizes(layer).ordered(layer.inputs[1].value)

    def _pairs(self, layer: Layer) -> Array:
        """The channels of each pair; the last one of an odd number overlaps."""
        return channel_blocks(layer.output.shape[-1], PAIR)

    def ordered(self, layer: Layer) -> Array:
        """By pairs of channels, by words."""
        return _interleaved(self._columns(layer), self._pairs(layer))

    def _words_per_pair(self, layer: Layer) -> int:
        return PAIR * (self._sizes(layer).steps + 2)

    def _at_once(self, layer: Layer) -> int:
        """Pairs that are decoded at once."""
        fitting = DECODED_BYTES // (4 * self._words_per_pair(layer))
        return min(max(fitting, LEAST_PAIRS), max(layer.output.shape[-1] // PAIR, 1))

    def _own_scratch(self, layer: Layer) -> int:
        """What the shared function needs, up to the next word."""
        return -(-super(Stored, self).scratch_bytes(layer) // 4) * 4

    def decode_bytes(self, layer: Layer) -> int:
        """The stream of the channels at once."""
        return 4 * self._at_once(layer) * self._words_per_pair(layer)

    def scratch_bytes(self, layer: Layer) -> int:
        """Columns, and the decoded stream."""
        return self._own_scratch(layer) + self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """The input is read again for every block of channels: nothing may lie over it."""
        return None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Coded weights, biases, multipliers."""
        return [
            *self.coded_constants(layer),
            *_starts(layer, self._columns(layer), self._pairs(layer)),
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The shared sizes, and how many channels are decoded at once."""
        context = Conv2dDspShared.context(self, layer)
        return {
            **context,
            "function": getattr(self._sizes(layer), f"{self.function}_name"),
            "kind": self.function,
            "channels_in": layer.inputs[0].shape[-1],
            "at_once": self._at_once(layer),
            "per_pair": self._words_per_pair(layer),
            "own_scratch": self._own_scratch(layer),
            "one_multiplier": self.has_one_multiplier(layer),
            "e": self.encoded(layer),
        }


class PointwiseBlocks(ConvolutionBlocks, PointwiseDspShared):
    """1x1 with stride 1, a few pairs of channels at a time."""

    function: ClassVar[str] = "pointwise"


class DenseBlocks(Stored, DenseDspShared):
    """Dense layers, four channels at a time."""

    template: ClassVar[str] = "dense/stored_dsp.c.j2"

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the shared function computes, with weights that can be stored so."""
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = DenseDspShared.applies(self, layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def _blocks(self, layer: Layer) -> Array:
        """The channels of each block; the last one is filled up with channels of zeros."""
        channels = layer.inputs[1].shape[0]
        numbers = np.arange(-(-channels // CHANNELS) * CHANNELS)
        return np.where(numbers < channels, numbers, -1).reshape(-1, CHANNELS)

    def ordered(self, layer: Layer) -> Array:
        """By blocks of four channels, by words."""
        return _interleaved(self._weights(layer), self._blocks(layer))

    def decode_bytes(self, layer: Layer) -> int:
        """The stream of four channels."""
        return 4 * CHANNELS * (int(self._weights(layer).shape[1]) // WORD + 2)

    def scratch_bytes(self, layer: Layer) -> int:
        """The decoded stream."""
        return self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """Of a single row as the plain layer's; else rows are read again for every block."""
        if layer.inputs[0].size == layer.inputs[1].shape[1]:
            return DenseDspShared.schedule(self, layer)
        return None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Coded weights, biases, multipliers."""
        starts = _starts(layer, self._weights(layer), self._blocks(layer))
        return [*self.coded_constants(layer), *starts]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes of the plain layer."""
        return {
            **DenseDspShared.context(self, layer),
            "steps": self._weights(layer).shape[1] // WORD,
            "one_multiplier": self.has_one_multiplier(layer),
            "e": self.encoded(layer),
        }


class ConvPacked4Dsp(ConvolutionBlocks):
    """Weights of four bits."""

    name: ClassVar[str] = "conv2d_packed4_dsp"
    storage: ClassVar[str] = "packed4"


class ConvCodebookDsp(ConvolutionBlocks):
    """Shared weights."""

    name: ClassVar[str] = "conv2d_codebook_dsp"
    storage: ClassVar[str] = "codebook"


class ConvHuffmanDsp(ConvolutionBlocks):
    """Entropy-coded weights."""

    name: ClassVar[str] = "conv2d_huffman_dsp"
    storage: ClassVar[str] = "huffman"


class ConvSparseDsp(ConvolutionBlocks):
    """Sparse weights."""

    name: ClassVar[str] = "conv2d_sparse_dsp"
    storage: ClassVar[str] = "sparse"


class PointwisePacked4Dsp(PointwiseBlocks):
    """Weights of four bits."""

    name: ClassVar[str] = "pointwise_packed4_dsp"
    storage: ClassVar[str] = "packed4"


class PointwiseCodebookDsp(PointwiseBlocks):
    """Shared weights."""

    name: ClassVar[str] = "pointwise_codebook_dsp"
    storage: ClassVar[str] = "codebook"


class PointwiseHuffmanDsp(PointwiseBlocks):
    """Entropy-coded weights."""

    name: ClassVar[str] = "pointwise_huffman_dsp"
    storage: ClassVar[str] = "huffman"


class PointwiseSparseDsp(PointwiseBlocks):
    """Sparse weights."""

    name: ClassVar[str] = "pointwise_sparse_dsp"
    storage: ClassVar[str] = "sparse"


class DensePacked4Dsp(DenseBlocks):
    """Weights of four bits."""

    name: ClassVar[str] = "dense_packed4_dsp"
    storage: ClassVar[str] = "packed4"


class DenseCodebookDsp(DenseBlocks):
    """Shared weights."""

    name: ClassVar[str] = "dense_codebook_dsp"
    storage: ClassVar[str] = "codebook"


class DenseHuffmanDsp(DenseBlocks):
    """Entropy-coded weights."""

    name: ClassVar[str] = "dense_huffman_dsp"
    storage: ClassVar[str] = "huffman"


class DenseSparseDsp(DenseBlocks):
    """Sparse weights."""

    name: ClassVar[str] = "dense_sparse_dsp"
    storage: ClassVar[str] = "sparse"
