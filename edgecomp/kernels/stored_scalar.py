"""Coded weights for convolutions on cores without SIMD: some channels at a time.

The part of the stream that belongs to a block of channels is decoded into scratch, and the product
of plain layers computes these channels of all pixels.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.conv2d_m0 import Conv2dM0
from edgecomp.kernels.conv2d_m3 import Conv2dM3
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.stored import Stored
from edgecomp.storage import STORAGES
from edgecomp.targets.cores import Core

DECODED_BYTES = 2048
"""Scratch for decoded weights: as many channels as fit."""
LEAST_CHANNELS = 8
"""Channels that are decoded at once at least: fewer do not pay for packing the pixels again."""


class ChannelBlocks(Stored):
    """What both kernels share: a stream with a record per channel.

    A record has `before` words, the weights of the channel as bytes, and `after` words.
    """

    template: ClassVar[str] = "conv2d/stored_scalar.c.j2"
    before: ClassVar[int]

    @abstractmethod
    def _stream(self, layer: Layer) -> tuple[Array, Array]:
        """Words before the first record, and the records `(channels, words)`."""

    def _words(self, layer: Layer) -> int:
        """Words of a channel's weights."""
        return -(-layer.inputs[1].size // layer.inputs[1].shape[0] // 4)

    def ordered(self, layer: Layer) -> Array:
        """Channel by channel, filled up with 0 to whole words."""
        weights = layer.inputs[1].value.reshape(layer.inputs[1].shape[0], -1)
        missing = 4 * self._words(layer) - weights.shape[1]
        return np.ascontiguousarray(np.pad(weights, ((0, 0), (0, missing))))

    def _at_once(self, layer: Layer) -> int:
        """Channels that are decoded at once."""
        fitting = DECODED_BYTES // (4 * int(self._stream(layer)[1].shape[1]))
        return min(max(fitting, LEAST_CHANNELS), layer.output.shape[-1])

    def _own_scratch(self, layer: Layer) -> int:
        """What the product needs, up to the next word."""
        own: int = super().scratch_bytes(layer)
        return -(-own // 4) * 4

    def decode_bytes(self, layer: Layer) -> int:
        """The stream of the channels at once."""
        head, records = self._stream(layer)
        return 4 * (len(head) + self._at_once(layer) * int(records.shape[1]))

    def scratch_bytes(self, layer: Layer) -> int:
        """What the product needs, and the decoded stream."""
        return self._own_scratch(layer) + self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """The input is read again for every block of channels: nothing may lie over it."""
        return None

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Coded weights, and what each channel has beside them."""
        _, records = self._stream(layer)
        weights = np.arange(self.before, self.before + self._words(layer))
        beside = np.delete(records, weights, axis=1)
        comment = "by channel: what stands before its weights, and behind them"
        return [
            *self.coded_constants(layer),
            Constant("beside", "uint32_t", beside, True, comment),
        ]

    def block_context(self, layer: Layer) -> dict[str, Any]:
        """How many channels are decoded at once, and what a record is."""
        head, records = self._stream(layer)
        words = self._words(layer)
        return {
            "own_scratch": self._own_scratch(layer),
            "out_channels": layer.output.shape[-1],
            "at_once": self._at_once(layer),
            "head": head.tolist(),
            "weight_words": words,
            "before": self.before,
            "after": records.shape[1] - words - self.before,
            "e": self.encoded(layer),
        }


class ConvBlocksM0(ChannelBlocks, Conv2dM0):
    """Armv6-M: eight pixels in five words."""

    before: ClassVar[int] = 1

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the product computes, with weights that can be stored so."""
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = Conv2dM0.applies(self, layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def _stream(self, layer: Layer) -> tuple[Array, Array]:
        stream = self._octets(layer).stream
        return stream[:0], stream.reshape(layer.output.shape[-1], -1)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes of the plain layer, and the blocks; bytes of weights are 128 more."""
        return {**Conv2dM0.context(self, layer), **self.block_context(layer), "flipped": True}


class ConvBlocksM3(ChannelBlocks, Conv2dM3):
    """Armv7-M: blocks of pixel pairs."""

    before: ClassVar[int] = 2

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the product computes, with weights that can be stored so."""
        if layer.node.numerics != "edgecomp":
            return f"its numerics are {layer.node.numerics}"
        reason = Conv2dM3.applies(self, layer, core)
        return reason or STORAGES[self.storage].refusal(self.ordered(layer))

    def _stream(self, layer: Layer) -> tuple[Array, Array]:
        (plain,) = Conv2dM3.constants(self, layer)
        head, records = plain.values[:3].copy(), plain.values[3:]
        head[1] &= 0xFFFF0000
        return head, records.reshape(layer.output.shape[-1], -1)

    def context(self, layer: Layer) -> dict[str, Any]:
        """The sizes of the plain layer, and the blocks."""
        return {**Conv2dM3.context(self, layer), **self.block_context(layer), "flipped": False}


class ConvPacked4M0(ConvBlocksM0):
    """Weights of four bits."""

    name: ClassVar[str] = "conv2d_packed4_m0"
    storage: ClassVar[str] = "packed4"


class ConvCodebookM0(ConvBlocksM0):
    """Shared weights."""

    name: ClassVar[str] = "conv2d_codebook_m0"
    storage: ClassVar[str] = "codebook"


class ConvHuffmanM0(ConvBlocksM0):
    """Entropy-coded weights."""

    name: ClassVar[str] = "conv2d_huffman_m0"
    storage: ClassVar[str] = "huffman"


class ConvSparseM0(ConvBlocksM0):
    """Sparse weights."""

    name: ClassVar[str] = "conv2d_sparse_m0"
    storage: ClassVar[str] = "sparse"


class ConvPacked4M3(ConvBlocksM3):
    """Weights of four bits."""

    name: ClassVar[str] = "conv2d_packed4_m3"
    storage: ClassVar[str] = "packed4"


class ConvCodebookM3(ConvBlocksM3):
    """Shared weights."""

    name: ClassVar[str] = "conv2d_codebook_m3"
    storage: ClassVar[str] = "codebook"


class ConvHuffmanM3(ConvBlocksM3):
    """Entropy-coded weights."""

    name: ClassVar[str] = "conv2d_huffman_m3"
    storage: ClassVar[str] = "huffman"


class ConvSparseM3(ConvBlocksM3):
    """Sparse weights."""

    name: ClassVar[str] = "conv2d_sparse_m3"
    storage: ClassVar[str] = "sparse"
